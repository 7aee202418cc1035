// SPDX-License-Identifier: GPL-2.0
#include "server.hh"

#include "../rt/memory.hh"

namespace corbel::postcopy {
namespace {

constexpr Error not_connected = rt::from_errno(-107); /* ENOTCONN */
constexpr u32 timed_out = 110; /* ETIMEDOUT */
constexpr u32 patience_ms = 2000;

} /* namespace */

using wire::Head;
using wire::Kind;
using wire::Stream;

/* ---- what comes ------------------------------------------------------------------- */

Result<void *> Server::Inlet::begin(const Head &head)
{
	switch (head.kind) {
	case Kind::hello:
		return &hello_;
	case Kind::have:
		if (owner_.told_.load(rt::Order::relaxed))
			return Error::protocol;
		return map_;
	case Kind::bye:
		if (!owner_.all_sent_.load(rt::Order::acquire))
			return Error::protocol;
		return nullptr;
	default:
		return nullptr;
	}
}

Result<void> Server::Inlet::end(const Head &head)
{
	switch (head.kind) {
	case Kind::hello:
		CORBEL_TRY(owner_.check(hello_, stream_));
		if (stream_ == Stream::push)
			owner_.credit_.store(hello_.window, rt::Order::relaxed);
		return {};
	case Kind::have:
		for (u32 word = 0; word < head.length / 8; word++)
			owner_.words_[head.page / 64 + word] &= ~map_[word];
		if (head.flags & wire::last)
			owner_.told_.store(true, rt::Order::release);
		break;
	case Kind::request:
		return owner_.answer(static_cast<u32>(head.page), head.flags & wire::again);
	case Kind::credit:
		return owner_.take_credit(head);
	case Kind::bye:
		owner_.end(CORBEL_PAGER_DONE, 0);
		return {};
	default:
		return {};
	}
	corbel_gate_wake(owner_.gate_);
	return {};
}

Result<void> Server::take_credit(const Head &head)
{
	const s64 before = credit_.fetch_add(head.count, rt::Order::release);

	/* More than was ever taken: it says that of frames it cannot have seen. */
	if (before + head.count > CORBEL_PAGER_MAX_WINDOW)
		return Error::protocol;
	if (head.flags & wire::marked)
		mark_answered_.store(true, rt::Order::release);
	corbel_gate_wake(gate_);
	return {};
}

/* In the demand thread. */
Result<void> Server::answer(u32 page, bool again)
{
	if (!wait_for([](const Server &server) { return server.going.load(rt::Order::acquire); }))
		return {};
	PagerCounts::add(counts.demanded);
	plan_.follow(page);
	const bool unsent = plan_.take(page);
	if (again)
		PagerCounts::add(counts.again);
	else if (!unsent) {
		/* It is on its way on the push stream. */
		PagerCounts::add(counts.underway);
		return {};
	}
	put_page(*demand_out_, page, 0, false);
	if (flush(demand_, *demand_out_))
		PagerCounts::add(counts.by_demand);
	return {};
}

/* ---- what goes --------------------------------------------------------------------- */

void Server::put_page(Outlet &out, u32 page, u16 flags, bool compress)
{
	const void *at = corbel_store_address(region.store, page);
	Head *before = out.nr_heads ? &out.heads[out.nr_heads - 1] : nullptr;
	u8 *room = room_ + out.nr_heads * room_of_one;

	/* It may be written to meanwhile: what is summed up must be what is sent. */
	if (flags & wire::staged)
		at = __builtin_memcpy(room, at, wire::page_bytes);
	const bool zero = corbel_is_zero_page(at);
	out.zeros += zero;
	if (zero && before && before->kind == Kind::zeros && before->page + before->count == page) {
		before->count++;
		return;
	}
	Head &head = out.heads[out.nr_heads++];
	head = Head{};
	head.flags = flags;
	head.page = page;
	head.count = 1;
	out.parts[out.nr_parts++] = {&head, sizeof(head)};
	if (zero) {
		head.kind = Kind::zeros;
		return;
	}
	head.kind = Kind::page;
	head.contents = hash(at, wire::page_bytes);
	head.length = wire::page_bytes;
	if (compress && compressor_) {
		u8 *small = room + wire::page_bytes;
		const u32 bytes = corbel_compress(compressor_, at, small, worth);

		if (bytes) {
			out.compressed++;
			head.length = bytes;
			at = small;
		}
	}
	out.parts[out.nr_parts++] = {at, head.length};
}

bool Server::flush(corbel_link *link, Outlet &out)
{
	for (u32 i = 0; i < out.nr_heads; i++)
		out.heads[i] = wire::seal(out.heads[i], hash);
	const bool sent = send(link, out.parts, out.nr_parts);
	PagerCounts::add(counts.zeros, out.zeros);
	PagerCounts::add(counts.compressed, out.compressed);
	out.nr_heads = out.nr_parts = 0;
	out.zeros = out.compressed = 0;
	return sent;
}

bool Server::has_credit(const Server &server)
{
	return server.credit_.load(rt::Order::acquire) > 0;
}

bool Server::has_credit_or_is_interrupted(const Server &server)
{
	return has_credit(server) || server.interrupted_.load(rt::Order::acquire);
}

/*
 * How many pages may be sent at once, at least one. Only then are they taken from the plan: what
 * is taken cannot be demanded any more.
 */
bool Server::wait_for_credit(u32 &most, bool (*ready)(const Server &))
{
	if (!wait_for(ready))
		return false;
	const s64 credit = credit_.load(rt::Order::relaxed);

	most = credit < batch ? static_cast<u32>(credit) : batch;
	return true;
}

/* Pages that were taken from the plan. */
bool Server::push_run(u32 first, u32 count, u16 flags)
{
	for (u32 i = 0; i < count; i++)
		put_page(*push_out_, first + i, flags, true);
	credit_.fetch_sub(push_out_->nr_heads, rt::Order::relaxed);
	if (!flush(push_, *push_out_))
		return false;
	PagerCounts::add(flags & wire::staged ? counts.staged : counts.by_push, count);
	return true;
}

/* Until the plan is told, nobody takes a page from it. */
bool Server::announce()
{
	Head head{};

	head.kind = Kind::missing;
	for (u32 first = 0; staged_any_ && first < pages; first += wire::map_pages) {
		const u32 here = pages - first < wire::map_pages ? pages - first : wire::map_pages;

		head.page = first;
		head.length = static_cast<u32>(words_for(here) * sizeof(u64));
		Head sealed = wire::seal(head, hash);
		corbel_part parts[] = {{&sealed, sizeof(sealed)},
				       {&words_[first / 64], head.length}};
		if (!send(push_, parts, 2))
			return false;
	}
	head = Head{};
	head.kind = Kind::go;
	head.flags = staged_any_ ? 0 : wire::everything;
	if (!send(push_, head))
		return false;
	going.store(true, rt::Order::release);
	corbel_gate_wake(gate_);
	return true;
}

void Server::push()
{
	const auto woken = [](const Server &server) {
		return server.told_.load(rt::Order::acquire) &&
		       (server.go_wanted_.load(rt::Order::acquire) ||
			server.round_.load(rt::Order::acquire) == wanted);
	};

	while (wait_for(woken)) {
		if (round_.load(rt::Order::acquire) == wanted) {
			u64 sent = 0;
			const bool whole = send_round(sent);

			round_pages_ = sent;
			round_.store(whole ? done : failed, rt::Order::release);
			corbel_gate_wake(gate_);
			continue;
		}
		if (!announce() || !wait_for([](const Server &server) {
			    return !server.only_asked_.load(rt::Order::acquire);
		    }))
			return;
		for (u32 most = 0;;) {
			if (!wait_for_credit(most, has_credit))
				return;
			const auto run = plan_.take_run(most);
			if (!run.count)
				break;
			if (!push_run(run.first, run.count, 0))
				return;
		}
		Head end{};
		end.kind = Kind::done;
		all_sent_.store(true, rt::Order::release);
		(void)send(push_, end);
		return;
	}
}

/* ---- rounds -------------------------------------------------------------------------- */

bool Server::send_round(u64 &sent)
{
	const auto stopped = [this] { return interrupted_.load(rt::Order::acquire); };

	for (u32 page = 0, most = 0; page < pages && !stopped();) {
		u32 count = 0;

		if (!round_words_[page / 64]) {
			page = (page / 64 + 1) * 64;
			continue;
		}
		if (!wait_for_credit(most, has_credit_or_is_interrupted) || stopped())
			return false;
		while (count < most && page + count < pages &&
		       round_words_[(page + count) / 64] >> ((page + count) % 64) & 1) {
			round_words_[(page + count) / 64] &= ~(u64{1} << ((page + count) % 64));
			(void)plan_.take(page + count);
			count++;
		}
		if (count && !push_run(page, count, wire::staged))
			return false;
		sent += count;
		page += count ? count : 1;
	}
	Head mark{};
	mark.kind = Kind::mark;
	mark_answered_.store(false, rt::Order::relaxed);
	return !stopped() && send(push_, mark) && wait_for([](const Server &server) {
		return server.mark_answered_.load(rt::Order::acquire) ||
		       server.interrupted_.load(rt::Order::acquire);
	}) && !stopped();
}

/* What was written counts as not sent. */
Result<u64> Server::collect()
{
	const size_t bytes = words_for(pages) * sizeof(u64);

	if (!round_words_)
		round_words_ = static_cast<u64 *>(corbel_store_table(bytes));
	if (!round_words_)
		return Error::no_memory;
	__builtin_memset(round_words_, 0, bytes);
	const s64 written = corbel_region_collect(region.handle(), round_words_);
	if (written < 0)
		return rt::from_errno(static_cast<int>(written));
	for (u32 word = 0; word < words_for(pages); word++)
		words_[word] |= round_words_[word];
	return static_cast<u64>(written);
}

Result<void> Server::wait_until_told()
{
	const bool interrupted = corbel_gate_wait(
		gate_,
		[](void *self) {
			const auto *server = static_cast<const Server *>(self);

			return server->told_.load(rt::Order::acquire) || !server->running();
		},
		this, true);

	if (interrupted)
		return Error::interrupted;
	return running() ? Result<void>() : Result<void>(not_connected);
}

Result<u64> Server::round_alone()
{
	if (go_wanted_.load(rt::Order::relaxed))
		return Error::busy;
	CORBEL_TRY(wait_until_told());
	CORBEL_TRY(collect());
	staged_any_ = true;
	interrupted_.store(false, rt::Order::relaxed);
	round_.store(wanted, rt::Order::release);
	corbel_gate_wake(gate_);
	const auto over = [](void *self) {
		const auto *server = static_cast<const Server *>(self);
		const u32 round = server->round_.load(rt::Order::acquire);

		return round == done || round == failed || !server->running();
	};
	const bool interrupted = corbel_gate_wait(gate_, over, this, true);
	if (interrupted) {
		interrupted_.store(true, rt::Order::release);
		corbel_gate_wake(gate_);
		/* Who waits for an end that takes nothing can be killed all the same. */
		if (!corbel_gate_wait_for(gate_, over, this, patience_ms))
			lose(timed_out);
		(void)corbel_gate_wait(gate_, over, this, false);
	}
	if (round_.exchange(none, rt::Order::acq_rel) == done)
		return round_pages_;
	/* What was sent is staged for nothing if the connection is lost; it counts again then. */
	corbel_region_rewrite(region.handle(), round_words_);
	return interrupted ? Error::interrupted : not_connected;
}

Result<u64> Server::go_alone(bool only_asked)
{
	if (go_wanted_.load(rt::Order::relaxed)) {
		if (only_asked || !only_asked_.load(rt::Order::relaxed))
			return Error::already;
		/* Before the rest begins to go. */
		const u64 missing = plan_.left();
		only_asked_.store(false, rt::Order::release);
		corbel_gate_wake(gate_);
		return missing;
	}
	CORBEL_TRY(wait_until_told());
	CORBEL_TRY(rt::check_shim(corbel_region_hold_seal(region.handle())));
	if (staged_any_) {
		const Result<u64> collected = collect();

		if (!collected) {
			corbel_region_release_seal(region.handle());
			return collected.error();
		}
	}
	holds_seal_ = true;
	const u64 missing = plan_.left();
	only_asked_.store(only_asked, rt::Order::relaxed);
	go_wanted_.store(true, rt::Order::release);
	corbel_gate_wake(gate_);
	return missing;
}

template <typename What>
Result<u64> Server::alone(What what)
{
	if (deciding_.exchange(true, rt::Order::acquire))
		return Error::busy;
	const Result<u64> result = what();
	deciding_.store(false, rt::Order::release);
	return result;
}

Result<u64> Server::round()
{
	return alone([this] { return round_alone(); });
}

Result<u64> Server::go(bool only_asked)
{
	return alone([this, only_asked] { return go_alone(only_asked); });
}

/* ---- life ---------------------------------------------------------------------------- */

bool Server::wait_for(bool (*ready)(const Server &))
{
	struct Wait {
		const Server &server;
		bool (*ready)(const Server &);
	} wait{*this, ready};

	(void)corbel_gate_wait(
		gate_,
		[](void *argument) {
			const auto *wait = static_cast<const Wait *>(argument);

			return !wait->server.running() || wait->ready(wait->server);
		},
		&wait, false);
	return running();
}

Result<void> Server::start(const corbel_pager_new &request)
{
	CORBEL_TRY(open(request));
	demand_out_ = static_cast<Outlet *>(corbel_alloc_pages(sizeof(Outlet)));
	push_out_ = static_cast<Outlet *>(corbel_alloc_pages(sizeof(Outlet)));
	room_ = static_cast<u8 *>(corbel_alloc_pages(batch * room_of_one));
	if (!demand_out_ || !push_out_ || !room_ || !demand_inlet_.init() || !push_inlet_.init())
		return Error::no_memory;
	/* Without one, pages are sent as they are. */
	if (!(request.flags & CORBEL_PAGER_NO_COMPRESSION))
		compressor_ = corbel_compressor_new();
	for (u32 page = 0; page < pages; page += 64)
		words_[page / 64] = pages - page < 64 ? (u64{1} << (pages - page)) - 1 : ~u64{0};
	CORBEL_TRY(greet(demand_, Stream::demand, 0));
	CORBEL_TRY(greet(push_, Stream::push, 0));
	demand_thread_ = corbel_thread_new(
		"corbel-serve",
		[](void *self) {
			auto *server = static_cast<Server *>(self);

			server->receive(server->demand_, server->demand_inlet_, Stream::demand);
		},
		this);
	hear_thread_ = corbel_thread_new(
		"corbel-hear",
		[](void *self) {
			auto *server = static_cast<Server *>(self);

			server->receive(server->push_, server->push_inlet_, Stream::push);
		},
		this);
	push_thread_ = corbel_thread_new(
		"corbel-push", [](void *self) { static_cast<Server *>(self)->push(); }, this);
	if (!demand_thread_ || !hear_thread_ || !push_thread_)
		return Error::no_memory;
	return {};
}

Result<Server *> Server::make(Region &region, const corbel_pager_new &request)
{
	auto *words = static_cast<u64 *>(
		corbel_store_table(words_for(region.states.size()) * sizeof(u64)));
	void *memory = words ? corbel_alloc(sizeof(Server), true) : nullptr;

	if (!memory) {
		corbel_free_pages(words);
		return Error::no_memory;
	}
	auto *server = ::new (memory) Server(region, words);
	const Result<void> started = server->start(request);
	if (started)
		return server;
	destroy(server);
	return started.error();
}

void Server::destroy(Server *server)
{
	corbel_thread *const threads[] = {server->demand_thread_, server->hear_thread_,
					  server->push_thread_};

	server->close(threads, 3);
	if (server->holds_seal_)
		corbel_region_release_seal(server->region.handle());
	server->~Server();
	corbel_free(server);
}

Server::~Server()
{
	corbel_compressor_free(compressor_);
	corbel_free_pages(room_);
	corbel_free_pages(round_words_);
	corbel_free_pages(demand_out_);
	corbel_free_pages(push_out_);
	corbel_free_pages(words_);
}

} /* namespace corbel::postcopy */
