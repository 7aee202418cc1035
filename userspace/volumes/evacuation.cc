// SPDX-License-Identifier: GPL-2.0-or-later
#include "evacuation.hh"

#include "moving.hh"

#include "../pool/names.hh"

#include <cerrno>
#include <thread>

#include <fmt/format.h>

namespace corbel::volumes {

namespace {

using jobs::Work;

constexpr unsigned most_passes = 5; /* without getting on */

struct Subject {
	PoolRecord pool;
	std::uint32_t device;
	std::string uuid;
	std::uint64_t keep;
	std::string target;
};

Result<Subject> subject_of(Pools &pools, const jobs::Json &argument)
{
	return Subject{CORBEL_EXPECT(pools.records().pool(argument.at("pool"))),
		       argument.at("device"), argument.at("uuid"), argument.at("keep"),
		       argument.value("target", "0")};
}

/* The device still is the one that the job is about; nullptr: the pool has it no more. */
Result<std::optional<DeviceStatus>> look(Pools &pools, Subject &subject)
{
	const auto status = CORBEL_EXPECT(pools.status(subject.pool));
	const auto *record = Pools::record_of(subject.pool, status, subject.device);

	if (!record || record->uuid != subject.uuid)
		return std::nullopt;
	return *status.device(subject.device);
}

Result<DeviceStatus> require(Pools &pools, Subject &subject)
{
	if (const auto device = CORBEL_EXPECT(look(pools, subject)))
		return *device;
	return failure(ENOENT, fmt::format("Pool '{}' has no device {} any more that is {}.",
					   subject.pool.name, subject.device, subject.uuid));
}

/* Does the pool have room for what must leave? The mover has the last word. */
Result<void> check(Pools &pools, const jobs::Json &argument)
{
	auto subject = CORBEL_EXPECT(subject_of(pools, argument));
	const auto device = CORBEL_EXPECT(require(pools, subject));
	const auto status = CORBEL_EXPECT(pools.status(subject.pool));
	std::uint64_t room = 0;

	if (subject.keep >= device.blocks && device.blocks)
		return failure(EINVAL,
			       fmt::format("Device {} of pool '{}' has {} and is to keep {}: "
					   "that is no less.",
					   subject.device, subject.pool.name,
					   pool::size_text(device.blocks * status.block_bytes()),
					   pool::size_text(subject.keep * status.block_bytes())));
	for (const auto &other : status.devices)
		room += other.number == subject.device ? subject.keep
						       : std::min(other.limit, other.blocks) -
								 std::min(other.used, other.limit);
	if (room < device.used)
		return failure(
			ENOSPC,
			fmt::format("Pool '{0}' has room for {1} without that part of device "
				    "{2}, and {3} lie on the device: `corbel pool "
				    "add-device {0}` makes more.",
				    subject.pool.name, pool::size_text(room * status.block_bytes()),
				    subject.device,
				    pool::size_text(device.used * status.block_bytes())));
	return {};
}

Result<void> limit(Pools &pools, Work &work)
{
	auto subject = CORBEL_EXPECT(subject_of(pools, work.argument()));
	const auto device = CORBEL_EXPECT(require(pools, subject));

	if (!work.data().contains("limit")) {
		work.data()["limit"] = device.limit;
		CORBEL_EXPECT(work.save());
	}
	if (device.limit > subject.keep)
		(void)CORBEL_EXPECT(pools.message(
			subject.pool, fmt::format("limit {} {}", subject.device, subject.keep)));
	return {};
}

Result<void> lift_limit(Pools &pools, Work &work)
{
	auto subject = CORBEL_EXPECT(subject_of(pools, work.argument()));

	if (!work.data().contains("limit") || !CORBEL_EXPECT(look(pools, subject)))
		return {};
	(void)CORBEL_EXPECT(pools.message(
		subject.pool, fmt::format("limit {} {}", subject.device,
					  work.data().at("limit").get<std::uint64_t>())));
	return {};
}

bool is_about(const MoverStatus &mover, const Subject &subject)
{
	return !mover.volume && mover.device == subject.device && mover.first == subject.keep;
}

Result<void> move(Pools &pools, Work &work)
{
	auto subject = CORBEL_EXPECT(subject_of(pools, work.argument()));
	const auto device = CORBEL_EXPECT(require(pools, subject));
	std::uint64_t least_skipped = ~std::uint64_t{0};

	/* One that an earlier attempt began, or somebody else's, ends first. */
	const auto is_mine = [&](const MoverStatus &mover) { return is_about(mover, subject); };
	(void)CORBEL_EXPECT(follow_mover(pools, subject.pool, work, is_mine));
	for (unsigned passes = 0; passes < most_passes;) {
		const auto begun = pools.message(
			subject.pool, fmt::format("move {} {} {} any {}", subject.device,
						  subject.keep, device.blocks - 1, subject.target));

		if (!begun && begun.error().number != EBUSY)
			return std::unexpected(begun.error());
		const auto mover = CORBEL_EXPECT(follow_mover(pools, subject.pool, work, is_mine));
		if (!begun || !is_about(mover, subject))
			continue;
		add_receipt(work, mover);
		CORBEL_EXPECT(work.save());
		if (mover.state == "cancelled")
			return failure(ECANCELED, "Somebody has cancelled the pool's mover.");
		if (mover.state != "done")
			return failure(mover.error ? mover.error : EIO,
				       fmt::format("The mover has failed at block {} of device {}: "
						   "{}.",
						   mover.next, subject.device,
						   mover.error == ENOSPC
							   ? "the other devices are full"
							   : describe_errno(mover.error)));
		if (mover.skipped == 0)
			return {};
		passes = mover.skipped < least_skipped ? 0 : passes + 1;
		least_skipped = std::min(least_skipped, mover.skipped);
		std::this_thread::sleep_for(between_looks);
	}
	return failure(EBUSY, fmt::format("{} blocks are written to all the time and could not be "
					  "moved: try again when there is less to do.",
					  least_skipped));
}

Result<void> stop_moving(Pools &pools, Work &work)
{
	const auto subject = CORBEL_EXPECT(subject_of(pools, work.argument()));
	const auto mover = CORBEL_EXPECT(mover_of(pools, subject.pool));

	if (mover.state == "running" && is_about(mover, subject))
		(void)CORBEL_EXPECT(pools.message(subject.pool, "cancel"));
	return {};
}

/* Places that were left come free with the next commit, and when who reads them has ended. */
Result<void> retry(Pools &pools, const Subject &subject, const std::function<Result<void>()> &how)
{
	for (unsigned attempt = 0;; attempt++) {
		auto done = how();

		if (done || attempt == 50 ||
		    (done.error().number != EAGAIN && done.error().number != EBUSY))
			return done;
		(void)CORBEL_EXPECT(pools.message(subject.pool, "commit"));
		std::this_thread::sleep_for(between_looks);
	}
}

Result<void> shrink(Pools &pools, Work &work)
{
	auto subject = CORBEL_EXPECT(subject_of(pools, work.argument()));

	return retry(pools, subject, [&]() -> Result<void> {
		const auto device = CORBEL_EXPECT(require(pools, subject));

		if (device.blocks <= subject.keep)
			return {};
		(void)CORBEL_EXPECT(
			pools.message(subject.pool, fmt::format("resize_device {} {}",
								subject.device, subject.keep)));
		return {};
	});
}

Result<void> remove(Pools &pools, Work &work)
{
	const auto subject = CORBEL_EXPECT(subject_of(pools, work.argument()));

	return retry(pools, subject, [&] {
		return pools.drop_device(subject.pool.name, subject.device, subject.uuid);
	});
}

jobs::JobKind kind(Pools &pools, const char *name, Result<void> (*finish)(Pools &, Work &))
{
	const auto step = [&pools](Result<void> (*how)(Pools &, Work &)) {
		return [&pools, how](Work &work) { return how(pools, work); };
	};

	return {.name = name,
		.steps = {{.name = "limit", .run = step(limit), .undo = step(lift_limit)},
			  {.name = "move", .run = step(move), .undo = step(stop_moving)},
			  {.name = "finish", .run = step(finish)}},
		.commit = 2,
		.check = [&pools](const jobs::Json &argument) { return check(pools, argument); }};
}

Result<void> nothing(Pools &, Work &)
{
	return {};
}

} /* namespace */

std::vector<jobs::JobKind> evacuation_jobs(Pools &pools)
{
	return {kind(pools, evacuate_kind, nothing), kind(pools, shrink_kind, shrink),
		kind(pools, remove_kind, remove)};
}

Result<jobs::Json> evacuation_of(Pools &pools, const std::string &name, const std::string &device,
				 std::uint64_t bytes, const std::string &latency)
{
	auto pool = CORBEL_EXPECT(pools.records().pool(name));
	const auto status = CORBEL_EXPECT(pools.status(pool));
	const auto number = CORBEL_EXPECT(pools.device_number(pool, status, device));
	const auto *record = Pools::record_of(pool, status, number);

	if (!record)
		return failure(ENOENT, fmt::format("Device {} of pool '{}' is none that this host "
						   "remembers.",
						   number, name));
	return jobs::Json{{"pool", name},
			  {"device", number},
			  {"uuid", record->uuid},
			  {"keep", bytes / status.block_bytes()},
			  {"target", CORBEL_EXPECT(mover_target(latency))}};
}

} /* namespace corbel::volumes */
