// SPDX-License-Identifier: GPL-2.0-or-later
#include "virtio_blk.hh"

#include <linux/virtio_ids.h>

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

constexpr std::uint16_t class_storage = 0x0180;
constexpr std::uint32_t most_segments = 126, segment_bytes = 128 << 10;
constexpr std::uint64_t most_bytes = std::uint64_t{most_segments} * segment_bytes;
constexpr std::uint32_t most_zeroed = 32768; /* sectors */
constexpr std::string_view serial = "corbel";

constexpr std::uint64_t bit(unsigned feature)
{
	return std::uint64_t{1} << feature;
}

} /* namespace */

BlockDevice::BlockDevice(Disk disk) : disk_(std::move(disk))
{
	config_.capacity = disk_.sectors();
	config_.size_max = segment_bytes;
	config_.seg_max = most_segments;
	config_.blk_size = sector_bytes;
	config_.max_discard_sectors = config_.max_write_zeroes_sectors = most_zeroed;
	config_.max_discard_seg = config_.max_write_zeroes_seg = 1;
	config_.discard_sector_alignment = Overlay::block_bytes / sector_bytes;
	config_.write_zeroes_may_unmap = 1;
}

VirtioPci::Model BlockDevice::model() const
{
	/* Up to what the features above have. */
	constexpr std::size_t used = offsetof(virtio_blk_config, write_zeroes_may_unmap) + 4;

	return {VIRTIO_ID_BLOCK,
		class_storage,
		bit(VIRTIO_BLK_F_SIZE_MAX) | bit(VIRTIO_BLK_F_SEG_MAX) |
			bit(VIRTIO_BLK_F_BLK_SIZE) | bit(VIRTIO_BLK_F_FLUSH) |
			bit(VIRTIO_BLK_F_DISCARD) | bit(VIRTIO_BLK_F_WRITE_ZEROES),
		1,
		{reinterpret_cast<const std::uint8_t *>(&config_), used}};
}

bool BlockDevice::has(std::uint64_t sector, std::uint64_t bytes) const
{
	return bytes > 0 && bytes % sector_bytes == 0 && bytes <= most_bytes &&
	       sector <= disk_.sectors() && bytes / sector_bytes <= disk_.sectors() - sector;
}

template <typename Attempt>
Result<bool> BlockDevice::attempt(Journal &journal, Attempt &&attempt)
{
	if (journal.mode() != Mode::replay)
		return attempt().has_value();
	const auto then = CORBEL_EXPECT(journal.peek());

	if (kind_of(then) == Kind::disk && info_of(then) == VIRTIO_BLK_S_IOERR)
		return false;
	CORBEL_EXPECT(attempt());
	return true;
}

Result<std::uint32_t> BlockDevice::serve(const Chain &chain, Journal &journal)
{
	virtio_blk_outhdr header{};

	/* Without a place for the status there is nothing that could be told. */
	if (chain.writable_bytes == 0)
		return 0;
	const auto whole =
		chain.read(0, std::as_writable_bytes(std::span(&header, 1))) == sizeof(header);
	const auto outcome = whole ? CORBEL_EXPECT(perform(header, chain, journal))
				   : Outcome{VIRTIO_BLK_S_IOERR};

	counts_.requests++;
	counts_.failed += outcome.status == VIRTIO_BLK_S_IOERR;
	CORBEL_EXPECT(journal.agree(Kind::disk, outcome.status, outcome.digest,
				    fmt::format("request {} of the disk, of type {} at sector {}",
						counts_.requests, header.type, header.sector)));
	chain.write(0, std::span(buffer_).first(outcome.data));
	chain.write(chain.writable_bytes - 1, std::as_bytes(std::span(&outcome.status, 1)));
	return static_cast<std::uint32_t>(outcome.data + 1);
}

/* Data passes through the buffer: a request that fails changes nothing, whatever overlaps. */
Result<BlockDevice::Outcome> BlockDevice::perform(const virtio_blk_outhdr &header,
						  const Chain &chain, Journal &journal)
{
	const auto room = chain.writable_bytes - 1;
	const auto data = chain.readable_bytes - sizeof(header);
	const auto digest = [&] {
		return XXH3_64bits_withSeed(buffer_.data(), buffer_.size(), header.sector);
	};

	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		if (!has(header.sector, room))
			return Outcome{VIRTIO_BLK_S_IOERR};
		buffer_.resize(room);
		if (!CORBEL_EXPECT(
			    attempt(journal, [&] { return disk_.read(header.sector, buffer_); })))
			return Outcome{VIRTIO_BLK_S_IOERR};
		return Outcome{VIRTIO_BLK_S_OK, digest(), room};
	case VIRTIO_BLK_T_OUT:
		if (!has(header.sector, data))
			return Outcome{VIRTIO_BLK_S_IOERR};
		buffer_.resize(data);
		chain.read(sizeof(header), buffer_);
		if (!CORBEL_EXPECT(
			    attempt(journal, [&] { return disk_.write(header.sector, buffer_); })))
			return Outcome{VIRTIO_BLK_S_IOERR};
		return Outcome{VIRTIO_BLK_S_OK, digest()};
	case VIRTIO_BLK_T_FLUSH: /* what was written lives no longer than the guest */
		return Outcome{VIRTIO_BLK_S_OK};
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return zero(chain, journal);
	case VIRTIO_BLK_T_GET_ID:
		buffer_.assign(VIRTIO_BLK_ID_BYTES, std::byte{0});
		std::memcpy(buffer_.data(), serial.data(), serial.size());
		return Outcome{VIRTIO_BLK_S_OK, 0,
			       std::min(room, std::uint64_t{VIRTIO_BLK_ID_BYTES})};
	default:
		return Outcome{VIRTIO_BLK_S_UNSUPP};
	}
}

/* What is discarded reads as zeros, too: it has to read as something, each time. */
Result<BlockDevice::Outcome> BlockDevice::zero(const Chain &chain, Journal &journal)
{
	virtio_blk_discard_write_zeroes range{};
	const auto bytes = std::as_writable_bytes(std::span(&range, 1));

	if (chain.readable_bytes != sizeof(virtio_blk_outhdr) + bytes.size())
		return Outcome{VIRTIO_BLK_S_UNSUPP};
	chain.read(sizeof(virtio_blk_outhdr), bytes);
	if (range.flags & ~1U)
		return Outcome{VIRTIO_BLK_S_UNSUPP};
	if (range.num_sectors > most_zeroed ||
	    !has(range.sector, std::uint64_t{range.num_sectors} * sector_bytes))
		return Outcome{VIRTIO_BLK_S_IOERR};
	if (!CORBEL_EXPECT(
		    attempt(journal, [&] { return disk_.zero(range.sector, range.num_sectors); })))
		return Outcome{VIRTIO_BLK_S_IOERR};
	return Outcome{VIRTIO_BLK_S_OK, XXH3_64bits(bytes.data(), bytes.size())};
}

} /* namespace corbel::vmm */
