/* SPDX-License-Identifier: GPL-2.0 */
/*
 * region.hh - the logic's side of a memory object.
 */
#pragma once

#include "../rt/lock.hh"
#include "memory.h"
#include "page_states.hh"
#include "watch.hh"

namespace corbel::postcopy {

using States = PageStates<rt::SpinLock>;
class Fetcher;

class Region {
public:
	Region(const PageTables &tables, corbel_store *store, u32 pages, u32 flags)
		: states(lock_, tables, pages),
		  watch(pages),
		  store(store),
		  flags(flags),
		  tables_(tables)
	{
		lock_.init();
		pager_lock_.init();
	}
	~Region()
	{
		corbel_free_pages(tables_.present);
		corbel_free_pages(tables_.claimed);
		corbel_free_pages(tables_.requested);
		corbel_free_pages(tables_.queue);
	}
	Region(const Region &) = delete;
	Region &operator=(const Region &) = delete;

private:
	rt::SpinLock lock_;

public:
	States states;
	Watch watch;
	corbel_store *const store; /* the node's */
	corbel_node *node = nullptr; /* which this is of */
	const u32 flags; /* of CORBEL_MEMORY_CREATE */
	rt::Atomic<u64> installed{}, duplicates{};

	static Region *from(corbel_region *region) { return reinterpret_cast<Region *>(region); }
	corbel_region *handle() { return reinterpret_cast<corbel_region *>(this); }

	/* @page is filled, and may be seen. Any context but NMI. */
	void publish(u32 page)
	{
		states.filled(page);
		watch.written(page);
		installed.fetch_add(1, rt::Order::relaxed);
		corbel_store_wake(store, page);
	}

	/* ---- its pager, of which there is one at most ---- */

	/* False: there is one. Task. */
	[[nodiscard]] bool reserve_pager()
	{
		return !has_pager_.exchange(true, rt::Order::acq_rel);
	}
	void release_pager() { has_pager_.store(false, rt::Order::release); }
	/* Requests are told it from now on, instead of readers. Any context but NMI. */
	void set_fetcher(Fetcher *fetcher);
	/* On return nobody tells it anything any more. Task. */
	void clear_fetcher();
	[[nodiscard]] bool has_fetcher() { return rt::atomic_load(&fetcher_, rt::Order::relaxed); }
	/* There are requests. Task. */
	void tell_requests();

private:
	PageTables tables_;
	rt::Atomic<bool> has_pager_{};
	rt::SpinLock pager_lock_;
	Fetcher *fetcher_ = nullptr; /* under pager_lock_ */
	u32 telling_ = 0; /* likewise: how many are in it */
};

} /* namespace corbel::postcopy */
