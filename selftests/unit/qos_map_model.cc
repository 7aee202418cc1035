// SPDX-License-Identifier: GPL-2.0-or-later
/* What the interval map costs, with all the ranges it takes; told, not judged, but for bytes. */
#include "random_stream.hh"

#include "block/qos/interval_map.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <vector>

namespace {

using namespace corbel::qos;
using namespace corbel::unit;

double seconds_of(auto &&work)
{
	const auto start = std::chrono::steady_clock::now();

	work();
	return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(qos_map_model, costs)
{
	for (const std::uint32_t count : {1U, 1'000U, 100'000U, max_ranges}) {
		IntervalMap map;
		std::vector<ObjectId> objects;
		std::vector<Range> ranges;
		RandomStream random(0);
		Refusal refusal{};

		ASSERT_TRUE(map.init().ok());
		for (std::uint32_t i = 0; i < count; i++) {
			const auto object = i % 1000 + 1;

			if (i < 1000)
				objects.push_back({object});
			ranges.push_back({{std::uint64_t{i} * 4096}, 2048, {object}, 0});
		}
		const auto all = seconds_of([&] {
			ASSERT_TRUE(map.replace({objects.data(), static_cast<u32>(objects.size()),
						 ranges.data(), count},
						refusal)
					    .ok());
		});
		/* One object's, a thousandth of all. */
		std::vector<Range> one;
		for (const auto &range : ranges)
			if (range.object.value == 1)
				one.push_back(range);
		const auto part = seconds_of([&] {
			ASSERT_TRUE(map.replace({objects.data(), 1, one.data(),
						 static_cast<u32>(one.size())},
						refusal)
					    .ok());
		});
		std::vector<std::uint64_t> sectors(1 << 20);
		for (auto &sector : sectors)
			sector = random.below(std::uint64_t{count} * 4096);
		std::uint64_t sum = 0;
		const auto looked = seconds_of([&] {
			for (const auto sector : sectors)
				sum += map.current().look_up({sector}).object.value;
		});
		const auto bytes = map.current().bytes();
		EXPECT_GT(sum, 0U);
		EXPECT_LE(bytes, 600 + std::uint64_t{count} * 2 * 14);
		std::printf(
			"# %u ranges: %llu bytes, built in %.1f ms, one object replaced in %.1f ms, "
			"a random look-up %.0f ns\n",
			count, static_cast<unsigned long long>(bytes), all * 1e3, part * 1e3,
			looked * 1e9 / static_cast<double>(sectors.size()));
	}
}

} // namespace
