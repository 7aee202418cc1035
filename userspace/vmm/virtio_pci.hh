/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio_pci.hh - a virtio 1.0 device as a driver finds it on PCI: features, state and queues
 * behind a BAR of ports, its interrupt a level on INTx.
 *
 * It does nothing with what is in its queues: it notes which were notified, and the monitor
 * serves them before the guest goes on.
 */
#pragma once

#include "pci_function.hh"
#include "virtqueue.hh"

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

namespace corbel::vmm {

class VirtioPci {
public:
	static constexpr unsigned most_queues = 3;

	struct Model {
		std::uint16_t type; /* <linux/virtio_ids.h> */
		std::uint16_t class_code;
		std::uint64_t features; /* besides those that all have */
		std::uint16_t queues;
		std::span<const std::uint8_t> config; /* the device's own registers, read-only */
	};

	/* None. */
	VirtioPci() = default;
	VirtioPci(const Model &model, std::uint16_t first_port, std::uint8_t irq);

	[[nodiscard]] const PciFunction &function() const { return function_; }

	/* @size: 1, 2 or 4 bytes, of configuration space or of the BAR. */
	[[nodiscard]] std::uint32_t configuration(unsigned at, unsigned size);
	void configure(unsigned at, unsigned size, std::uint32_t value);
	[[nodiscard]] std::uint32_t in(unsigned at, unsigned size);
	void out(unsigned at, unsigned size, std::uint32_t value);

	[[nodiscard]] bool line() const { return interrupts_ && function_.may_interrupt(); }

	/* ---- for who serves it. The driver has set it up, and lets it touch memory. */
	[[nodiscard]] bool runs() const;
	[[nodiscard]] Virtqueue &queue(unsigned number) { return queues_[number]; }
	[[nodiscard]] const Virtqueue &queue(unsigned number) const { return queues_[number]; }
	/* A bit a queue: those notified since this was last asked. */
	[[nodiscard]] std::uint64_t take_notified();
	void interrupt();
	/* A queue is broken: nothing is served until the driver resets the device. */
	void need_reset();

private:
	[[nodiscard]] std::uint32_t common(unsigned at) const;
	void set_common(unsigned at, std::uint32_t value);
	void set_status(std::uint8_t value);
	/* The queue that the driver has selected, while it may set it up. */
	[[nodiscard]] Virtqueue *selected();
	[[nodiscard]] std::uint32_t through_window(unsigned &size) const;

	PciFunction function_;
	std::array<std::uint8_t, 60> config_{};
	std::uint64_t features_ = 0, driver_features_ = 0;
	std::array<Virtqueue, most_queues> queues_{};
	std::uint32_t device_select_ = 0, driver_select_ = 0;
	std::uint16_t queue_select_ = 0, nr_queues_ = 0, window_ = 0;
	std::uint8_t status_ = 0, interrupts_ = 0;
	std::uint64_t notified_ = 0; /* a bit a queue */
};

static_assert(std::has_unique_object_representations_v<VirtioPci>);

} /* namespace corbel::vmm */
