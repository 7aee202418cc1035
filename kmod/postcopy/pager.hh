/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pager.hh - one end of a transfer: what fetching and serving have in common.
 *
 * A pager has two links and a few threads, which live as long as it does. Whatever ends it
 * (the other end, a protocol error, its descriptor) shuts both links down, and so every thread
 * comes back from wherever it is in a link.
 */
#pragma once

#include "../core/arguments.hh"
#include "link.h"
#include "receiver.hh"
#include "region.hh"

#include <corbel/pager.h>

namespace corbel::postcopy {

using core::Error;
using core::Result;

inline u32 hash(const void *at, size_t bytes)
{
	return corbel_checksum(at, bytes);
}

/* What info tells, counted by whoever does it. */
struct PagerCounts {
	rt::Atomic<u64> demanded{}, by_demand{}, by_push{}, staged{}, zeros{}, compressed{},
		bytes{}, again{}, duplicates{}, underway{}, adopted{};

	static void add(rt::Atomic<u64> &to, u64 amount = 1)
	{
		to.fetch_add(amount, rt::Order::relaxed);
	}
};

class Pager {
public:
	Pager(const Pager &) = delete;
	Pager &operator=(const Pager &) = delete;

	[[nodiscard]] bool running() const
	{
		return state_.load(rt::Order::acquire) == CORBEL_PAGER_RUNNING;
	}
	/* The first end counts. Any context but NMI. */
	void end(u32 state, u32 error);
	void lose(u32 error) { end(CORBEL_PAGER_LOST, error); }
	/* What a receiver or a socket answered. */
	void end_by(Error error);
	[[nodiscard]] u32 state() const { return state_.load(rt::Order::acquire); }

	void fill_info(corbel_pager_info &info) const;
	[[nodiscard]] corbel_waitqueue *pollers() const { return pollers_; }

	Region &region;
	const u32 pages;
	PagerCounts counts;
	rt::Atomic<bool> going{};

protected:
	Pager(Region &region, wire::Role role)
		: region(region), pages(region.states.size()), role(role)
	{}
	~Pager();

	/* Links, gate and what else both need. Task. */
	[[nodiscard]] Result<void> open(const corbel_pager_new &request);
	/* Shuts the links down and has @threads end. Task. */
	void close(corbel_thread *const *threads, u32 count);
	[[nodiscard]] Result<void> greet(corbel_link *link, wire::Stream stream, u32 window);
	[[nodiscard]] Result<void> check(const wire::Hello &hello, wire::Stream stream) const;

	/* All of it, however long that takes; a failure ends the pager. Task. */
	bool send(corbel_link *link, corbel_part *parts, u32 count);
	bool send(corbel_link *link, const wire::Head &head);
	/* Frames from @link until the pager ends. Task. */
	template <typename Handler>
	void receive(corbel_link *link, Handler &handler, wire::Stream stream)
	{
		Receiver<Handler> receiver(handler, other_role(), stream, pages);

		while (running()) {
			const auto place = receiver.want();
			const s64 bytes = corbel_link_receive(link, place.at, place.bytes);

			if (bytes <= 0)
				return lose(bytes ? static_cast<u32>(-bytes) : connection_reset);
			counts.add(counts.bytes, static_cast<u64>(bytes));
			const Result<void> taken = receiver.got(static_cast<u32>(bytes));
			if (!taken)
				return end_by(taken.error());
		}
	}
	[[nodiscard]] wire::Role other_role() const
	{
		return role == wire::Role::fetch ? wire::Role::serve : wire::Role::fetch;
	}

	static constexpr u32 connection_reset = 104; /* ECONNRESET */
	static constexpr u32 no_memory = 12; /* ENOMEM */

	const wire::Role role;
	corbel_link *demand_ = nullptr, *push_ = nullptr;
	corbel_gate *gate_ = nullptr; /* woken when anything has changed */

private:
	void shut();

	u8 session_[16]{};
	bool opened_ = false; /* what is below is there, and the links */
	rt::Atomic<u32> state_{CORBEL_PAGER_RUNNING};
	rt::Atomic<u32> error_{};
	corbel_waitqueue *pollers_ = nullptr;
	corbel_work *shutting_ = nullptr;
};

/* Answers a descriptor, for @region's CORBEL_PAGER_NEW. Task. */
[[nodiscard]] Result<long> make_pager(Region &region, module *module, u64 user);

} /* namespace corbel::postcopy */
