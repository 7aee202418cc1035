// SPDX-License-Identifier: GPL-2.0-or-later
/* The interval map beside an oracle that knows of each sector whose it is. */
#include "block_shim.hh"
#include "qos_broken.hh"
#include "random_stream.hh"

#include "block/qos/interval_map.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace corbel::qos;
using namespace corbel::unit;

Range range_of(std::uint64_t first, std::uint64_t sectors, std::uint32_t object)
{
	return {{first}, sectors, {object}, 0};
}

struct ChangeOf {
	std::vector<ObjectId> objects;
	std::vector<Range> ranges;

	[[nodiscard]] Change get() const
	{
		return {objects.data(), static_cast<u32>(objects.size()), ranges.data(),
			static_cast<u32>(ranges.size())};
	}
};

/* Dropped at once, as nobody else reads. */
Error replace(IntervalMap &map, const ChangeOf &change, Refusal &refusal)
{
	const auto retired = map.replace(change.get(), refusal);

	return retired.ok() ? Error{} : retired.error();
}

Error replace(IntervalMap &map, const ChangeOf &change)
{
	Refusal refusal{};

	return replace(map, change, refusal);
}

constexpr std::uint64_t sectors = 300;

/* Whose each of the first sectors is, as the map has it; and that segments end where it changes. */
std::string compare(const Snapshot &snapshot, const std::vector<std::uint32_t> &owners)
{
	for (std::uint64_t at = 0; at < sectors; at++) {
		const auto found = snapshot.look_up({at});
		std::uint64_t end = at;

		while (end < sectors && owners[end] == owners[at])
			end++;
		if (found.object.value != owners[at])
			return "owner of " + std::to_string(at);
		if (std::min(found.end.value, sectors) != end)
			return "end behind " + std::to_string(at);
	}
	return snapshot.look_up({~0ULL}).end.value == sector_end ? "" : "end of all";
}

/* Random replacements, of which many overlap with what stays. */
std::string run_random(unsigned variant, std::uint64_t length)
{
	RandomStream random(length, variant);
	std::vector<std::uint32_t> owners(sectors);
	IntervalMap map;
	unsigned done = 0, refused = 0;

	if (!map.init().ok())
		return "init";
	while (random.more()) {
		ChangeOf change;
		std::vector<std::uint32_t> wanted = owners;

		for (std::uint32_t object = 1; object < 12; object++)
			if (random.below(6) == 0)
				change.objects.push_back({object});
		if (change.objects.empty())
			continue;
		for (auto &owner : wanted)
			if (std::ranges::count(change.objects, ObjectId{owner}))
				owner = 0;
		bool overlaps = false;
		Range hit{};
		for (std::uint64_t at = random.below(60); at < sectors;) {
			const auto count = std::min(1 + random.below(20), sectors - at);
			const auto object = change.objects[random.below(change.objects.size())];

			/* Mostly where there is room. */
			std::uint64_t room = 0;
			while (room < count && wanted[at + room] == 0)
				room++;
			const auto length = room && random.below(40) ? room : count;
			if (room || random.below(60) == 0) {
				change.ranges.push_back(range_of(at, length, object.value));
				for (auto i = at; i < at + length; i++) {
					if (wanted[i] && !overlaps) {
						overlaps = true;
						hit = change.ranges.back();
					}
					wanted[i] = object.value;
				}
			}
			at += length + random.below(3) * random.below(40);
		}
		Refusal refusal{};
		const auto error = replace(map, change, refusal);
		if (error != (overlaps ? Error::exists : Error{}))
			return "result";
		if (overlaps) {
			const auto &other = refusal.other;
			if (refusal.wanted.first != hit.first ||
			    refusal.wanted.end() != hit.end() || other.end() <= hit.first.value ||
			    other.first.value >= hit.end() ||
			    owners[other.first.value] != other.object.value)
				return "names";
			refused++;
		} else {
			owners = wanted;
			done++;
		}
		if (auto trouble = compare(map.current(), owners); !trouble.empty())
			return trouble;
	}
	return done > length / 4 && refused > length / 10 ? "" : "too one-sided";
}

TEST(QosMap, random_replacements_against_the_oracle)
{
	EXPECT_EQ(run_random(1, 3000), "");
	for (const auto what : {Sabotage::rank_off, Sabotage::gap_left_out,
				Sabotage::overlap_accepted, Sabotage::old_ranges_kept}) {
		const QosBroken broken(what);

		EXPECT_NE(run_random(1, 300), "") << static_cast<int>(what);
	}
}

