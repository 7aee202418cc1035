/* SPDX-License-Identifier: GPL-2.0 */
/*
 * watch.hh - who writes to a memory object: tracked, sealed, or left alone.
 *
 * While it is either, it is *watched*: its mappings are such that each first write to a page
 * comes to fault_shim.c, which asks look() and then says written(). What is changed of that is
 * changed by one at a time (corbel_node_begin()), but for the seal, which is taken off before
 * anything else: somebody who waits for it may hold up whoever changes the mappings.
 */
#pragma once

#include "../core/arguments.hh"
#include "dirty_pages.hh"
#include "memory.h"
#include "seal.hh"

namespace corbel::postcopy {

class Region;

class Watch {
public:
	explicit Watch(u32 pages) : dirty(pages) {}
	~Watch() { corbel_free_pages(memory_); }
	Watch(const Watch &) = delete;
	Watch &operator=(const Watch &) = delete;

	/* @page has been written to, or will be by the entry that it gets. Any context but NMI. */
	void written(u32 page)
	{
		if (tracked_.load(rt::Order::acquire))
			dirty.mark(page);
	}

	[[nodiscard]] bool tracked() const { return tracked_.load(rt::Order::acquire); }
	[[nodiscard]] bool watched() const { return tracked() || seal.is_set(); }

	/* Changed by one at a time. */
	core::Result<void> start();
	void stop() { tracked_.store(false, rt::Order::seq_cst); }

	DirtyPages dirty;
	Seal seal;
	rt::Atomic<u64> tables{}; /* made */

private:
	void *memory_ = nullptr; /* of dirty */
	rt::Atomic<bool> tracked_{};
};

/* An ioctl that is about any of this; Error::no_such_ioctl: it is not. Task. */
core::Result<long> watch_request(Region &region, u32 command, u64 user);

} /* namespace corbel::postcopy */
