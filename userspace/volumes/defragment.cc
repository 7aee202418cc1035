// SPDX-License-Identifier: GPL-2.0-or-later
#include "defragment.hh"

#include "moving.hh"

#include "../pool/names.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::volumes {

namespace {

using jobs::Work;

struct Subject {
	PoolRecord pool;
	std::uint64_t id;
	std::string target;
};

Result<Subject> subject_of(Pools &pools, const jobs::Json &argument)
{
	return Subject{CORBEL_EXPECT(pools.records().pool(argument.at("pool"))), argument.at("id"),
		       argument.at("target")};
}

Result<std::vector<MappedRun>> runs_of(Pools &pools, const Subject &subject)
{
	std::vector<MappedRun> runs;

	CORBEL_EXPECT(read_pages(
		fmt::format("map {}", subject.id),
		[&](const std::string &text) { return pools.message(subject.pool, text); },
		parse_map,
		[&](const VolumeMap &page) -> Result<void> {
			/* A page that ended because it was full says nothing of a new piece. */
			for (const auto &run : page.runs) {
				auto *last = runs.empty() ? nullptr : &runs.back();

				if (last && run.lba == last->lba + last->count &&
				    run.device == last->device &&
				    run.block == last->block + last->count)
					last->count += run.count;
				else
					runs.push_back(run);
			}
			return {};
		}));
	return runs;
}

Result<std::map<std::uint32_t, std::vector<Gap>>> gaps_of(Pools &pools, const Subject &subject)
{
	std::map<std::uint32_t, std::vector<Gap>> all;

	for (const auto &device : CORBEL_EXPECT(pools.status(subject.pool)).devices) {
		auto &gaps = all[device.number];

		CORBEL_EXPECT(read_pages(
			fmt::format("free {}", device.number),
			[&](const std::string &text) { return pools.message(subject.pool, text); },
			parse_gaps,
			[&](const GapPage &page) -> Result<void> {
				gaps.insert(gaps.end(), page.gaps.begin(), page.gaps.end());
				return {};
			}));
	}
	return all;
}

/* Until it has been gathered, as far as there is room. */
Result<void> gather(Pools &pools, const Subject &subject, Work &work, const Gathering &wish)
{
	const auto is_mine = [&](const MoverStatus &mover) {
		return mover.volume == subject.id && mover.first == wish.first;
	};

	for (;;) {
		/* One that an earlier attempt began, or somebody else's, ends first. */
		(void)CORBEL_EXPECT(follow_mover(pools, subject.pool, work, is_mine));
		const auto begun = pools.message(subject.pool,
						 fmt::format("gather {} {} {} {} {} {}", subject.id,
							     wish.first, wish.last, wish.device,
							     wish.place, subject.target));
		if (begun)
			break;
		if (begun.error().number != EBUSY)
			return std::unexpected(begun.error());
	}
	const auto mover = CORBEL_EXPECT(follow_mover(pools, subject.pool, work, is_mine));
	if (!is_mine(mover))
		return {};
	add_receipt(work, mover);
	CORBEL_EXPECT(work.save());
	if (mover.state == "failed")
		return failure(mover.error ? mover.error : EIO,
			       fmt::format("The mover has failed at block {}: {}.", mover.next,
					   describe_errno(mover.error)));
	if (mover.state == "cancelled")
		return failure(ECANCELED, "Somebody has cancelled the mover.");
	return {};
}

Result<void> run(Pools &pools, Work &work)
{
	const auto subject = CORBEL_EXPECT(subject_of(pools, work.argument()));
	auto &result = work.data()["result"];
	auto runs = CORBEL_EXPECT(runs_of(pools, subject));

	if (!result.contains("pieces_before"))
		result["pieces_before"] = runs.size();
	for (std::uint64_t passes = result.value("passes", std::uint64_t{0}) + 1;; passes++) {
		const auto before = runs.size();

		/* What was given back lately is free behind it. */
		(void)CORBEL_EXPECT(pools.message(subject.pool, "commit"));
		const auto plan = plan_gathering(runs, CORBEL_EXPECT(gaps_of(pools, subject)));
		for (const auto &wish : plan)
			CORBEL_EXPECT(gather(pools, subject, work, wish));
		runs = CORBEL_EXPECT(runs_of(pools, subject));
		auto &told = work.data()["result"];
		told["pieces_after"] = runs.size();
		told["least"] = least_pieces(runs);
		told["passes"] = passes;
		CORBEL_EXPECT(work.save());
		if (plan.empty() || runs.size() >= before)
			return {};
	}
}

Result<void> stop(Pools &pools, Work &work)
{
	const auto subject = subject_of(pools, work.argument());

	/* Of what is gone, or stopped, nothing has to be stopped. */
	if (!subject || !pools.started(subject->pool))
		return {};
	const auto mover = CORBEL_EXPECT(mover_of(pools, subject->pool));
	if (mover.state == "running" && mover.volume == subject->id)
		(void)CORBEL_EXPECT(pools.message(subject->pool, "cancel"));
	return {};
}

} /* namespace */

jobs::JobKind defragment_job(Pools &pools)
{
	return {.name = defragment_kind,
		.steps = {{.name = "gather",
			   .run = [&pools](Work &work) { return run(pools, work); },
			   .undo = [&pools](Work &work) { return stop(pools, work); }}},
		.commit = 1,
		.check = [&pools](const jobs::Json &argument) -> Result<void> {
			(void)CORBEL_EXPECT(
				pools.status(CORBEL_EXPECT(subject_of(pools, argument)).pool));
			return {};
		}};
}

Result<Defragmentation> defragmentation_of(Pools &pools, const VolumeName &name,
					   const std::string &latency)
{
	Volumes volumes(pools);
	const Subject subject{CORBEL_EXPECT(pools.records().pool(name.pool)),
			      CORBEL_EXPECT(volumes.id_of(name)),
			      CORBEL_EXPECT(mover_target(latency))};
	const auto runs = CORBEL_EXPECT(runs_of(pools, subject));

	return Defragmentation{
		{{"pool", name.pool},
		 {"volume", name.volume},
		 {"id", subject.id},
		 {"target", subject.target}},
		fmt::format(
			"Gathers the blocks of {}, which lie in {} pieces; {} would do if there is room.",
			name.text(), runs.size(), least_pieces(runs))};
}

} /* namespace corbel::volumes */
