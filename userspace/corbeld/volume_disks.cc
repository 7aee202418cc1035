// SPDX-License-Identifier: GPL-2.0-or-later
#include "volume_disks.hh"

#include <cerrno>
#include <chrono>
#include <map>
#include <thread>

#include <fmt/format.h>

namespace corbel::daemon {

using namespace std::chrono_literals;
using migrate::DiskIdentity;
using migrate::MadeDisk;
using pool::VolumeName;

namespace {

constexpr std::size_t longest_kept = 24; /* of a volume's name, in one that tells more */
constexpr auto close_limit = 5s;

/* Of the migration's own, until it gets its place. */
VolumeName own_name(const VolumeName &name, const MadeDisk &disk, const std::string &session)
{
	return {name.pool, fmt::format("coming-{}-{}", session.substr(0, 8), disk.number)};
}

} /* namespace */

std::vector<std::string> PoolVolumes::obstacles(const std::vector<DiskIdentity> &coming)
{
	std::vector<std::string> found;
	std::map<std::string, std::uint64_t> needs; /* bytes, by pool */

	for (const auto &disk : coming) {
		const auto name = *migrate::volume_at(disk.path);
		const auto planned = volumes_.create(name, disk.size, true, true);

		if (!planned)
			found.push_back(fmt::format("{} cannot be made there: {}", disk.path,
						    planned.error().sentence));
		else if (planned->at("bytes").get<std::uint64_t>() != disk.size)
			found.push_back(fmt::format("{} cannot be made there: its {} bytes are no "
						    "whole number of blocks of the pool '{}'.",
						    disk.path, disk.size, name.pool));
		else
			needs[name.pool] += disk.size;
	}
	for (const auto &[pool, bytes] : needs) {
		const auto record = pools_.records().pool(pool);
		const auto status =
			record ? pools_.status(*record) : std::unexpected(record.error());
		const auto free =
			status ? (status->total - status->used) * status->block_bytes() : 0;

		if (!status)
			found.push_back(status.error().sentence);
		else if (bytes > free)
			found.push_back(fmt::format("Its disks take {} MiB in the pool '{}', where "
						    "{} MiB are free.",
						    bytes >> 20, pool, free >> 20));
	}
	return found;
}

Result<void> PoolVolumes::make(MadeDisk &disk, const std::string &session, std::uint64_t size,
			       const std::function<Result<void>()> &keep)
{
	const auto name = *migrate::volume_at(disk.path);
	const auto own = own_name(name, disk, session);
	const auto failed = [&](const Error &error) {
		return failure(error.number,
			       fmt::format("The disk {} ({} MiB) cannot be made there: {}",
					   disk.path, size >> 20, error.sentence));
	};

	if (const auto made = volumes_.create(own, size, false, false); !made)
		return failed(made.error());
	disk.inode = CORBEL_EXPECT(volumes_.id_of(own));
	CORBEL_EXPECT(keep());
	if (const auto done = volumes_.rename(own, name.volume, false); !done)
		return failed(done.error());
	if (const auto done = volumes_.activate(name, false); !done)
		return failed(done.error());
	return {};
}

Result<void> PoolVolumes::remove(const MadeDisk &disk, const std::string &session)
{
	const auto name = *migrate::volume_at(disk.path);
	const auto own = own_name(name, disk, session);

	if (CORBEL_EXPECT(id_of(own)))
		(void)CORBEL_EXPECT(volumes_.remove(own, false));
	if (disk.inode == 0 || CORBEL_EXPECT(id_of(name)) != disk.inode)
		return {};
	CORBEL_EXPECT(deactivate(name));
	(void)CORBEL_EXPECT(volumes_.remove(name, false));
	return {};
}

Result<std::optional<std::string>> PoolVolumes::put_aside(const DiskIdentity &disk,
							  const std::string &session)
{
	const auto name = *migrate::volume_at(disk.path);
	const auto aside = fmt::format("{}.moved-{}", name.volume.substr(0, longest_kept),
				       session.substr(0, 8));
	const auto id = CORBEL_EXPECT(id_of(name));

	if (!id || volumes::mapped_uuid(CORBEL_EXPECT(pools_.records().pool(name.pool)), *id) !=
			   disk.identity)
		return std::nullopt;
	CORBEL_EXPECT(deactivate(name));
	(void)CORBEL_EXPECT(volumes_.rename(name, aside, false));
	return VolumeName{name.pool, aside}.text();
}

Result<void> PoolVolumes::deactivate(const VolumeName &name)
{
	const auto until = std::chrono::steady_clock::now() + close_limit;

	for (;;) {
		const auto done = volumes_.deactivate(name, false);

		if (done)
			return {};
		if (done.error().number != EBUSY || std::chrono::steady_clock::now() > until)
			return std::unexpected(done.error());
		std::this_thread::sleep_for(20ms);
	}
}

Result<std::optional<std::uint64_t>> PoolVolumes::id_of(const VolumeName &name)
{
	const auto id = volumes_.id_of(name);

	if (id)
		return *id;
	if (id.error().number == ENOENT)
		return std::nullopt;
	return std::unexpected(id.error());
}

} /* namespace corbel::daemon */
