// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Disks that move along with a VM. They are copied by QEMU's block mirror, through the
 * destination's daemon to an NBD server of the QEMU there: all before the memory, what the
 * guest writes meanwhile again, and the rest while it stands still. So they are whole before
 * the commit point.
 */
#include "mover.hh"

#include "../migrate/storage.hh"
#include "../qemu/command.hh"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::daemon {

using namespace migrate;
using namespace std::chrono_literals;
using jobs::Json;
using jobs::Severity;
using jobs::Work;

namespace {

constexpr auto look_again = 100ms;
constexpr auto end_limit = 20s; /* to copy what was written last */
constexpr auto drop_limit = 5s;

/* Of a job of QEMU's, and of a node. */
std::string name_of_mirror(const std::string &session, std::uint32_t number)
{
	return fmt::format("corbel-copy{}-{}", number, session.substr(0, 8));
}

Json moving(Work &work)
{
	return work.data().value("disks", Json::array());
}

const Mirror *find(const std::vector<Mirror> &all, const std::string &name)
{
	const auto found = std::ranges::find(all, name, &Mirror::name);

	return found == all.end() ? nullptr : &*found;
}

} /* namespace */

Result<void> Mover::expect_disks(Work &work, const v1::MigrateAnswer &answer)
{
	auto disks = Json::array();

	for (const auto number : answer.disks()) {
		if (number >= disks_.size())
			return failure(EPROTO, "The destination waits for a disk that is none.");
		disks.push_back({{"number", number},
				 {"path", disks_[number].path},
				 {"identity", disks_[number].identity}});
	}
	work.data()["disks"] = std::move(disks);
	return {};
}

Result<bool> Mover::mirror(Work &work)
{
	const auto disks = moving(work);
	std::uint64_t done = 0, total = 0;
	bool ready = true;

	if (disks.empty())
		return true;
	auto &talk = *CORBEL_EXPECT(monitor());
	const auto mirrors = CORBEL_EXPECT(talk.mirrors());
	for (const auto &disk : disks) {
		const auto number = disk.at("number").get<std::uint32_t>();
		const auto path = disk.at("path").get<std::string>();
		const auto name = name_of_mirror(session_, number);
		const auto *found = find(mirrors, name);

		if (!found) {
			const auto sockets = CORBEL_EXPECT(connect(work, use_of_disk(number)));

			CORBEL_EXPECT(end_if_silent(sockets.demand.get()));
			CORBEL_EXPECT(talk.begin_mirror(name, qemu::node_of_disk(number),
							sockets.demand.get()));
			note(work, "disks", fmt::format("begins to copy {}", path));
			ready = false;
			continue;
		}
		if (found->status == "concluded" || !found->error.empty())
			return failure(EIO, fmt::format("{} cannot be copied: {}.", path,
							found->error.empty() ? "QEMU ended it"
									     : found->error));
		ready = ready && found->status == "ready";
		done += found->done;
		total += found->total;
	}
	if (!ready) {
		work.progress(done, total, "bytes");
		CORBEL_EXPECT(talk.wait_for_event(look_again));
	}
	return ready;
}

Result<void> Mover::end_mirrors(Work &work)
{
	const auto disks = moving(work);
	const qemu::Deadline deadline(end_limit);

	if (disks.empty() || mirrors_ended_)
		return {};
	auto &talk = *CORBEL_EXPECT(monitor());
	for (;;) {
		const auto mirrors = CORBEL_EXPECT(talk.mirrors());
		bool ended = true;

		for (const auto &disk : disks) {
			const auto path = disk.at("path").get<std::string>();
			const auto name =
				name_of_mirror(session_, disk.at("number").get<std::uint32_t>());
			const auto *found = find(mirrors, name);

			if (!found || !found->error.empty())
				return failure(EIO, fmt::format("{} is not copied: {}.", path,
								found ? found->error
								      : "QEMU has forgotten it"));
			/* It may end just now, of being told before: the next look tells. */
			if (found->status == "ready")
				(void)talk.end_mirror(name);
			ended = ended && found->status == "concluded";
		}
		if (ended)
			break;
		if (deadline.passed())
			return failure(ETIMEDOUT, "QEMU takes too long to copy what was written "
						  "to its disks at last.");
		CORBEL_EXPECT(talk.wait_for_event(10ms));
	}
	mirrors_ended_ = true;
	note(work, "disks", "are there");
	return {};
}

void Mover::drop_mirrors(Work &work)
{
	const auto disks = moving(work);
	const qemu::Deadline deadline(drop_limit);

	if (disks.empty() || !launch())
		return;
	for (const auto &disk : disks) {
		const auto name = name_of_mirror(session_, disk.at("number").get<std::uint32_t>());
		bool broken = false;

		for (;;) {
			const auto talk = monitor();
			const auto mirrors =
				talk ? (*talk)->mirrors() : std::unexpected(talk.error());
			const auto *found = mirrors ? find(*mirrors, name) : nullptr;

			if (mirrors && !found)
				break;
			if (found && found->status == "concluded") {
				(void)(*talk)->forget_mirror(name);
				break;
			}
			if (found && !std::exchange(broken, true))
				(void)(*talk)->break_mirror(name);
			if (deadline.passed()) {
				work.warn(Severity::warning,
					  fmt::format("QEMU goes on to copy {}.",
						      disk.at("path").get<std::string>()));
				break;
			}
			if (talk)
				(void)(*talk)->wait_for_event(look_again);
		}
	}
}

/* What it is called then; nothing: it was done before, or somebody else did something with it. */
Result<std::optional<std::string>> Mover::put_aside(const DiskIdentity &disk) const
{
	auto aside = fmt::format("{}.moved-{}", disk.path, session_.substr(0, 8));

	if (limits_.volumes && volume_at(disk.path))
		return limits_.volumes->put_aside(disk, session_);
	const auto here = identity_of(disk.path);
	if (!here || here->identity != disk.identity)
		return std::nullopt;
	if (::renameat2(AT_FDCWD, disk.path.c_str(), AT_FDCWD, aside.c_str(), RENAME_NOREPLACE) !=
	    0)
		return failure(errno, fmt::format("{}.", describe_errno(errno)));
	return aside;
}

void Mover::put_disks_aside(Work &work)
{
	for (const auto &disk : moving(work)) {
		const auto path = disk.at("path").get<std::string>();
		const auto aside = put_aside(
			{.path = path, .identity = disk.at("identity").get<std::string>()});

		if (!aside) {
			work.warn(Severity::warning,
				  fmt::format("{} has moved, and what is here as of then cannot be "
					      "put aside: {}",
					      path, aside.error().sentence));
			continue;
		}
		if (!*aside)
			continue;
		work.data()["result"]["disks_aside"].push_back(**aside);
		work.warn(Severity::info,
			  fmt::format("{} has moved; what is here, as of then, is now {}.", path,
				      **aside));
	}
}

} /* namespace corbel::daemon */
