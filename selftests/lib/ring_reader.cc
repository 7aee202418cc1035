// SPDX-License-Identifier: GPL-2.0-or-later
#include "ring_reader.hh"

#include <poll.h>
#include <sys/mman.h>

namespace corbel::selftest {

namespace {
constexpr size_t page = 4096;
}

ring_reader::ring_reader(int irq, unsigned order, unsigned wanted)
{
	corbel_irq_ring argument = {};

	argument.order = order;
	argument.events = wanted;
	int result = request(irq, CORBEL_IRQ_RING, argument);
	CHECK(result >= 0, "CORBEL_IRQ_RING answers {}", error_name(result));
	ring.reset(result);

	void *control = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd(),
			     CORBEL_RING_CTL_OFFSET);
	CHECK(control != MAP_FAILED, "mapping a ring's control page: {}", error_name(errno));
	ctl = static_cast<corbel_ring_ctl *>(control);

	data_size = page + (((sizeof(corbel_event) << order) + page - 1) & -page);
	void *data = mmap(nullptr, data_size, PROT_READ, MAP_SHARED, fd(), CORBEL_RING_DATA_OFFSET);
	CHECK(data != MAP_FAILED, "mapping a ring's records: {}", error_name(errno));
	head = static_cast<const corbel_ring_head *>(data);
	events = reinterpret_cast<const corbel_event *>(static_cast<char *>(data) + page);

	CHECK_EQ(head->magic, CORBEL_RING_MAGIC, "ring header");
	CHECK_EQ(head->version, CORBEL_RING_VERSION, "ring header");
	CHECK_EQ(head->record_size, sizeof(corbel_event), "ring header");
	CHECK_EQ(head->capacity, 1u << order, "ring header");
}

ring_reader::~ring_reader()
{
	if (ctl)
		munmap(ctl, page);
	if (head)
		munmap(const_cast<corbel_ring_head *>(head), data_size);
}

std::optional<corbel_event> ring_reader::next()
{
	const corbel_event &slot = events[tail % head->capacity];

	if (std::atomic_ref(const_cast<__u64 &>(slot.seq)).load(std::memory_order_acquire) !=
	    tail + 1)
		return std::nullopt;
	corbel_event copy = slot;
	write_tail(++tail);
	consumed++;
	return copy;
}

void ring_reader::write_tail(__u64 value)
{
	std::atomic_ref(ctl->tail).store(value, std::memory_order_release);
}

short ring_reader::wait(int milliseconds) const
{
	pollfd entry = {fd(), POLLIN, 0};

	return poll(&entry, 1, milliseconds) > 0 ? entry.revents : 0;
}

} // namespace corbel::selftest
