/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The consumer's side of an event ring, see <corbel/ring.h>.
 */
#pragma once

#include "device.hh"

#include <atomic>
#include <optional>

namespace corbel::selftest {

class ring_reader {
public:
	ring_reader(int irq, unsigned order, unsigned events);
	~ring_reader();
	ring_reader(const ring_reader &) = delete;

	int fd() const { return ring.get(); }
	__u32 capacity() const { return head->capacity; }
	__u64 produced_index() const
	{
		return std::atomic_ref(const_cast<__u64 &>(head->head))
			.load(std::memory_order_acquire);
	}
	__u64 lost() const
	{
		return std::atomic_ref(const_cast<__u64 &>(head->lost))
			.load(std::memory_order_acquire);
	}
	bool ended() const
	{
		return std::atomic_ref(const_cast<__u64 &>(head->ended))
			.load(std::memory_order_acquire);
	}
	const corbel_ring_head &header() const { return *head; }
	__u64 unread() const { return produced_index() - tail; }

	/* The next record if it is complete. */
	std::optional<corbel_event> next();

	/* Writes any value to the shared tail, right or wrong. */
	void write_tail(__u64 value);

	/* poll(2) with a limit; answers revents, 0 when nothing came. */
	short wait(int milliseconds) const;

	__u64 consumed = 0;

private:
	unique_fd ring;
	corbel_ring_ctl *ctl = nullptr;
	const corbel_ring_head *head = nullptr;
	const corbel_event *events = nullptr;
	size_t data_size = 0;
	__u64 tail = 0;
};

inline unsigned event_bit(unsigned type)
{
	return 1u << type;
}

} // namespace corbel::selftest