/* Sizes around those where the tree gets another node or level; each look-up by std::map. */
TEST(QosMap, trees_of_every_height)
{
	RandomStream random(0, 2);

	for (const unsigned count : {0U, 1U, 3U, 4U, 7U, 8U, 31U, 32U, 33U, 255U, 256U, 257U, 2047U,
				     2048U, 2049U, 20'000U, 300'000U}) {
		IntervalMap map;
		ChangeOf change;
		std::map<std::uint64_t, Range> ranges;
		std::uint64_t at = random.below(2);

		ASSERT_TRUE(map.init().ok());
		for (unsigned i = 1; i <= count; i++) {
			const auto range = range_of(at, 1 + random.below(1000), i);

			change.objects.push_back({i});
			change.ranges.push_back(range);
			ranges[range.first.value] = range;
			at = range.end() + random.below(2) * random.below(1000);
		}
		ASSERT_EQ(replace(map, change), Error{});
		const Snapshot &snapshot = map.current();
		EXPECT_EQ(snapshot.ranges(), count);
		for (unsigned i = 0; i < 20'000; i++) {
			const auto sector = random.below(at + 10);
			const auto after = ranges.upper_bound(sector);
			std::uint32_t owner = 0;
			std::uint64_t end = after == ranges.end() ? sector_end : after->first;

			if (after != ranges.begin()) {
				const auto &range = std::prev(after)->second;
				if (sector < range.end()) {
					owner = range.object.value;
					end = range.end();
				}
			}
			const auto found = snapshot.look_up({sector});
			ASSERT_EQ(found.object.value, owner) << count << " at " << sector;
			ASSERT_EQ(found.end.value, end) << count << " at " << sector;
		}
	}
}

TEST(QosMap, overlap_names_both)
{
	IntervalMap map;
	Refusal refusal{};

	ASSERT_TRUE(map.init().ok());
	ASSERT_EQ(replace(map, {{{1}}, {range_of(100, 50, 1)}}), Error{});
	for (const auto &[first, count] :
	     {std::pair{100, 50}, {90, 11}, {149, 1}, {0, 1000}, {120, 3}}) {
		ASSERT_EQ(replace(map, {{{2}}, {range_of(first, count, 2)}}, refusal),
			  Error::exists);
		EXPECT_EQ(refusal.wanted.first.value, static_cast<std::uint64_t>(first));
		EXPECT_EQ(refusal.wanted.object.value, 2U);
		EXPECT_EQ(refusal.other.first.value, 100U);
		EXPECT_EQ(refusal.other.sectors, 50U);
		EXPECT_EQ(refusal.other.object.value, 1U);
	}
	EXPECT_EQ(replace(map, {{{2}}, {range_of(50, 50, 2), range_of(150, 1, 2)}}), Error{});
	/* Both of one request. */
	ASSERT_EQ(replace(map, {{{3}}, {range_of(300, 10, 3), range_of(309, 10, 3)}}, refusal),
		  Error::exists);
	EXPECT_EQ(refusal.wanted.first.value, 309U);
	EXPECT_EQ(refusal.other.first.value, 300U);
	/* What one gives another can have in the same change. */
	EXPECT_EQ(replace(map, {{{1}, {3}}, {range_of(100, 50, 3)}}), Error{});
	EXPECT_EQ(map.current().look_up({120}).object.value, 3U);
	EXPECT_EQ(map.current().ranges(), 3U);
}

TEST(QosMap, io_is_split_where_ranges_end)
{
	IntervalMap map;
	const ObjectId objects[] = {{1}, {2}};
	const Range ranges[] = {{{10}, 10, {1}, 0}, {{20}, 5, {2}, 0}};
	Refusal refusal{};

	ASSERT_TRUE(map.init().ok());
	ASSERT_TRUE(map.replace({objects, 2, ranges, 2}, refusal).ok());
	const auto expect = [&](std::uint64_t first, std::uint64_t sectors, std::uint32_t object,
				std::uint64_t here) {
		const auto piece = first_piece(map.current(), {first}, sectors);
		EXPECT_EQ(piece.object.value, object) << first;
		EXPECT_EQ(piece.sectors, here) << first;
	};
	expect(0, 10, 0, 10);
	expect(0, 11, 0, 10);
	expect(10, 10, 1, 10);
	expect(10, 100, 1, 10);
	expect(19, 2, 1, 1);
	expect(20, 2, 2, 2);
	expect(24, ~0ULL, 2, 1);
	expect(25, ~0ULL, 0, ~0ULL);
	expect(15, 0, 0, 0);
	expect(~0ULL, ~0ULL, 0, ~0ULL);
	expect(sector_end, 1, 0, 1);
}

