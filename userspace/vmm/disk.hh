/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * disk.hh - a disk whose image is never written: what the guest writes lies over it, in
 * memory, for as long as the guest runs. A replay makes the same of the image and the same
 * writes, so that a recording has nothing of what is on a disk but digests.
 */
#pragma once

#include "header.hh"

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>

namespace corbel::vmm {

constexpr std::uint64_t sector_bytes = 512;

/* What was written, by block; those of zeros are one. A copy shares what neither writes. */
class Overlay {
public:
	static constexpr std::uint64_t block_bytes = 4096;
	using Block = std::array<std::byte, block_bytes>;

	/* Null: it was not written. */
	[[nodiscard]] const Block *find(std::uint64_t number) const;
	/* To be written to. Where there was none, it is all zeros. */
	[[nodiscard]] Block &at(std::uint64_t number);
	void set_zero(std::uint64_t number);
	/* As if it had never been written. */
	void remove(std::uint64_t number);

	/* Those that at(), set_zero() or remove() was called of since forget_changed(). */
	[[nodiscard]] const std::set<std::uint64_t> &changed() const { return changed_; }
	void forget_changed() { changed_.clear(); }

	[[nodiscard]] std::uint64_t digest() const;

private:
	std::map<std::uint64_t, std::shared_ptr<Block>> blocks_;
	std::set<std::uint64_t> changed_;
};

class Disk {
public:
	/* @path: raw, a file or a block device. It is read once, for its SHA-256. */
	[[nodiscard]] static Result<Disk> open(const std::string &path);
	/* Of the same image, and nothing of it was written. */
	[[nodiscard]] Result<Disk> another() const;

	/*
	 * Of images above 256 MiB the sum is that of 256 pieces of 1 MiB, evenly spread. What a
	 * guest read of the rest is compared when a replay reads it.
	 */
	[[nodiscard]] const Image &image() const { return image_; }
	[[nodiscard]] std::uint64_t sectors() const { return image_.bytes / sector_bytes; }
	[[nodiscard]] const Overlay &overlay() const { return overlay_; }
	[[nodiscard]] Overlay &overlay() { return overlay_; }

	/* Whole sectors that there are. An error is the image's, and leaves the disk as it was. */
	[[nodiscard]] Result<void> read(std::uint64_t sector, std::span<std::byte> into) const;
	[[nodiscard]] Result<void> write(std::uint64_t sector, std::span<const std::byte> bytes);
	[[nodiscard]] Result<void> zero(std::uint64_t sector, std::uint64_t sectors);

private:
	Disk(ScopedFd base, Image image) : base_(std::move(base)), image_(std::move(image)) {}

	[[nodiscard]] Result<void> read_base(std::uint64_t at, std::span<std::byte> into) const;
	/* Calls fill(block, place in it, bytes) for each block of them. */
	template <typename Fill>
	Result<void> change(std::uint64_t at, std::uint64_t bytes, Fill fill);

	ScopedFd base_;
	Image image_;
	Overlay overlay_;
};

} /* namespace corbel::vmm */
