// SPDX-License-Identifier: GPL-2.0
/*
 * ring.cc - memory, mapping and wake-ups around the ring logic.
 */
#include <corbel/ring.h>

#include "../rt/context.hh"
#include "../rt/memory.hh"
#include "feature.h"
#include "ring_logic.hh"

using corbel::core::EventRing;
using corbel::core::RingMemory;
using corbel::rt::Box;
using corbel::rt::Context;
using corbel::rt::Error;
using corbel::rt::Order;
using corbel::rt::Pages;
using corbel::rt::Result;

namespace {

constexpr u64 page_bytes = 4096;

} /* namespace */

struct corbel_ring {
	EventRing logic;
	Pages control; /* one page, user space writes it */
	Pages data; /* head page, then the records; user space reads it */
	u64 data_bytes;
	corbel_waitqueue *readers;
	/* Somebody polled since the last wake-up; keeps producers off the irq_work. */
	corbel::rt::Atomic<u32> waiting;
	corbel::rt::Atomic<u32> ended;

	static Result<corbel_ring *> make(u32 order);
	~corbel_ring() { corbel_waitqueue_free(readers); }
};

Result<corbel_ring *> corbel_ring::make(u32 order)
{
	if (order < CORBEL_RING_MIN_ORDER || order > CORBEL_RING_MAX_ORDER)
		return Error::invalid;
	const u32 capacity = 1U << order;
	auto ring = CORBEL_TRY(Box<corbel_ring>::make(Context::task));

	ring->data_bytes = page_bytes + (u64{capacity} * sizeof(corbel_event) + page_bytes - 1) /
						page_bytes * page_bytes;
	ring->control = CORBEL_TRY(Pages::make(page_bytes, Pages::Use::mapped));
	ring->data = CORBEL_TRY(Pages::make(ring->data_bytes, Pages::Use::mapped));
	ring->readers = corbel_waitqueue_new();
	if (!ring->readers)
		return Error::no_memory;
	const RingMemory memory{
		.records = reinterpret_cast<corbel_event *>(ring->data.as<u8>() + page_bytes),
		.capacity = capacity,
		.ctl = ring->control.as<corbel_ring_ctl>(),
		.head = ring->data.as<corbel_ring_head>(),
	};
	CORBEL_TRY(ring->logic.init(memory));
	return ring.release();
}

struct corbel_ring *corbel_ring_new(u32 order)
{
	const auto ring = corbel_ring::make(order);

	return ring ? ring.value() : nullptr;
}

void corbel_ring_free(struct corbel_ring *ring)
{
	if (!ring)
		return;
	corbel_waitqueue_sync(ring->readers);
	(void)Box<corbel_ring>::adopt(ring);
}

void corbel_ring_produce(struct corbel_ring *ring, const struct corbel_event *event)
{
	ring->logic.produce({.tsc = event->tsc,
			     .vcpu = event->vcpu,
			     .type = event->type,
			     .vector = event->vector,
			     .path = event->path,
			     .arg = event->arg});
	if (ring->waiting.load(Order::relaxed) && ring->waiting.exchange(0, Order::acq_rel))
		corbel_waitqueue_wake(ring->readers);
}

void corbel_ring_end(struct corbel_ring *ring)
{
	ring->logic.end();
	ring->ended.store(1, Order::release);
	corbel_waitqueue_wake(ring->readers);
}

int corbel_ring_mmap(struct corbel_ring *ring, struct corbel_area *area)
{
	const u64 offset = corbel_area_offset(area);
	const u64 length = corbel_area_length(area);

	if (!corbel_area_shared(area))
		return corbel::rt::to_errno(Error::invalid);
	if (offset == CORBEL_RING_CTL_OFFSET && length == page_bytes)
		return corbel_area_map(area, ring->control.get(), 0);
	if (offset != CORBEL_RING_DATA_OFFSET || length > ring->data_bytes ||
	    corbel_area_writable(area))
		return corbel::rt::to_errno(Error::invalid);
	corbel_area_make_readonly(area);
	return corbel_area_map(area, ring->data.get(), 0);
}

u32 corbel_ring_poll(struct corbel_ring *ring, struct corbel_poll *poll)
{
	u32 ready = 0;

	corbel_poll_on(poll, ring->readers);
	/* Before looking: a record that comes after the look must wake us. */
	ring->waiting.exchange(1, Order::acq_rel);
	if (ring->logic.readable())
		ready |= CORBEL_POLL_IN;
	if (ring->ended.load(Order::acquire))
		ready |= CORBEL_POLL_HUP;
	return ready;
}