TEST(QosMap, hostile_numbers)
{
	IntervalMap map;
	constexpr auto most = ~0ULL;

	ASSERT_TRUE(map.init().ok());
	const auto refused = [&](const Range &range) { return replace(map, {{{1}}, {range}}); };
	EXPECT_EQ(refused(range_of(0, 0, 1)), Error::range);
	EXPECT_EQ(refused(range_of(0, most, 1)), Error::range);
	EXPECT_EQ(refused(range_of(most, 1, 1)), Error::range);
	EXPECT_EQ(refused(range_of(most, most, 1)), Error::range);
	EXPECT_EQ(refused(range_of(sector_end, 1, 1)), Error::range);
	EXPECT_EQ(refused(range_of(sector_end - 1, 2, 1)), Error::range);
	EXPECT_EQ(refused(range_of(0, 1, 2)), Error::invalid);
	EXPECT_EQ(refused(range_of(0, 1, 0)), Error::invalid);
	EXPECT_EQ(refused({{0}, 1, {1}, 1}), Error::invalid);
	EXPECT_EQ(replace(map, {{{0}}, {}}), Error::invalid);
	EXPECT_EQ(replace(map, {{{1}, {1}}, {}}), Error::invalid);
	EXPECT_EQ(replace(map, {{{2}, {1}}, {}}), Error::invalid);
	EXPECT_EQ(replace(map, {{{max_objects}}, {}}), Error::invalid);
	EXPECT_EQ(replace(map, {{{1}}, {range_of(5, 1, 1), range_of(3, 1, 1)}}), Error::range);
	EXPECT_EQ(map.current().segments(), 1U);
	/* All of it, and its last sector. */
	EXPECT_EQ(refused(range_of(0, sector_end, 1)), Error{});
	EXPECT_EQ(map.current().segments(), 1U);
	EXPECT_EQ(map.current().look_up({most}).object.value, 1U);
	EXPECT_EQ(refused(range_of(sector_end - 1, 1, 1)), Error{});
	EXPECT_EQ(map.current().look_up({sector_end - 2}).object.value, 0U);
	EXPECT_EQ(map.current().look_up({sector_end - 1}).end.value, sector_end);
}

TEST(QosMap, a_million_ranges_and_not_one_more)
{
	IntervalMap map;
	ChangeOf change{{{1}, {2}}, {}};

	ASSERT_TRUE(map.init().ok());
	for (std::uint64_t i = 0; i < max_ranges; i++)
		change.ranges.push_back(range_of(i * 16 + 1, 8, 1 + i % 2));
	ASSERT_EQ(replace(map, change), Error{});
	EXPECT_EQ(map.current().segments(), 2U * max_ranges + 1);
	EXPECT_EQ(replace(map, {{{3}}, {range_of(0, 1, 3)}}), Error::no_space);
	EXPECT_EQ(map.current().look_up({0}).object.value, 0U);
	for (std::uint64_t i = 0; i < max_ranges; i += 997) {
		EXPECT_EQ(map.current().look_up({i * 16 + 8}).object.value, 1 + i % 2);
		EXPECT_EQ(map.current().look_up({i * 16 + 9}).object.value, 0U);
	}
}

TEST(QosMap, no_memory_changes_nothing)
{
	IntervalMap map;

	for (std::int64_t left = 0; left < 2; left++) {
		allocations_left = left;
		EXPECT_EQ(map.init().ok() ? Error{} : Error::no_memory, Error::no_memory);
		allocations_left = -1;
	}
	ASSERT_TRUE(map.init().ok());
	ASSERT_EQ(replace(map, {{{1}}, {range_of(7, 7, 1)}}), Error{});
	for (std::int64_t left = 0; left < 2; left++) {
		allocations_left = left;
		EXPECT_EQ(replace(map, {{{1}}, {}}), Error::no_memory);
		allocations_left = -1;
		EXPECT_EQ(map.current().look_up({8}).object.value, 1U);
	}
}

} // namespace
