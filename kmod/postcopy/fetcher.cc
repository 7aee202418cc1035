// SPDX-License-Identifier: GPL-2.0
#include "fetcher.hh"

#include "../rt/memory.hh"

namespace corbel::postcopy {

using wire::Head;
using wire::Kind;
using wire::Stream;

/* ---- what comes ------------------------------------------------------------------- */

Result<void> Fetcher::Inlet::check_stage(const Head &head) const
{
	const bool staged = head.flags & wire::staged;
	const bool going = owner_.going.load(rt::Order::relaxed);

	/* An answer to a request may overtake GO, which is on the other stream. */
	if (stream_ == Stream::demand)
		return staged ? Result<void>(Error::protocol) : Result<void>();
	return staged == going ? Result<void>(Error::protocol) : Result<void>();
}

Result<void *> Fetcher::Inlet::begin(const Head &head)
{
	const bool going = owner_.going.load(rt::Order::relaxed);

	switch (head.kind) {
	case Kind::hello:
		return &hello_;
	case Kind::page:
		CORBEL_TRY(check_stage(head));
		if (owner_.region.states.claim(static_cast<u32>(head.page)))
			claimed_ = static_cast<s64>(head.page);
		if (claimed_ >= 0 && head.length == wire::page_bytes)
			return corbel_store_address(owner_.region.store,
						    static_cast<u32>(claimed_));
		return scratch_;
	case Kind::zeros:
		CORBEL_TRY(check_stage(head));
		return nullptr;
	case Kind::missing:
	case Kind::go:
		if (going)
			return Error::protocol;
		return scratch_;
	case Kind::done:
		if (!going || owner_.all_sent_.load(rt::Order::relaxed))
			return Error::protocol;
		return nullptr;
	default:
		return nullptr;
	}
}

Result<void> Fetcher::Inlet::end(const Head &head)
{
	switch (head.kind) {
	case Kind::hello:
		return owner_.check(hello_, stream_);
	case Kind::page:
		CORBEL_TRY(end_page(head));
		break;
	case Kind::zeros:
		end_zeros(head);
		break;
	case Kind::mark:
		return owner_.return_credit(true);
	case Kind::missing:
		owner_.adopt(head, reinterpret_cast<const u64 *>(scratch_));
		return {};
	case Kind::go:
		owner_.going.store(true, rt::Order::release);
		return {};
	case Kind::done:
		return owner_.finish();
	default:
		return {};
	}
	return stream_ == Stream::push ? owner_.take_credit() : Result<void>();
}

Result<void> Fetcher::Inlet::end_page(const Head &head)
{
	Region &region = owner_.region;
	const u32 page = static_cast<u32>(head.page);

	if (claimed_ < 0) {
		PagerCounts::add(owner_.counts.duplicates);
		return {};
	}
	claimed_ = -1;
	void *at = corbel_store_address(region.store, page);
	if ((head.length < wire::page_bytes && !corbel_decompress(scratch_, head.length, at)) ||
	    hash(at, wire::page_bytes) != head.contents) {
		region.states.given_up(page);
		PagerCounts::add(owner_.counts.again);
		/* Nobody asks for a staged one: what is staged begins anew with the connection. */
		if (head.flags & wire::staged)
			return Error::bad_message;
		return owner_.ask_again(page);
	}
	if (head.length < wire::page_bytes)
		PagerCounts::add(owner_.counts.compressed);
	owner_.accept(page, head.flags & wire::staged, stream_);
	return {};
}

void Fetcher::Inlet::end_zeros(const Head &head)
{
	Region &region = owner_.region;

	for (u32 i = 0; i < head.count; i++) {
		const u32 page = static_cast<u32>(head.page) + i;

		if (!region.states.claim(page)) {
			PagerCounts::add(owner_.counts.duplicates);
			continue;
		}
		/* Something else may have been staged there. */
		(void)corbel_store_clear(region.store, page);
		PagerCounts::add(owner_.counts.zeros);
		owner_.accept(page, head.flags & wire::staged, stream_);
	}
}

void Fetcher::Inlet::give_up()
{
	if (claimed_ >= 0)
		owner_.region.states.given_up(static_cast<u32>(claimed_));
	claimed_ = -1;
}

/* @page is claimed, and filled. */
void Fetcher::accept(u32 page, bool staged, Stream stream)
{
	if (staged) {
		staged_[page / 64] |= u64{1} << (page % 64);
		region.states.given_up(page);
		PagerCounts::add(counts.staged);
		return;
	}
	region.publish(page);
	PagerCounts::add(stream == Stream::demand ? counts.by_demand : counts.by_push);
	if (all_sent_.load(rt::Order::seq_cst) && is_complete())
		corbel_gate_wake(gate_);
}

/* What has been staged and is not missing is as it should be. */
void Fetcher::adopt(const Head &head, const u64 *missing)
{
	for (u32 word = 0; word < head.length / 8; word++) {
		const u32 first = static_cast<u32>(head.page) + word * 64;

		for (u64 bits = staged_[first / 64] & ~missing[word]; bits; bits &= bits - 1) {
			const u32 page = first + static_cast<u32>(std::countr_zero(bits));

			/* If not, it has come by another way. */
			if (!region.states.claim(page))
				continue;
			region.publish(page);
			PagerCounts::add(counts.adopted);
		}
		if (word % 64 == 63)
			corbel_reschedule();
	}
}

Result<void> Fetcher::take_credit()
{
	if (++taken_ < (window_ + 3) / 4)
		return {};
	return return_credit(false);
}

Result<void> Fetcher::return_credit(bool marked)
{
	Head head{};

	head.kind = Kind::credit;
	head.count = taken_;
	head.flags = marked ? wire::marked : 0;
	taken_ = 0;
	(void)send(push_, head);
	return {};
}

/* All have been sent; some may be on their way on the other stream. */
Result<void> Fetcher::finish()
{
	Head bye{};

	all_sent_.store(true, rt::Order::seq_cst);
	(void)corbel_gate_wait(
		gate_,
		[](void *self) {
			const auto *fetcher = static_cast<const Fetcher *>(self);

			return fetcher->is_complete() || !fetcher->running();
		},
		this, false);
	if (!running())
		return {};
	bye.kind = Kind::bye;
	if (send(push_, bye))
		end(CORBEL_PAGER_DONE, 0);
	return {};
}

/* ---- what goes --------------------------------------------------------------------- */

Result<void> Fetcher::ask_again(u32 page)
{
	const u64 flags = damaged_lock_.lock();
	const bool fits = nr_damaged_ < damaged_most;

	if (fits) {
		damaged_[nr_damaged_] = page;
		rt::atomic_store(&nr_damaged_, nr_damaged_ + 1, rt::Order::relaxed);
	}
	damaged_lock_.unlock(flags);
	/* Too many to be chance. */
	if (!fits)
		return Error::bad_message;
	corbel_work_queue(sender_);
	return {};
}

bool Fetcher::take_damaged(u32 &page)
{
	const u64 flags = damaged_lock_.lock();
	const bool any = nr_damaged_ != 0;

	if (any) {
		page = damaged_[nr_damaged_ - 1];
		rt::atomic_store(&nr_damaged_, nr_damaged_ - 1, rt::Order::relaxed);
	}
	damaged_lock_.unlock(flags);
	return any;
}

bool Fetcher::has_requests() const
{
	return region.states.has_requests() ||
	       rt::atomic_load(&nr_damaged_, rt::Order::relaxed) != 0;
}

bool Fetcher::fill_batch()
{
	u32 count = 0;

	while (count < batch && has_requests()) {
		Head head{};
		u32 page = 0;

		if (take_damaged(page)) {
			head.flags = wire::again;
		} else {
			const auto next = region.states.take_request();

			if (!next)
				break;
			page = *next;
		}
		head.kind = Kind::request;
		head.page = page;
		head.count = 1;
		out_[count++] = wire::seal(head, hash);
	}
	PagerCounts::add(counts.demanded, count);
	out_bytes_ = count * sizeof(Head);
	out_sent_ = 0;
	return count != 0;
}

/* False: the socket is full. */
bool Fetcher::send_batch(bool wait)
{
	while (running() && (out_sent_ < out_bytes_ || fill_batch())) {
		corbel_part part{reinterpret_cast<const u8 *>(out_) + out_sent_,
				 out_bytes_ - out_sent_};
		const s64 sent = corbel_link_send(demand_, &part, 1, wait);

		if (sent < 0)
			lose(static_cast<u32>(-sent));
		else if (!sent)
			return false;
		else
			out_sent_ += static_cast<u32>(sent);
	}
	PagerCounts::add(counts.bytes, out_sent_);
	return true;
}

void Fetcher::send_requests(bool wait)
{
	while (running() && has_requests()) {
		/* Whoever holds it looks again once he is done. */
		if (sending_.exchange(true, rt::Order::acq_rel))
			return;
		const bool all = send_batch(wait);
		sending_.exchange(false, rt::Order::acq_rel);
		if (!all) {
			corbel_work_queue(sender_);
			return;
		}
	}
}

void Fetcher::tell_what_is_present()
{
	auto *map = static_cast<u64 *>(corbel_alloc_pages(wire::map_bytes));
	Head head{};

	if (!map)
		return lose(no_memory);
	head.kind = Kind::have;
	for (u32 first = 0; first < pages && running(); first += wire::map_pages) {
		const u32 words = static_cast<u32>(words_for(
			pages - first < wire::map_pages ? pages - first : wire::map_pages));

		if (!region.states.copy_present(first, map, words))
			continue;
		head.page = first;
		head.length = words * sizeof(u64);
		Head sealed = wire::seal(head, hash);
		corbel_part parts[] = {{&sealed, sizeof(sealed)}, {map, head.length}};
		if (!send(push_, parts, 2))
			break;
	}
	corbel_free_pages(map);
	head.page = 0;
	head.length = 0;
	head.flags = wire::last;
	if (running())
		(void)send(push_, head);
}

/* ---- life ---------------------------------------------------------------------------- */

/* Of a plain socket: in the softirq that the data comes in. */
int Fetcher::take(const u8 *from, u32 bytes)
{
	PagerCounts::add(counts.bytes, bytes);
	while (bytes) {
		if (!running())
			return -static_cast<int>(connection_reset);
		const auto place = demand_receiver_.want();
		const u32 now = bytes < place.bytes ? bytes : place.bytes;

		__builtin_memcpy(place.at, from, now);
		const Result<void> taken = demand_receiver_.got(now);
		if (!taken) {
			end_by(taken.error());
			return taken.to_errno();
		}
		from += now;
		bytes -= now;
	}
	return 0;
}

Result<void> Fetcher::start(const corbel_pager_new &request)
{
	damaged_lock_.init();
	CORBEL_TRY(open(request));
	staged_ = static_cast<u64 *>(corbel_store_table(words_for(pages) * sizeof(u64)));
	sender_ = corbel_work_new(
		[](void *self) { static_cast<Fetcher *>(self)->send_requests(true); }, this);
	if (!staged_ || !sender_ || !demand_inlet_.init() || !push_inlet_.init())
		return Error::no_memory;
	CORBEL_TRY(greet(demand_, Stream::demand, window_));
	CORBEL_TRY(greet(push_, Stream::push, window_));
	push_thread_ = corbel_thread_new(
		"corbel-fetch",
		[](void *self) {
			auto *fetcher = static_cast<Fetcher *>(self);

			fetcher->tell_what_is_present();
			fetcher->receive(fetcher->push_, fetcher->push_inlet_, Stream::push);
		},
		this);
	if (!push_thread_)
		return Error::no_memory;
	if (corbel_link_is_plain(demand_)) {
		attended_ = true;
		corbel_link_attend(
			demand_,
			[](void *self, const void *from, u32 bytes) {
				return static_cast<Fetcher *>(self)->take(
					static_cast<const u8 *>(from), bytes);
			},
			[](void *self) { static_cast<Fetcher *>(self)->lose(connection_reset); },
			this);
	} else {
		demand_thread_ = corbel_thread_new(
			"corbel-demand",
			[](void *self) {
				auto *fetcher = static_cast<Fetcher *>(self);

				fetcher->receive(fetcher->demand_, fetcher->demand_inlet_,
						 Stream::demand);
			},
			this);
		if (!demand_thread_)
			return Error::no_memory;
	}
	region.set_fetcher(this);
	/* What others were told and did not bring. */
	region.states.requeue();
	send_requests();
	return {};
}

Result<Fetcher *> Fetcher::make(Region &region, const corbel_pager_new &request)
{
	void *memory = corbel_alloc(sizeof(Fetcher), true);

	if (!memory)
		return Error::no_memory;
	auto *fetcher = ::new (memory) Fetcher(region, request.window ? request.window : 64);
	const Result<void> started = fetcher->start(request);
	if (started)
		return fetcher;
	destroy(fetcher);
	return started.error();
}

void Fetcher::destroy(Fetcher *fetcher)
{
	corbel_thread *const threads[] = {fetcher->demand_thread_, fetcher->push_thread_};

	/* So that nobody who tells of requests goes on sending them. */
	fetcher->end(CORBEL_PAGER_LOST, 0);
	fetcher->region.clear_fetcher();
	fetcher->close(threads, 2);
	if (fetcher->attended_)
		corbel_link_ignore(fetcher->demand_);
	corbel_work_cancel(fetcher->sender_);
	fetcher->demand_inlet_.give_up();
	fetcher->push_inlet_.give_up();
	fetcher->~Fetcher();
	corbel_free(fetcher);
}

Fetcher::~Fetcher()
{
	corbel_work_free(sender_);
	corbel_free_pages(staged_);
}

} /* namespace corbel::postcopy */
