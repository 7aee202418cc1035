/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ring_logic.hh - producer side of an event ring, see <corbel/ring.h>.
 *
 * DOC: many producers, no lock, any context
 *
 * Producers are hooks in interrupt delivery: they run on every CPU, in hard
 * interrupts too, and one may interrupt another in the middle of a record. So
 * nobody waits for anybody. State is one private word,
 *
 *	place_ = index of the next record * 2 + loss
 *
 * and a record is made in three steps:
 *
 *  1. Reserve. Read the consumer's tail, and if index - tail is less than the
 *     capacity, compare-exchange place_ to the next index. The loss bit is taken
 *     in the same step: of the records after a drop it goes to the one with the
 *     lowest index, whoever writes it. If the ring is full, count, set the bit.
 *  2. Fill every member but seq.
 *  3. Store seq = index + 1 with release order.
 *
 * The tail is user memory and can be anything at any time. It is read once for
 * each attempt and takes part in one comparison: with a tail that claims more
 * than was produced, or less than capacity ago, index - tail is, as an unsigned
 * number, no less than the capacity, and the ring is full. A tail that lies
 * within the window lets the producers overwrite what that consumer has not read.
 * An index into the records comes from place_ alone.
 *
 * Memory order. (P, Q: producers, C: consumer, n: capacity.)
 *
 *  - C sees seq == i + 1 by an acquire load, which synchronises with P's release
 *    store of it: all of record i is visible to C.
 *  - C stores the tail i + 1 with release after its copy of record i. Q, which
 *    reuses the slot for i + n, reserved it only upon an acquire load of a tail
 *    > i: C's reads, and by the line above P's writes, happen before Q's writes.
 *    So the slot has one owner at a time, whatever the compare-exchange orders.
 *  - A drop counts first and then sets the loss bit with release. The
 *    compare-exchange that takes the bit acquires it, so a consumer that reads
 *    the flag finds head->lost grown already.
 *  - Until Q stores its seq, the slot shows the seq i + 1 of the last round, which
 *    C, now waiting for i + n + 1, does not take for its own.
 *  - A consumer that lies about its tail can make two producers share a slot. The
 *    members are therefore written as relaxed atomics: what it reads then is
 *    mixed up, which it asked for, but no race is undefined here.
 *
 * The head page is a copy for user space and never read back. head counts up by
 * one before the record's seq is stored, so a consumer, which goes in order,
 * never sees head < tail; at a quiet moment it equals the private index.
 */
#pragma once

#include <corbel/ring.h>

#include "../rt/atomic.hh"
#include "../rt/result.hh"

#include <bit>
#include <cstdint>

namespace corbel::core {

static_assert(sizeof(corbel_event) == 32 && sizeof(corbel_ring_head) == 40);

/* The memory of a ring. Zeroed when handed in; outlives the EventRing. */
struct RingMemory {
	corbel_event *records;
	std::uint32_t capacity;
	const corbel_ring_ctl *ctl; /* user space writes it */
	corbel_ring_head *head; /* user space reads it */
};

/* What a producer says about an event; the ring adds seq and the loss flag. */
struct RingEvent {
	std::uint64_t tsc;
	std::uint32_t vcpu;
	std::uint8_t type;
	std::uint8_t vector;
	std::uint8_t path;
	std::uint64_t arg;
};

class EventRing {
public:
	constexpr EventRing() = default;
	EventRing(const EventRing &) = delete;
	EventRing &operator=(const EventRing &) = delete;

	/* Once, before any producer or user space can reach the ring. */
	rt::Result<void> init(const RingMemory &memory)
	{
		if (!std::has_single_bit(memory.capacity) ||
		    memory.capacity < 1U << CORBEL_RING_MIN_ORDER ||
		    memory.capacity > 1U << CORBEL_RING_MAX_ORDER)
			return rt::Error::invalid;

		memory_ = memory;
		memory.head->magic = CORBEL_RING_MAGIC;
		memory.head->version = CORBEL_RING_VERSION;
		memory.head->record_size = sizeof(corbel_event);
		memory.head->capacity = memory.capacity;
		return {};
	}

	/* Any context. False: the ring was full, the event is counted as lost. */
	bool produce(const RingEvent &event)
	{
		std::uint64_t place = place_.load(rt::Order::relaxed);

		do {
			const auto tail = rt::atomic_load(&memory_.ctl->tail, rt::Order::acquire);
			if (index_of(place) - tail >= memory_.capacity) {
				drop();
				return false;
			}
		} while (!place_.compare_exchange(place, (index_of(place) + 1) * 2,
						  rt::Order::acquire));

		rt::atomic_fetch_add(&memory_.head->head, 1, rt::Order::relaxed);
		fill(index_of(place), place & loss ? CORBEL_EVENT_F_LOSS : 0, event);
		return true;
	}

	/* Any context. Whether the record that the consumer waits for is complete. */
	[[nodiscard]] bool readable() const
	{
		const auto tail = rt::atomic_load(&memory_.ctl->tail, rt::Order::relaxed);

		return rt::atomic_load(&slot(tail).seq, rt::Order::acquire) == tail + 1;
	}

	/* No producer will come any more; those that did have finished. */
	void end() { rt::atomic_store(&memory_.head->ended, 1, rt::Order::release); }

	/* Records reserved so far, and events dropped. */
	[[nodiscard]] std::uint64_t produced() const
	{
		return index_of(place_.load(rt::Order::relaxed));
	}
	[[nodiscard]] std::uint64_t lost() const { return lost_.load(rt::Order::relaxed); }

private:
	static constexpr std::uint64_t loss = 1;

	static constexpr std::uint64_t index_of(std::uint64_t place) { return place / 2; }

	[[nodiscard]] corbel_event &slot(std::uint64_t index) const
	{
		return memory_.records[index & (memory_.capacity - 1)];
	}

	void drop()
	{
		lost_.fetch_add(1, rt::Order::relaxed);
		rt::atomic_fetch_add(&memory_.head->lost, 1, rt::Order::relaxed);
		place_.fetch_or(loss, rt::Order::release);
	}

	void fill(std::uint64_t index, std::uint8_t flags, const RingEvent &event)
	{
		constexpr auto relaxed = rt::Order::relaxed;
		corbel_event &record = slot(index);

		rt::atomic_store(&record.tsc, event.tsc, relaxed);
		rt::atomic_store(&record.vcpu, event.vcpu, relaxed);
		rt::atomic_store(&record.type, event.type, relaxed);
		rt::atomic_store(&record.vector, event.vector, relaxed);
		rt::atomic_store(&record.path, event.path, relaxed);
		rt::atomic_store(&record.flags, flags, relaxed);
		rt::atomic_store(&record.arg, event.arg, relaxed);
		rt::atomic_store(&record.seq, index + 1, rt::Order::release);
	}

	rt::Atomic<std::uint64_t> place_{};
	rt::Atomic<std::uint64_t> lost_{};
	RingMemory memory_{};
};

} /* namespace corbel::core */
