// SPDX-License-Identifier: GPL-2.0
#include "pager.hh"

#include "../rt/memory.hh"
#include "fetcher.hh"
#include "server.hh"

#include <corbel/memory.h>

namespace corbel::postcopy {

using core::read_arguments;
using core::write_arguments;

static_assert(static_cast<u32>(wire::Role::fetch) == CORBEL_PAGER_FETCH);
static_assert(static_cast<u32>(wire::Role::serve) == CORBEL_PAGER_SERVE);
static_assert(wire::version == CORBEL_PAGER_VERSION);

Pager::~Pager()
{
	corbel_work_cancel(shutting_);
	corbel_work_free(shutting_);
	corbel_link_free(demand_);
	corbel_link_free(push_);
	corbel_gate_free(gate_);
	if (pollers_) {
		corbel_waitqueue_sync(pollers_);
		corbel_waitqueue_free(pollers_);
	}
}

Result<void> Pager::open(const corbel_pager_new &request)
{
	const bool plain = request.flags & CORBEL_PAGER_PLAIN;

	__builtin_memcpy(session_, request.session, sizeof(session_));
	gate_ = corbel_gate_new();
	pollers_ = corbel_waitqueue_new();
	shutting_ = corbel_work_new([](void *self) { static_cast<Pager *>(self)->shut(); }, this);
	if (!gate_ || !pollers_ || !shutting_)
		return Error::no_memory;
	CORBEL_TRY(rt::check_shim(corbel_link_new(request.demand, plain, &demand_)));
	CORBEL_TRY(rt::check_shim(corbel_link_new(request.push, plain, &push_)));
	if (corbel_link_same(demand_, push_))
		return Error::invalid;
	opened_ = true;
	return {};
}

void Pager::shut()
{
	corbel_link_shut(demand_);
	corbel_link_shut(push_);
}

void Pager::end(u32 state, u32 error)
{
	u32 expected = CORBEL_PAGER_RUNNING;

	/* Told before it is seen: nobody looks at the error of one that is running. */
	if (running())
		error_.store(error, rt::Order::relaxed);
	if (!state_.compare_exchange(expected, state, rt::Order::acq_rel) || !opened_)
		return;
	if (state != CORBEL_PAGER_DONE)
		corbel_work_queue(shutting_);
	corbel_gate_wake(gate_);
	corbel_waitqueue_wake(pollers_);
}

void Pager::end_by(Error error)
{
	end(error == Error::protocol ? CORBEL_PAGER_FAILED : CORBEL_PAGER_LOST,
	    static_cast<u32>(-to_errno(error)));
}

void Pager::close(corbel_thread *const *threads, u32 count)
{
	/* Those who made it already know that it ends. */
	end(CORBEL_PAGER_LOST, 0);
	if (!opened_)
		return;
	shut();
	for (u32 i = 0; i < count; i++)
		corbel_thread_join(threads[i]);
}

Result<void> Pager::greet(corbel_link *link, wire::Stream stream, u32 window)
{
	wire::Hello hello{};
	wire::Head head{};

	__builtin_memcpy(hello.session, session_, sizeof(session_));
	hello.pages = pages;
	hello.role = role;
	hello.stream = stream;
	hello.window = window;
	head.kind = wire::Kind::hello;
	head.length = sizeof(hello);
	head = wire::seal(head, hash);
	corbel_part parts[] = {{&head, sizeof(head)}, {&hello, sizeof(hello)}};
	const s64 sent = corbel_link_send(link, parts, 2, true);
	return sent < 0 ? Result<void>(rt::from_errno(static_cast<int>(sent))) : Result<void>();
}

Result<void> Pager::check(const wire::Hello &hello, wire::Stream stream) const
{
	if (__builtin_memcmp(hello.session, session_, sizeof(session_)) || hello.pages != pages ||
	    hello.role != other_role() || hello.stream != stream || hello.pad ||
	    hello.window > CORBEL_PAGER_MAX_WINDOW ||
	    (hello.window == 0) != (role == wire::Role::fetch))
		return Error::protocol;
	return {};
}

bool Pager::send(corbel_link *link, corbel_part *parts, u32 count)
{
	const s64 sent = corbel_link_send(link, parts, count, true);

	if (sent > 0) {
		counts.add(counts.bytes, static_cast<u64>(sent));
		return true;
	}
	lose(sent ? static_cast<u32>(-sent) : connection_reset);
	return false;
}

bool Pager::send(corbel_link *link, const wire::Head &head)
{
	const wire::Head sealed = wire::seal(head, hash);
	corbel_part part{&sealed, sizeof(sealed)};

	return send(link, &part, 1);
}

void Pager::fill_info(corbel_pager_info &info) const
{
	const auto value = [](const rt::Atomic<u64> &of) { return of.load(rt::Order::relaxed); };

	info.role = static_cast<u32>(role);
	info.state = state();
	info.error = info.state == CORBEL_PAGER_RUNNING ? 0 : error_.load(rt::Order::relaxed);
	info.going = going.load(rt::Order::relaxed);
	info.pages = pages;
	info.demanded = value(counts.demanded);
	info.by_demand = value(counts.by_demand);
	info.by_push = value(counts.by_push);
	info.staged = value(counts.staged);
	info.zeros = value(counts.zeros);
	info.compressed = value(counts.compressed);
	info.bytes = value(counts.bytes);
	info.again = value(counts.again);
	info.duplicates = value(counts.duplicates);
	info.underway = value(counts.underway);
	info.adopted = value(counts.adopted);
}

namespace {

/* What a descriptor is of. */
struct PagerFile {
	Region *region;
	Fetcher *fetcher;
	Server *server;

