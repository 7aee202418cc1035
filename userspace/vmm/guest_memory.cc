// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest_memory.hh"

#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cerrno>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

std::vector<std::uint64_t> pages_of(std::span<const std::uint64_t> bitmap)
{
	std::vector<std::uint64_t> pages;

	for (std::size_t i = 0; i < bitmap.size(); i++)
		for (auto bits = bitmap[i]; bits; bits &= bits - 1)
			pages.push_back(i * 64 + static_cast<unsigned>(std::countr_zero(bits)));
	return pages;
}

} /* namespace */

Result<GuestMemory> GuestMemory::create(std::uint64_t bytes)
{
	if (bytes % page_bytes || bytes < std::uint64_t{16} << 20 || bytes > std::uint64_t{3} << 30)
		return failure(EINVAL, fmt::format("{} bytes cannot be the memory of a guest: from "
						   "16 MiB to 3 GiB can, in pages of 4 KiB.",
						   bytes));
	ScopedFd fd(::memfd_create("corbel-guest", MFD_CLOEXEC));

	if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0)
		return failure(errno, "There is no memory for the guest: " + describe_errno(errno));
	auto mapping = CORBEL_EXPECT(Mapping::writable(fd.get(), 0, bytes));

	return GuestMemory(std::move(fd), std::move(mapping));
}

GuestMemory::GuestMemory(ScopedFd fd, Mapping mapping)
	: fd_(std::move(fd)),
	  mapping_(std::move(mapping)),
	  digests_(pages()),
	  written_((pages() + 63) / 64),
	  changed_(written_.size())
{
	/* A page of zeros counts nothing until it is written. */
}

std::span<const std::byte> GuestMemory::readable(std::uint64_t address, std::uint64_t bytes) const
{
	if (bytes > size() || address > size() - bytes)
		return {};
	return {static_cast<const std::byte *>(mapping_.data()) + address, bytes};
}

std::span<std::byte> GuestMemory::writable(std::uint64_t address, std::uint64_t bytes)
{
	if (readable(address, bytes).empty())
		return {};
	for (auto page = address / page_bytes; page <= (address + bytes - 1) / page_bytes; page++)
		for (auto *const pages : {&written_, &changed_})
			(*pages)[page / 64] |= std::uint64_t{1} << page % 64;
	return {base() + address, bytes};
}

void GuestMemory::note_written(std::span<const std::uint64_t> bitmap)
{
	for (std::size_t i = 0; i < written_.size() && i < bitmap.size(); i++) {
		written_[i] |= bitmap[i];
		changed_[i] |= bitmap[i];
	}
}

std::vector<std::uint64_t> GuestMemory::written_pages() const
{
	return pages_of(written_);
}

std::vector<std::uint64_t> GuestMemory::changed_pages() const
{
	return pages_of(changed_);
}

void GuestMemory::forget_changed()
{
	std::ranges::fill(changed_, 0);
}

std::uint64_t GuestMemory::digest()
{
	static constexpr std::byte zeros[page_bytes] = {};

	for (const auto page : written_pages()) {
		const auto bytes = readable(page * page_bytes, page_bytes);
		/* As if it had never been touched: who looks at more pages finds the same. */
		const auto digest = std::memcmp(bytes.data(), zeros, page_bytes) == 0
					    ? 0
					    : XXH3_64bits_withSeed(bytes.data(), page_bytes, page);

		sum_ += digest - digests_[page];
		digests_[page] = digest;
	}
	std::ranges::fill(written_, 0);
	return sum_;
}

} /* namespace corbel::vmm */
