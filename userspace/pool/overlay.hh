/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * overlay.hh - a device as it would be: what is written stays in memory until store().
 *
 * Blocks can also be assumed to be other than they are: they are read so, and never stored.
 */
#pragma once

#include "../../kmod/block/device.hh"

#include <array>
#include <cstring>
#include <map>

namespace corbel::pool {

class Overlay final : public block::BlockDevice {
public:
	using Block = std::array<std::uint64_t, block::meta_bytes / 8>;

	explicit Overlay(block::BlockDevice &base) : base_(base) {}

	void assume(block::Meta block, const void *data) { put(assumed_, block, data); }

	block::Result<void> read(block::Meta block, void *data) override
	{
		for (const auto *blocks : {&written_, &assumed_}) {
			const auto found = blocks->find(block.value);

			if (found != blocks->end()) {
				std::memcpy(data, found->second.data(), block::meta_bytes);
				return {};
			}
		}
		return base_.read(block, data);
	}
	block::Result<void> write(block::Meta block, const void *data) override
	{
		put(written_, block, data);
		return {};
	}
	block::Result<void> flush() override { return {}; }

	[[nodiscard]] const std::map<std::uint64_t, Block> &written() const { return written_; }

	/* All that was written, superblocks behind all else. */
	block::Result<void> store()
	{
		for (const bool super : {false, true}) {
			for (const auto &[block, data] : written_)
				if ((block < block::first_counts.value) == super)
					CORBEL_TRY(base_.write({block}, data.data()));
			CORBEL_TRY(base_.flush());
		}
		return {};
	}

private:
	static void put(std::map<std::uint64_t, Block> &blocks, block::Meta block, const void *data)
	{
		std::memcpy(blocks[block.value].data(), data, block::meta_bytes);
	}

	block::BlockDevice &base_;
	std::map<std::uint64_t, Block> assumed_, written_;
};

} /* namespace corbel::pool */
