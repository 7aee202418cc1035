// SPDX-License-Identifier: GPL-2.0-or-later
#include "disk.hh"

#include "sha256.hh"

#include <libcorbel/whole_io.hh>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

constexpr std::uint64_t piece_bytes = 1 << 20, most_pieces = 256;

/* An image that ends before is one that cannot be read. */
int read_image(int fd, std::uint64_t at, std::span<std::byte> into)
{
	const int error = read_whole(fd, at, into);

	return error == ENODATA ? EIO : error;
}

} /* namespace */

/* ---- what was written -------------------------------------------------------------- */

const Overlay::Block *Overlay::find(std::uint64_t number) const
{
	const auto found = blocks_.find(number);

	return found == blocks_.end() ? nullptr : found->second.get();
}

Overlay::Block &Overlay::at(std::uint64_t number)
{
	auto &block = blocks_[number];

	changed_.insert(number);
	if (!block)
		block = std::make_shared<Block>();
	else if (block.use_count() > 1)
		block = std::make_shared<Block>(*block);
	return *block;
}

void Overlay::set_zero(std::uint64_t number)
{
	static const auto zeros = std::make_shared<Block>();

	changed_.insert(number);
	blocks_[number] = zeros;
}

void Overlay::remove(std::uint64_t number)
{
	changed_.insert(number);
	blocks_.erase(number);
}

std::uint64_t Overlay::digest() const
{
	std::uint64_t sum = 0;

	for (const auto &[number, block] : blocks_)
		sum += XXH3_64bits_withSeed(block->data(), block->size(), number);
	return sum;
}

/* ---- the disk ---------------------------------------------------------------------- */

Result<Disk> Disk::open(const std::string &path)
{
	const auto cannot = [&](int error) {
		return failure(error, fmt::format("The disk {} cannot be read: {}.", path,
						  describe_errno(error)));
	};
	ScopedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
	const auto end = fd ? ::lseek(fd.get(), 0, SEEK_END) : -1;

	if (end < 0)
		return cannot(errno);
	const auto bytes = static_cast<std::uint64_t>(end);

	if (bytes == 0 || bytes % sector_bytes)
		return failure(EINVAL, fmt::format("The disk {} has {} bytes, which is not a "
						   "number of sectors of 512: it is no raw image.",
						   path, bytes));
	const auto stride =
		std::max(piece_bytes, bytes / most_pieces / sector_bytes * sector_bytes);
	std::vector<std::byte> piece(piece_bytes);
	Sha256 sum;

	for (std::uint64_t at = 0; at < bytes; at += stride) {
		const auto part = std::span(piece).first(std::min(piece_bytes, bytes - at));

		if (const int error = read_image(fd.get(), at, part))
			return cannot(error);
		sum.add({reinterpret_cast<const char *>(part.data()), part.size()});
	}
	return Disk(std::move(fd), {path, bytes, sum.text()});
}

Result<Disk> Disk::another() const
{
	ScopedFd fd(::fcntl(base_.get(), F_DUPFD_CLOEXEC, 3));

	if (!fd)
		return failure(errno, fmt::format("The disk {} cannot be opened again: {}.",
						  image_.path, describe_errno(errno)));
	return Disk(std::move(fd), image_);
}

Result<void> Disk::read_base(std::uint64_t at, std::span<std::byte> into) const
{
	/* The last block may be cut, and is zero behind. */
	const auto there = into.first(std::min<std::uint64_t>(into.size(), image_.bytes - at));

	std::ranges::fill(into.subspan(there.size()), std::byte{0});
	if (const int error = read_image(base_.get(), at, there))
		return failure(EIO, fmt::format("The disk {} cannot be read at byte {}: {}.",
						image_.path, at, describe_errno(error)));
	return {};
}

Result<void> Disk::read(std::uint64_t sector, std::span<std::byte> into) const
{
	constexpr auto block_bytes = Overlay::block_bytes;
	auto at = sector * sector_bytes;

	/* Of the image, as much at once as nothing lies over. */
	for (std::uint64_t from_base = 0; !into.empty();) {
		const auto *const block = overlay_.find((at + from_base) / block_bytes);
		const auto place = (at + from_base) % block_bytes;
		const auto part = std::min(into.size() - from_base, block_bytes - place);

		if (!block)
			from_base += part;
		if (from_base && (block || from_base == into.size())) {
			CORBEL_EXPECT(read_base(at, into.first(from_base)));
			at += from_base;
			into = into.subspan(std::exchange(from_base, 0));
		}
		if (block && !into.empty()) {
			std::memcpy(into.data(), block->data() + place, part);
			at += part;
			into = into.subspan(part);
		}
	}
	return {};
}

template <typename Fill>
Result<void> Disk::change(std::uint64_t at, std::uint64_t bytes, Fill fill)
{
	constexpr auto block_bytes = Overlay::block_bytes;
	const auto end = at + bytes;
	std::map<std::uint64_t, Overlay::Block> edges;

	/* What can fail first: blocks that are written in part are the image's otherwise. */
	for (const auto byte : {at, end}) {
		const auto number = byte / block_bytes;

		if (byte % block_bytes && !overlay_.find(number) && !edges.contains(number))
			CORBEL_EXPECT(read_base(number * block_bytes, edges[number]));
	}
	for (auto [number, block] : edges)
		overlay_.at(number) = block;
	while (at < end) {
		const auto place = at % block_bytes;
		const auto part = std::min(end - at, block_bytes - place);

		fill(at / block_bytes, place, part);
		at += part;
	}
	return {};
}

Result<void> Disk::write(std::uint64_t sector, std::span<const std::byte> bytes)
{
	return change(sector * sector_bytes, bytes.size(),
		      [&](std::uint64_t number, std::uint64_t place, std::uint64_t part) {
			      std::memcpy(overlay_.at(number).data() + place, bytes.data(), part);
			      bytes = bytes.subspan(part);
		      });
}

Result<void> Disk::zero(std::uint64_t sector, std::uint64_t sectors)
{
	return change(sector * sector_bytes, sectors * sector_bytes,
		      [&](std::uint64_t number, std::uint64_t place, std::uint64_t part) {
			      if (part == Overlay::block_bytes)
				      overlay_.set_zero(number);
			      else
				      std::memset(overlay_.at(number).data() + place, 0, part);
		      });
}

} /* namespace corbel::vmm */
