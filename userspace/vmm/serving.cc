// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * serving.cc - what the guest put into queues is done at the exit that tells of it, all of it,
 * before the guest goes on: so it needs no place of its own in a recording.
 */
#include "monitor.hh"

#include <bit>

namespace corbel::vmm {

Result<void> Monitor::serve()
{
	for (const auto slot : all_slots) {
		auto notified = board_.pci().device(slot).take_notified();

		for (; notified; notified &= notified - 1)
			CORBEL_EXPECT(
				serve(slot, static_cast<unsigned>(std::countr_zero(notified))));
	}
	board_.advance(now_);
	return {};
}

/* As many requests as wait at first, whatever comes to be in the ring on the way. */
Result<void> Monitor::serve(Slot slot, unsigned number)
{
	auto &device = board_.pci().device(slot);
	auto &memory = machine_.memory();

	const bool has_packets = slot == Slot::net || slot == Slot::vsock;

	/* Room for packets is taken as they come, that for events never. */
	if (!device.runs() || (has_packets && number != PacketDevice::transmit_queue))
		return {};
	auto &queue = device.queue(number);
	auto left = queue.waiting(memory);
	const bool any = left > 0;

	for (; left > 0; left--) {
		const auto chain = queue.take(memory);

		if (!chain)
			break;
		queue.give(memory, *chain, CORBEL_EXPECT(backends_.serve(slot, *chain, journal_)));
	}
	if (queue.broken())
		device.need_reset();
	else if (any && queue.interrupts(memory))
		device.interrupt();
	return {};
}

} /* namespace corbel::vmm */
