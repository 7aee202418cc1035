// SPDX-License-Identifier: GPL-2.0-or-later
#include "virtqueue.hh"

#include <algorithm>
#include <cstring>

namespace corbel::vmm {

namespace {

/* <linux/virtio_ring.h> is no C++. */
constexpr std::uint16_t flag_next = 1, flag_write = 2, flag_indirect = 4;
constexpr std::uint16_t no_interrupt = 1; /* of the driver's ring */
constexpr unsigned ring_head = 4, descriptor_bytes = 16, used_bytes = 8;

template <typename T>
T load(const GuestMemory &memory, std::uint64_t at)
{
	T value{};

	if (const auto bytes = memory.readable(at, sizeof(T)); !bytes.empty())
		std::memcpy(&value, bytes.data(), sizeof(T));
	return value;
}

template <typename T>
void store(GuestMemory &memory, std::uint64_t at, T value)
{
	if (const auto bytes = memory.writable(at, sizeof(T)); !bytes.empty())
		std::memcpy(bytes.data(), &value, sizeof(T));
}

/* Calls copy(piece, place in the whole) for the part of each piece that is behind @at. */
template <typename Pieces, typename Copy>
std::size_t each_piece(const Pieces &pieces, std::uint64_t at, std::size_t bytes, Copy copy)
{
	std::size_t done = 0;

	for (const auto &piece : pieces) {
		if (at >= piece.size()) {
			at -= piece.size();
			continue;
		}
		const auto part = piece.subspan(at, std::min(piece.size() - at, bytes - done));

		copy(part, done);
		done += part.size();
		at = 0;
		if (done == bytes)
			break;
	}
	return done;
}

} /* namespace */

std::size_t Chain::read(std::uint64_t at, std::span<std::byte> into) const
{
	return each_piece(readable, at, into.size(), [&](auto part, std::size_t done) {
		std::ranges::copy(part, into.begin() + static_cast<std::ptrdiff_t>(done));
	});
}

std::size_t Chain::write(std::uint64_t at, std::span<const std::byte> bytes) const
{
	return each_piece(writable, at, bytes.size(), [&](auto part, std::size_t done) {
		std::ranges::copy(bytes.subspan(done, part.size()), part.begin());
	});
}

/* Of a queue that does, what is in the rings can be loaded and stored. */
bool Virtqueue::lies_in(const GuestMemory &memory) const
{
	return !memory.readable(descriptors, std::uint64_t{size} * descriptor_bytes).empty() &&
	       !memory.readable(driver, ring_head + std::uint64_t{size} * 2).empty() &&
	       !memory.readable(device, ring_head + std::uint64_t{size} * used_bytes).empty();
}

unsigned Virtqueue::waiting(const GuestMemory &memory)
{
	if (!enabled || broken_)
		return 0;
	const auto ahead =
		static_cast<std::uint16_t>(load<std::uint16_t>(memory, driver + 2) - next_);

	broken_ = !lies_in(memory) || ahead > size;
	return broken_ ? 0 : ahead;
}

std::optional<Chain> Virtqueue::take(GuestMemory &memory)
{
	Chain chain;

	chain.head = load<std::uint16_t>(memory, driver + ring_head + next_ % size * 2);
	if (chain.head >= size || !walk(memory, descriptors, size, chain.head, false, chain)) {
		broken_ = 1;
		return std::nullopt;
	}
	next_++;
	return chain;
}

/* At most as many descriptors as there are: a chain that bites its tail ends too. */
bool Virtqueue::walk(GuestMemory &memory, std::uint64_t table, unsigned entries, unsigned first,
		     bool nested, Chain &chain) const
{
	unsigned at = first;

	for (unsigned count = 0; count < entries; count++) {
		const auto descriptor = load<Descriptor>(memory, table + at * descriptor_bytes);
		const bool last = !(descriptor.flags & flag_next);

		if (descriptor.flags & flag_indirect) {
			const auto inner = descriptor.bytes / descriptor_bytes;

			return !nested && last && inner > 0 && inner <= most &&
			       descriptor.bytes % descriptor_bytes == 0 &&
			       !memory.readable(descriptor.address, descriptor.bytes).empty() &&
			       walk(memory, descriptor.address, inner, 0, true, chain);
		}
		if (!add(memory, descriptor, chain))
			return false;
		if (last)
			return true;
		if (descriptor.next >= entries)
			return false;
		at = descriptor.next;
	}
	return false;
}

/* No request is larger than the memory it is in, so what is done for one has a bound. */
bool Virtqueue::add(GuestMemory &memory, const Descriptor &descriptor, Chain &chain)
{
	const auto [address, bytes, flags, next] = descriptor;

	if (bytes >
	    memory.size() - std::min(memory.size(), chain.readable_bytes + chain.writable_bytes))
		return false;
	if (flags & flag_write) {
		chain.writable.push_back(memory.writable(address, bytes));
		chain.writable_bytes += bytes;
		return !chain.writable.back().empty();
	}
	chain.readable.push_back(memory.readable(address, bytes));
	chain.readable_bytes += bytes;
	return chain.writable.empty() && !chain.readable.back().empty();
}

void Virtqueue::give(GuestMemory &memory, const Chain &chain, std::uint32_t written)
{
	const auto at = device + ring_head + used_ % size * used_bytes;

	store<std::uint32_t>(memory, at, chain.head);
	store<std::uint32_t>(memory, at + 4, written);
	used_++;
	store<std::uint16_t>(memory, device + 2, used_);
}

bool Virtqueue::interrupts(const GuestMemory &memory) const
{
	return !(load<std::uint16_t>(memory, driver) & no_interrupt);
}

} /* namespace corbel::vmm */
