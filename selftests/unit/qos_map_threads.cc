// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Look-ups without a lock while the map is replaced. Each replacement gives all ranges to one
 * object and moves their borders, so that a reader can tell from a snapshot whether it is whole.
 */
#include "random_stream.hh"

#include "block/qos/interval_map.hh"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace {

using namespace corbel::qos;
using namespace corbel::unit;

constexpr unsigned readers = 3, count = 100;

/* Read sections, and who waits for those that are open: as RCU does it. */
class Sections {
public:
	void enter(unsigned reader) { counts_[reader].fetch_add(1); }
	void leave(unsigned reader) { counts_[reader].fetch_add(1); }
	void synchronize()
	{
		for (auto &section : counts_) {
			const auto seen = section.load();

			while (seen % 2 && section.load() == seen)
				std::this_thread::yield();
		}
	}

private:
	std::atomic<std::uint64_t> counts_[readers]{};
};

TEST(QosMapThreads, look_ups_see_a_whole_snapshot)
{
	const std::uint64_t replacements = 300 * number_from_environment("CORBEL_SCALE", 1);
	IntervalMap map;
	Sections sections;
	std::atomic<bool> done{false};
	std::atomic<std::uint64_t> wrong{0}, looked{0};
	std::vector<std::thread> threads;

	ASSERT_TRUE(map.init().ok());
	for (unsigned reader = 0; reader < readers; reader++)
		threads.emplace_back([&, reader] {
			std::uint64_t bad = 0, all = 0;

			while (!done.load()) {
				sections.enter(reader);
				const Snapshot &snapshot = map.current();
				const auto object = snapshot.look_up({0}).object.value;

				/* Range i is [i * 100, i * 100 + object % 90 + 1). */
				for (std::uint64_t i = 0; object && i < count; i++) {
					const auto found = snapshot.look_up({i * 100});
					const auto end = i * 100 + object % 90 + 1;

					bad += found.object.value != object ||
					       found.end.value != end;
					bad += snapshot.look_up(found.end).object != rest;
				}
				sections.leave(reader);
				all++;
			}
			wrong += bad;
			looked += all;
		});
	for (std::uint32_t object = 1; object <= replacements; object++) {
		const ObjectId both[] = {{object - 1}, {object}};
		std::vector<Range> ranges;
		Refusal refusal{};

		for (std::uint64_t i = 0; i < count; i++)
			ranges.push_back({{i * 100}, object % 90 + 1, {object}, 0});
		const bool first = object == 1;
		auto retired =
			map.replace({both + first, 2U - first, ranges.data(), count}, refusal);
		ASSERT_TRUE(retired.ok());
		sections.synchronize();
	}
	done = true;
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(wrong, 0U);
	EXPECT_GT(looked, 0U);
}

} // namespace
