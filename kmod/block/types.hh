/* SPDX-License-Identifier: GPL-2.0 */
/*
 * types.hh - the numbers of the block store, which must not be mixed up.
 *
 *   Lba   a block of a volume, counted from its start
 *   Mba   a block of contents, wherever it lies; what volumes refer to
 *   Pba   where contents lie: a data device and a block of it
 *   Meta  a block of the metadata device, 4 KiB
 *
 * The first three count in the pool's block size.
 */
#pragma once

#include "../rt/result.hh"

#include <compare>
#include <cstddef>
#include <cstdint>

namespace corbel::block {

using rt::Error;
using rt::Result;
using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

template <typename Tag>
struct Number {
	u64 value = 0;

	constexpr auto operator<=>(const Number &) const = default;
};

using Lba = Number<struct LbaTag>;
using Mba = Number<struct MbaTag>;
using Meta = Number<struct MetaTag>;
using VolumeId = Number<struct VolumeTag>; /* 0: none */
/* Of a transaction; the first one is 1. */
using Generation = Number<struct GenerationTag>;

struct Pba {
	u16 device = 0;
	u64 block = 0; /* below 2^48 */

	static constexpr unsigned block_bits = 48;
	static constexpr u64 block_end = u64{1} << block_bits;

	/* As maps hold it, and in the order of devices and blocks. */
	[[nodiscard]] constexpr u64 packed() const { return u64{device} << block_bits | block; }
	static constexpr Pba unpack(u64 packed)
	{
		return {static_cast<u16>(packed >> block_bits), packed & (block_end - 1)};
	}
	constexpr auto operator<=>(const Pba &) const = default;
};

} /* namespace corbel::block */
