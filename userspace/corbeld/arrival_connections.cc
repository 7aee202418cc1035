// SPDX-License-Identifier: GPL-2.0-or-later
/* What the source connects to for the memory of a VM. */
#include "arrival.hh"
#include "log.hh"

#include <fcntl.h>

#include <cerrno>

namespace corbel::daemon {

using namespace std::chrono_literals;
using namespace migrate;

namespace {

constexpr auto connect_limit = 10s;

} /* namespace */

Result<v1::MigrateConnectReply> Arrivals::connect(const trust::HostId &from,
						  const v1::MigrateConnectRequest &request)
{
	const auto arrival = CORBEL_EXPECT(find(request.session(), from));
	const auto session = CORBEL_EXPECT(session_of(request.session()));
	v1::MigrateConnectReply reply;
	std::jthread before;

	(void)session;
	if (!request.plain() && !kernel_has_tls())
		return no_kernel_tls();
	auto listener = CORBEL_EXPECT(trust::listen_at({"::", 0}));
	auto keys = CORBEL_EXPECT(DataKeys::make());
	const auto here = CORBEL_EXPECT(trust::address_here(listener.get()));
	reply.set_port(here.port);
	if (!request.plain())
		reply.set_keys(std::string(keys.bytes()));
	{
		const std::lock_guard guard(arrival->lock);

		if (arrival->record.phase == DestinationPhase::absent ||
		    arrival->record.phase == DestinationPhase::ended)
			return failure(ENOENT, "Nothing is reserved for that migration.");
		if (arrival->wish.plain != request.plain())
			return failure(EPERM, "The memory was to go another way (--plain).");
		arrival->heard = Clock::now();
		before = std::move(arrival->connector);
	}
	if (before.joinable())
		before.join();
	take_connections(arrival, std::move(listener), std::move(keys), request.plain(),
			 request.use());
	return reply;
}

/* It belongs to the arrival, which the thread must not keep alive. */
void Arrivals::take_connections(const std::shared_ptr<Arrival> &arrival, ScopedFd listener,
				DataKeys keys, bool plain, const std::string &use)
{
	auto shared_keys = std::make_shared<DataKeys>(std::move(keys));
	auto shared_listener = std::make_shared<ScopedFd>(std::move(listener));
	const std::weak_ptr<Arrival> weak = arrival;
	arrival->connecting = true;
	const auto session = session_of(arrival->session);
	std::jthread thread([this, weak, shared_keys, shared_listener, plain, use, session] {
		auto sockets = accept_data(*shared_listener, *session, use == use_of_pager ? 2 : 1,
					   plain ? nullptr : shared_keys.get(), connect_limit);
		const auto here = weak.lock();

		if (!here)
			return;
		const std::lock_guard guard(here->lock);
		const auto launch = here->launch(options_);
		here->connecting = false;
		const bool there = launch || (here->coming && use == use_of_pager);
		if (!sockets || !there) {
			log(Level::warning, sockets ? "It has ended." : sockets.error().sentence);
			return;
		}
		if (disk_of_use(use)) {
			auto disks = connect_to_disks(*here, *launch);
			if (auto watched = end_if_silent(sockets->demand.get()); !watched)
				disks = std::unexpected(watched.error());
			if (disks)
				here->bridges.push_back(std::make_unique<Bridge>(
					std::move(sockets->demand), *std::move(disks)));
			else
				log(Level::warning, disks.error().sentence);
			return;
		}
		if (use == use_of_qemu) {
			auto monitor = Monitor::connect(here->runtime(options_), *launch);
			const auto begun = monitor ? monitor->receive_from(sockets->demand.get())
						   : std::unexpected(monitor.error());
			if (!begun)
				log(Level::warning, begun.error().sentence);
			here->loading = begun.has_value();
			return;
		}
		here->find_memory(options_);
		if (!here->memory)
			return;
		here->pager.reset();
		auto made = here->memory->pager(CORBEL_PAGER_FETCH, sockets->demand.get(),
						sockets->push.get(), *session,
						plain ? CORBEL_PAGER_PLAIN : 0);
		if (made)
			here->pager = *std::move(made);
		else
			log(Level::warning, made.error().sentence);
	});
	const std::lock_guard guard(arrival->lock);
	arrival->connector = std::move(thread);
}

Result<ScopedFd> Arrivals::connect_to_disks(Arrival &arrival, const qemu::Launch &launch)
{
	const auto runtime = arrival.runtime(options_);
	const auto path = runtime.file("disks");
	auto monitor = CORBEL_EXPECT(Monitor::connect(runtime, launch));

	CORBEL_EXPECT(monitor.serve_disks(path, arrival.nodes_of_disks()));
	auto socket = CORBEL_EXPECT(qemu::connect_unix(path, qemu::Deadline(5s)));
	if (const int flags = ::fcntl(socket.get(), F_GETFL);
	    ::fcntl(socket.get(), F_SETFL, flags & ~O_NONBLOCK) != 0)
		return failure(errno, "The connection to its disks cannot be made to wait.");
	return socket;
}

} /* namespace corbel::daemon */