	[[nodiscard]] Pager &pager() const
	{
		return fetcher ? static_cast<Pager &>(*fetcher) : static_cast<Pager &>(*server);
	}
};

Result<void> tell_info(const PagerFile &file, u64 user)
{
	auto info = CORBEL_TRY(read_arguments<corbel_pager_info>(user));

	file.pager().fill_info(info);
	return write_arguments(user, info);
}

Result<void> do_round(const PagerFile &file, u64 user)
{
	auto round = CORBEL_TRY(read_arguments<corbel_pager_round>(user));

	if (!file.server)
		return Error::no_such_ioctl;
	round.pages = CORBEL_TRY(file.server->round());
	return write_arguments(user, round);
}

Result<void> do_go(const PagerFile &file, u64 user)
{
	auto go = CORBEL_TRY(read_arguments<corbel_pager_go>(user, CORBEL_PAGER_GO_ASKED));

	if (!file.server)
		return Error::no_such_ioctl;
	go.missing = CORBEL_TRY(file.server->go(go.flags & CORBEL_PAGER_GO_ASKED));
	return write_arguments(user, go);
}

Result<void> request_of(const PagerFile &file, u32 command, u64 user)
{
	switch (command) {
	case CORBEL_PAGER_INFO:
		return tell_info(file, user);
	case CORBEL_PAGER_ROUND:
		return do_round(file, user);
	case CORBEL_PAGER_GO:
		return do_go(file, user);
	default:
		return Error::no_such_ioctl;
	}
}

const PagerFile &file_of(void *object)
{
	return *static_cast<const PagerFile *>(object);
}

void release(void *object)
{
	auto *file = static_cast<PagerFile *>(object);
	Region &region = *file->region;

	if (file->fetcher)
		Fetcher::destroy(file->fetcher);
	if (file->server)
		Server::destroy(file->server);
	region.release_pager();
	corbel_node_put(region.node);
	file->~PagerFile();
	corbel_free(file);
}

constexpr corbel_file_ops pager_operations{
	.name = "[corbel-pager]",
	.ioctl = [](void *object, u32 command, u64 user) -> long {
		return request_of(file_of(object), command, user).to_errno();
	},
	.mmap = nullptr,
	.poll = [](void *object, corbel_poll *poll) -> u32 {
		const Pager &pager = file_of(object).pager();

		corbel_poll_on(poll, pager.pollers());
		switch (pager.state()) {
		case CORBEL_PAGER_RUNNING:
			return 0;
		case CORBEL_PAGER_DONE:
			return CORBEL_POLL_IN;
		default:
			return CORBEL_POLL_IN | CORBEL_POLL_HUP;
		}
	},
	.read = nullptr,
	.release = release,
};

/* The object's one pager is reserved, and its node has a reference of ours. */
Result<long> make_reserved(Region &region, module *module, const corbel_pager_new &request)
{
	auto file = CORBEL_TRY(rt::Box<PagerFile>::make(rt::Context::task, &region,
							static_cast<Fetcher *>(nullptr),
							static_cast<Server *>(nullptr)));

	if (request.role == CORBEL_PAGER_FETCH)
		file->fetcher = CORBEL_TRY(Fetcher::make(region, request));
	else
		file->server = CORBEL_TRY(Server::make(region, request));
	const int fd = corbel_file_new(&pager_operations, file.get(), module);
	if (fd >= 0) {
		file.release();
		return fd;
	}
	if (file->fetcher)
		Fetcher::destroy(file->fetcher);
	else
		Server::destroy(file->server);
	return rt::from_errno(fd);
}

bool makes_sense(const corbel_pager_new &request)
{
	const u32 of_server = CORBEL_PAGER_NO_COMPRESSION;

	return (request.role == CORBEL_PAGER_FETCH && !(request.flags & of_server) &&
		request.window <= CORBEL_PAGER_MAX_WINDOW) ||
	       (request.role == CORBEL_PAGER_SERVE && !request.window);
}

} /* namespace */

Result<long> make_pager(Region &region, module *module, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_pager_new>(
		user, CORBEL_PAGER_PLAIN | CORBEL_PAGER_NO_COMPRESSION));
	const bool fetches = request.role == CORBEL_PAGER_FETCH;

	if (!makes_sense(request))
		return Error::invalid;
	if (fetches ? !(region.flags & CORBEL_MEMORY_MISSING)
		    : region.states.count_present() != region.states.size())
		return Error::not_supported;
	if (!region.reserve_pager())
		return Error::busy;
	corbel_node_get(region.node);
	const Result<long> made = make_reserved(region, module, request);
	if (!made) {
		region.release_pager();
		corbel_node_put(region.node);
	}
	return made;
}

} /* namespace corbel::postcopy */
