// SPDX-License-Identifier: GPL-2.0-or-later
#include "tiering.hh"

#include "moving.hh"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include <fmt/format.h>

namespace corbel::volumes {

namespace {

using jobs::Work;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr unsigned longest_wait = 8; /* periods */

struct Wish {
	std::string pool, target;
	TierPolicy policy;
	std::chrono::seconds every;
	bool once;
};

Wish wish_of(const jobs::Json &argument)
{
	return {argument.at("pool"),
		argument.at("target"),
		{argument.at("promote"), argument.at("demote"), argument.at("most")},
		std::chrono::seconds(argument.at("every").get<std::uint32_t>()),
		argument.at("once")};
}

Result<void> check(Pools &pools, const jobs::Json &argument)
{
	const auto wish = wish_of(argument);
	const auto pool = CORBEL_EXPECT(pools.records().pool(wish.pool));
	const auto ranks = tier_ranks(CORBEL_EXPECT(pools.status(pool)));

	if (std::ranges::count(ranks, 0U) == static_cast<std::ptrdiff_t>(ranks.size()))
		return failure(EINVAL,
			       fmt::format("All devices of pool '{0}' are of one tier: `corbel "
					   "pool add-device {0} DEVICE:TIER` makes another.",
					   wish.pool));
	return {};
}

Result<void> wait(Work &work, std::chrono::seconds how_long)
{
	const auto begin = steady_clock::now();

	for (;;) {
		const auto passed = std::chrono::duration_cast<std::chrono::seconds>(
			steady_clock::now() - begin);

		if (work.interrupted())
			return interrupted();
		if (passed >= how_long)
			return {};
		work.progress(static_cast<std::uint64_t>(passed.count()),
			      static_cast<std::uint64_t>(how_long.count()), "s");
		std::this_thread::sleep_for(between_looks);
	}
}

/* How hot what lies on it is, page by page. */
Result<void> read_heat(Pools &pools, const PoolRecord &pool, TierDevice &device)
{
	return read_pages(
		fmt::format("heat {}", device.number),
		[&](const std::string &text) { return pools.message(pool, text); }, parse_heat,
		[&](const HeatPage &page) -> Result<void> {
			for (const auto &[heat, count] : page.blocks)
				device.heat[heat] += count;
			return {};
		});
}

Result<std::vector<TierDevice>> devices_of(Pools &pools, const PoolRecord &pool,
					   const PoolStatus &status)
{
	const auto ranks = tier_ranks(status);
	std::vector<TierDevice> devices;

	for (std::size_t i = 0; i < status.devices.size(); i++) {
		const auto &device = status.devices[i];
		auto &tier = devices.emplace_back();

		tier.number = device.number;
		tier.rank = ranks[i];
		tier.used = device.used;
		tier.limit = std::min(device.limit, device.blocks);
		CORBEL_EXPECT(read_heat(pools, pool, tier));
	}
	return devices;
}

/* How many were moved. There may be less room than there was. */
Result<std::uint64_t> move(Pools &pools, const PoolRecord &pool, Work &work, const Wish &wish,
			   const PoolStatus &status, const TierMove &move)
{
	const auto last = status.device(move.from)->blocks - 1;
	const auto is_mine = [&](const MoverStatus &mover) {
		return !mover.volume && mover.device == move.from && mover.first == 0 &&
		       mover.last == last;
	};

	for (;;) {
		/* Somebody else's ends first. */
		(void)CORBEL_EXPECT(follow_mover(pools, pool, work, is_mine));
		const auto begun = pools.message(
			pool, fmt::format("move {} 0 {} {} {} {} {} {}", move.from, last, move.to,
					  wish.target, move.coldest, move.hottest, move.count));
		if (!begun && begun.error().number == EBUSY)
			continue;
		if (!begun)
			return std::unexpected(begun.error());
		break;
	}
	work.data()["moving"] = move.from;
	CORBEL_EXPECT(work.save());
	const auto mover = CORBEL_EXPECT(follow_mover(pools, pool, work, is_mine));
	work.data().erase("moving");
	add_receipt(work, mover);
	CORBEL_EXPECT(work.save());
	if (mover.state == "failed" && mover.error != ENOSPC)
		return failure(mover.error ? mover.error : EIO,
			       fmt::format("The mover has failed at block {} of device {}: {}.",
					   mover.next, move.from, describe_errno(mover.error)));
	return mover.moved;
}

/* How many were moved, both ways. */
Result<std::uint64_t> pass(Pools &pools, const PoolRecord &pool, Work &work, const Wish &wish)
{
	const auto status = CORBEL_EXPECT(pools.status(pool));
	const auto plan = plan_tiers(CORBEL_EXPECT(devices_of(pools, pool, status)), wish.policy);
	std::uint64_t promoted = 0, demoted = 0;

	for (const auto &down : plan.down)
		demoted += CORBEL_EXPECT(move(pools, pool, work, wish, status, down));
	for (const auto &up : plan.up)
		promoted += CORBEL_EXPECT(move(pools, pool, work, wish, status, up));
	(void)CORBEL_EXPECT(pools.message(pool, "heat_age"));

	auto &result = work.data()["result"];
	const auto sum = [&](const char *key, std::uint64_t more) {
		result[key] = (result.is_object() ? result.value(key, std::uint64_t{0}) : 0) + more;
	};
	sum("passes", 1);
	sum("promoted", promoted);
	sum("demoted", demoted);
	result["last"] = {{"promoted", promoted}, {"demoted", demoted}};
	CORBEL_EXPECT(work.save());
	return promoted + demoted;
}

Result<void> run(Pools &pools, Work &work)
{
	const auto wish = wish_of(work.argument());

	for (unsigned periods = 1;;) {
		const auto pool = CORBEL_EXPECT(pools.records().pool(wish.pool));
		const auto counts = pools.message(pool, "heat_on");
		/* A pool that is stopped is waited for: it is tiered again when it is started. */
		if (!counts && (wish.once || counts.error().number != ENODEV))
			return std::unexpected(counts.error());
		CORBEL_EXPECT(wait(work, wish.every * periods));
		if (!counts)
			continue;
		const auto moved = pass(pools, pool, work, wish);
		/* It was stopped meanwhile, and what was counted is gone. */
		if (!moved && !wish.once &&
		    (moved.error().number == ENODEV || moved.error().number == ENODATA))
			continue;
		if (!moved)
			return std::unexpected(moved.error());
		if (wish.once) {
			(void)CORBEL_EXPECT(pools.message(pool, "heat_off"));
			return {};
		}
		periods = *moved ? 1 : std::min(2 * periods, longest_wait);
	}
}

Result<void> stop(Pools &pools, Work &work)
{
	const auto pool = pools.records().pool(wish_of(work.argument()).pool);

	/* Of what is gone, or stopped, nothing has to be stopped. */
	if (!pool || !pools.started(*pool))
		return {};
	if (work.data().contains("moving") &&
	    CORBEL_EXPECT(mover_of(pools, *pool)).state == "running")
		(void)CORBEL_EXPECT(pools.message(*pool, "cancel"));
	(void)CORBEL_EXPECT(pools.message(*pool, "heat_off"));
	return {};
}

} /* namespace */

jobs::JobKind tier_job(Pools &pools)
{
	return {.name = tier_kind,
		.steps = {{.name = "tier",
			   .run = [&pools](Work &work) { return run(pools, work); },
			   .undo = [&pools](Work &work) { return stop(pools, work); }}},
		.commit = 1,
		.check = [&pools](const jobs::Json &argument) { return check(pools, argument); }};
}

} /* namespace corbel::volumes */
