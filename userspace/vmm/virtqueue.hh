/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtqueue.hh - a split virtqueue of virtio 1.0, device's side. The rings are the guest's, who
 * is trusted with nothing: whatever they hold, only the guest's memory is touched, and a queue
 * whose rings make no sense is broken until the driver resets the device.
 */
#pragma once

#include "guest_memory.hh"

#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace corbel::vmm {

/* A request: what the device may read of it, and what it may write, each in order. */
struct Chain {
	std::uint16_t head = 0;
	std::uint64_t readable_bytes = 0, writable_bytes = 0;
	std::vector<std::span<const std::byte>> readable;
	std::vector<std::span<std::byte>> writable;

	/* As many bytes from @at on as there are, from and to the pieces. */
	std::size_t read(std::uint64_t at, std::span<std::byte> into) const;
	std::size_t write(std::uint64_t at, std::span<const std::byte> bytes) const;
};

class Virtqueue {
public:
	static constexpr std::uint16_t most = 256;

	Virtqueue() : Virtqueue(most) {}
	explicit Virtqueue(std::uint16_t size) : size(size) {}

	/* ---- as the driver sets it up */
	std::uint64_t descriptors = 0, driver = 0, device = 0;
	std::uint16_t size, enabled = 0;

	/* ---- as the device uses it. How many requests wait. */
	[[nodiscard]] unsigned waiting(const GuestMemory &memory);
	/* The next of them; nothing: the queue is broken. */
	[[nodiscard]] std::optional<Chain> take(GuestMemory &memory);
	/* Back to the driver, with so many bytes written. */
	void give(GuestMemory &memory, const Chain &chain, std::uint32_t written);
	/* Whether the driver wants to be told. */
	[[nodiscard]] bool interrupts(const GuestMemory &memory) const;
	[[nodiscard]] bool broken() const { return broken_; }

private:
	struct Descriptor {
		std::uint64_t address;
		std::uint32_t bytes;
		std::uint16_t flags, next;
	};

	[[nodiscard]] bool lies_in(const GuestMemory &memory) const;
	[[nodiscard]] bool walk(GuestMemory &memory, std::uint64_t table, unsigned entries,
				unsigned first, bool nested, Chain &chain) const;
	static bool add(GuestMemory &memory, const Descriptor &descriptor, Chain &chain);

	std::uint16_t next_ = 0, used_ = 0;
	std::uint64_t broken_ = 0;
};

static_assert(std::has_unique_object_representations_v<Virtqueue>);

} /* namespace corbel::vmm */
