// SPDX-License-Identifier: GPL-2.0-or-later
/* What a mover connects to the destination for: pages, QEMU's own stream, disks. */
#include "mover.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <grpcpp/client_context.h>

namespace corbel::daemon {

using namespace migrate;
using namespace std::chrono_literals;
using jobs::Work;

namespace {

constexpr unsigned connect_attempts = 3;

} /* namespace */

/* Where an error undoes the migration, a network that was slow once is not enough for it. */
Result<DataSockets> Mover::connect(Work &work, const std::string &use)
{
	auto sockets = try_connect(work, use);

	for (unsigned i = 1; !sockets && i < connect_attempts && !work.interrupted(); i++)
		sockets = try_connect(work, use);
	return sockets;
}

Result<DataSockets> Mover::try_connect(Work &work, const std::string &use)
{
	const auto peer = CORBEL_EXPECT(hosts_.records().find(work.argument().at("host")));
	auto address = CORBEL_EXPECT(trust::address_of(peer.address));
	const auto session = CORBEL_EXPECT(session_of(session_));
	v1::MigrateConnectRequest request;
	v1::MigrateConnectReply reply;

	request.set_session(session_);
	request.set_use(use);
	request.set_plain(plain_);
	CORBEL_EXPECT(hosts_.call(peer, [&](v1::Peers::Stub &stub) {
		grpc::ClientContext context;

		context.set_deadline(std::chrono::system_clock::now() + 15s);
		return stub.MigrateConnect(&context, request, &reply);
	}));
	address.port = static_cast<std::uint16_t>(reply.port());
	const unsigned streams = use == use_of_pager ? 2 : 1;
	if (plain_)
		return connect_data(address, session, streams, nullptr, 5s);
	const auto keys = CORBEL_EXPECT(DataKeys::of(reply.keys()));
	std::ranges::fill(*reply.mutable_keys(), '\0');
	return connect_data(address, session, streams, &keys, 5s);
}

Result<void> Mover::serve(Work &work, Sends sends)
{
	const auto info = pager_ ? pager_->info() : failure(ENOENT, "");

	/* Of a daemon before this one's only what it had written is left. */
	if (container_ && !memory_ && container_->is_dumped())
		CORBEL_EXPECT(seal_container(work));
	if (!memory_)
		return failure(ENOENT, "Its memory is gone.");
	if (!info || info->state == CORBEL_PAGER_LOST || info->state == CORBEL_PAGER_FAILED) {
		pager_.reset();
		sends_ = Sends::rounds;
		const auto sockets = CORBEL_EXPECT(connect(work, std::string(use_of_pager)));
		pager_ = CORBEL_EXPECT(memory_->pager(
			CORBEL_PAGER_SERVE, sockets.demand.get(), sockets.push.get(),
			CORBEL_EXPECT(session_of(session_)), plain_ ? CORBEL_PAGER_PLAIN : 0));
	}
	if (sends > sends_) {
		const auto missing = CORBEL_EXPECT(
			pager_->go(sends == Sends::asked ? CORBEL_PAGER_GO_ASKED : 0));

		sends_ = sends;
		note(work, "pages",
		     fmt::format("{} to be sent{}", missing,
				 sends == Sends::asked ? ", each when it is asked for" : ""));
	}
	return {};
}

} /* namespace corbel::daemon */
