// SPDX-License-Identifier: GPL-2.0-or-later
#include "qos_broken.hh"
#include "random_stream.hh"

#include "block/qos/heat_map.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

using namespace corbel::qos;
using namespace corbel::unit;

/* Sector by sector. */
std::string run_heat()
{
	constexpr std::uint64_t first = 1000, sectors = 5000;
	RandomStream random(2000);
	HeatMap map;
	std::vector<HeatCell> expected((sectors + 255) / 256);

	if (!map.init({first}, sectors, 8).ok() || map.cells() != expected.size())
		return "init";
	while (random.more()) {
		const auto op = static_cast<Op>(random.below(ops));
		const auto start = random.below(8000), count = random.below(600);

		map.add(op, {start}, static_cast<std::uint32_t>(count * 512));
		if (op != Op::read && op != Op::write)
			continue;
		for (std::uint64_t sector = start; sector < start + count; sector++) {
			if (sector < first || sector >= first + sectors)
				continue;
			auto &cell = expected[(sector - first) / 256];
			(op == Op::read ? cell.bytes_read : cell.bytes_written) += 512;
			if (sector == start)
				(op == Op::read ? cell.reads : cell.writes)++;
		}
	}
	for (std::uint64_t i = 0; i < map.cells(); i++) {
		const auto cell = map.read(i);
		if (std::memcmp(&cell, &expected[i], sizeof(cell)) != 0)
			return "cell " + std::to_string(i);
	}
	return "";
}

TEST(QosHeatMap, bytes_are_in_their_cells)
{
	EXPECT_EQ(run_heat(), "");
	const QosBroken broken(Sabotage::heat_in_first);
	EXPECT_NE(run_heat(), "");
}

TEST(QosHeatMap, hostile_numbers)
{
	constexpr std::uint64_t most = ~0ULL;
	HeatMap map;

	for (const auto sectors : {std::uint64_t{0}, sector_end + 1, most})
		EXPECT_FALSE(map.init({0}, sectors, 20).ok());
	EXPECT_FALSE(map.init({most}, 1, 20).ok());
	EXPECT_FALSE(map.init({sector_end - 1}, 2, 20).ok());
	EXPECT_FALSE(map.init({0}, 1000, 6).ok());
	EXPECT_FALSE(map.init({0}, 1000, 64).ok());
	EXPECT_FALSE(map.init({0}, (HeatMap::max_cells << 20) + 1, 20).ok());
	/* Before there is an area, nothing is counted. */
	map.add(Op::read, {0}, 512);
	ASSERT_TRUE(map.init({sector_end - 4096}, 4096, 53).ok());
	EXPECT_EQ(map.cells(), 1U);
	for (const auto sector : {std::uint64_t{0}, sector_end - 1, sector_end, most - 1, most})
		for (const auto bytes : {0U, 1U, ~0U})
			map.add(Op::write, {sector}, bytes);
	EXPECT_EQ(map.read(0).writes, 3U);
}

} // namespace
