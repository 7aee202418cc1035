/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_memory.hh - the RAM of the guest, from address 0 on without a hole, and digests of it.
 *
 * The digest of all of it is the sum of its pages', so that only those that were written since
 * the last time need to be looked at again. KVM knows which the guest wrote; what the monitor
 * writes it says itself, by writable().
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/mapping.hh>
#include <libcorbel/scoped_fd.hh>

#include <cstdint>
#include <span>
#include <vector>

namespace corbel::vmm {

constexpr std::size_t page_bytes = 4096;

class GuestMemory {
public:
	using Page = std::span<std::byte, page_bytes>;
	using ConstPage = std::span<const std::byte, page_bytes>;

	[[nodiscard]] static Result<GuestMemory> create(std::uint64_t bytes);

	[[nodiscard]] std::uint64_t size() const { return mapping_.size(); }
	[[nodiscard]] std::size_t pages() const { return size() / page_bytes; }
	[[nodiscard]] std::byte *base() { return static_cast<std::byte *>(mapping_.data()); }

	/* Empty: not all of that is there. */
	[[nodiscard]] std::span<const std::byte> readable(std::uint64_t address,
							  std::uint64_t bytes) const;
	/* Counts as written. */
	[[nodiscard]] std::span<std::byte> writable(std::uint64_t address, std::uint64_t bytes);

	/* A bit a page: what was written, by anybody, since the last digest(). */
	void note_written(std::span<const std::uint64_t> bitmap);
	[[nodiscard]] std::vector<std::uint64_t> written_pages() const;
	[[nodiscard]] std::uint64_t digest();
	/* As note_written() and writable() told, since forget_changed() was called. */
	[[nodiscard]] std::vector<std::uint64_t> changed_pages() const;
	void forget_changed();

private:
	GuestMemory(ScopedFd fd, Mapping mapping);

	ScopedFd fd_;
	Mapping mapping_;
	std::vector<std::uint64_t> digests_; /* of pages */
	std::vector<std::uint64_t> written_, changed_;
	std::uint64_t sum_ = 0;
};

} /* namespace corbel::vmm */
