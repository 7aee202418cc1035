// SPDX-License-Identifier: GPL-2.0-or-later
#include "moving.hh"

#include <cerrno>
#include <thread>

namespace corbel::volumes {

std::unexpected<Error> interrupted()
{
	return failure(EINTR, "It was told to end.");
}

Result<MoverStatus> mover_of(Pools &pools, const PoolRecord &pool)
{
	return parse_mover(CORBEL_EXPECT(pools.message(pool, "mover")));
}

void add_receipt(jobs::Work &work, const MoverStatus &mover)
{
	auto &result = work.data()["result"];
	const auto add = [&](const char *key, std::uint64_t value) {
		const auto before = result.is_object() ? result.value(key, std::uint64_t{0}) : 0;

		result[key] = before + value;
	};

	add("moved", mover.moved);
	add("middle_entries", mover.middle_entries);
	add("reverse_entries", mover.reverse_entries);
	add("meta_bytes", mover.meta_bytes);
	add("paused_ms", mover.paused_ms);
	result["skipped"] = mover.skipped;
	/* Of the last pass. */
	result["target_us"] = mover.target_us;
	result["seen_us"] = mover.seen_us;
}

Result<MoverStatus> follow_mover(Pools &pools, const PoolRecord &pool, jobs::Work &work,
				 const std::function<bool(const MoverStatus &)> &is_about)
{
	for (;;) {
		auto mover = CORBEL_EXPECT(mover_of(pools, pool));

		if (mover.state != "running")
			return mover;
		if (work.interrupted())
			return interrupted();
		if (is_about(mover))
			work.progress(mover.next - std::min(mover.next, mover.first),
				      mover.last + 1 - mover.first, "blocks");
		std::this_thread::sleep_for(between_looks);
	}
}

} /* namespace corbel::volumes */
