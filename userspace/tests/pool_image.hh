/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool_image.hh - the metadata of a pool in memory, made and changed by the pool's own logic,
 * and damaged by hand.
 */
#pragma once

#include "../../kmod/block/node.hh"
#include "../../kmod/block/pool.hh"
#include "../../kmod/block/superblock.hh"

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace corbel::test {

inline constexpr std::uint64_t image_blocks = 256;

class Image final : public block::BlockDevice {
public:
	using Block = std::array<std::uint64_t, block::meta_bytes / 8>;

	explicit Image(std::uint64_t count = image_blocks) : blocks(count) {}

	block::Result<void> read(block::Meta block, void *data) override
	{
		if (block.value >= blocks.size() || block.value == unreadable)
			return block::Error::io;
		std::memcpy(data, blocks[block.value].data(), block::meta_bytes);
		return {};
	}
	/* Fails when writes_left have been written: the rest is lost, as in a crash. */
	block::Result<void> write(block::Meta block, const void *data) override
	{
		if (block.value >= blocks.size() || writes_left == 0)
			return block::Error::io;
		writes_left -= writes_left > 0;
		std::memcpy(blocks[block.value].data(), data, block::meta_bytes);
		written.push_back(block.value);
		return {};
	}
	block::Result<void> flush() override { return {}; }

	/* A node, counts or a superblock, changed and sealed anew. */
	template <typename T, typename Change>
	void change(std::uint64_t block, Change &&change)
	{
		auto &it = *reinterpret_cast<T *>(blocks[block].data());

		change(it);
		block::seal(it.header);
	}
	template <typename T>
	[[nodiscard]] const T &at(std::uint64_t block) const
	{
		return *reinterpret_cast<const T *>(blocks[block].data());
	}
	/* The one that counts. */
	[[nodiscard]] const block::SuperblockV1 &super() const
	{
		const auto &a = at<block::SuperblockV1>(0), &b = at<block::SuperblockV1>(1);

		return a.header.generation > b.header.generation ? a : b;
	}
	/* The first leaf of a tree. */
	[[nodiscard]] std::uint64_t leaf(std::uint64_t root) const
	{
		while (at<block::NodeV1>(root).level)
			root = *block::value_of(at<block::NodeV1>(root), 0);
		return root;
	}
	[[nodiscard]] std::uint64_t leaf(block::Kind kind) const
	{
		return leaf(super().roots[static_cast<unsigned>(kind)]);
	}
	/* Of the map of the first volume in the table. */
	[[nodiscard]] std::uint64_t logical_leaf() const
	{
		const auto &table = at<block::NodeV1>(leaf(block::Kind::volumes));

		return leaf(*block::value_of(table, 0));
	}

	std::vector<Block> blocks;
	std::vector<std::uint64_t> written;
	std::int64_t writes_left = -1;
	std::uint64_t unreadable = ~std::uint64_t{0};
};

template <typename T>
T must(block::Result<T> &&result, const char *what)
{
	if (!result.ok())
		throw std::runtime_error(std::string(what) + ": " +
					 std::to_string(result.to_errno()));
	if constexpr (!std::is_void_v<T>)
		return std::move(result).value();
}

/* Two devices, a volume of 600 blocks, a snapshot and a clone of it that have parted since. */
inline std::unique_ptr<Image> make_image()
{
	using namespace block;
	auto image = std::make_unique<Image>();
	const Uuid uuid{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
	const auto pool = std::make_unique<Pool>(*image);

	must(Store::format(*image, image_blocks, 65536, uuid), "format");
	must(pool->open(image_blocks, 64, Access::read_write), "open");
	must(pool->add_device(Uuid{{42}}, "fast", 700), "device");
	must(pool->add_device(Uuid{{43}}, "slow", 500), "device");
	const auto volume = must(pool->create_volume(1000), "volume");
	for (std::uint64_t lba = 0; lba < 600; lba++)
		(void)must(pool->prepare_write(volume, {lba}, {}), "write");
	must(pool->commit(), "commit");
	(void)must(pool->snapshot(volume, true), "snapshot");
	const auto clone = must(pool->snapshot(volume, false), "clone");
	(void)must(pool->prepare_write(volume, {5}, {.device = 1}), "write");
	(void)must(pool->prepare_write(clone, {400}, {.device = 1}), "write");
	must(pool->commit(), "commit");
	image->written.clear();
	return image;
}

} /* namespace corbel::test */
