// SPDX-License-Identifier: GPL-2.0-or-later
#include "volumes.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace corbel::volumes {

namespace {

constexpr std::size_t most_at_once = 64; /* of a transaction of names, and of a message */

Json change_of(const VolumeName &name, bool dry_run, bool changed)
{
	return {{"volume", name.text()}, {"dry_run", dry_run}, {"changed", changed}};
}

bool is_snapshot(const VolumeStatus &volume, std::string_view name)
{
	return volume.mode == "ro" || name.find('@') != name.npos;
}

} /* namespace */

const VolumeStatus *Volumes::View::find(std::uint64_t id) const
{
	const auto found = std::ranges::find(known, id, &VolumeStatus::id);

	return found == known.end() || found->mode == "deleting" ? nullptr : &*found;
}

const Mapped *Volumes::View::device_of(std::uint64_t id) const
{
	const auto found = std::ranges::find(mapped, mapped_uuid(pool, id), &Mapped::uuid);

	return found == mapped.end() ? nullptr : &*found;
}

std::string Volumes::View::name_of(std::uint64_t id) const
{
	const auto found = std::ranges::find(records, id, &VolumeRecord::id);

	return found == records.end() ? fmt::format("#{}", id) : found->name;
}

Result<Volumes::View> Volumes::view(const std::string &name)
{
	View view;

	view.pool = CORBEL_EXPECT(pools_.records().pool(name));
	view.device = CORBEL_EXPECT(pools_.started(view.pool));
	view.status = CORBEL_EXPECT(pools_.status(view.pool));
	view.records = CORBEL_EXPECT(pools_.records().volumes(name));
	view.known = CORBEL_EXPECT(volumes_of(pools_, view.pool));
	view.mapped = CORBEL_EXPECT(pools_.mapper().list());
	return view;
}

Result<Volumes::Found> Volumes::find(const View &view, const VolumeName &name)
{
	const auto named = std::ranges::find(view.records, name.volume, &VolumeRecord::name);
	Found found;

	if (named != view.records.end()) {
		found.record = *named;
	} else if (name.volume.starts_with('#')) {
		found.record.id = std::stoull(name.volume.substr(1));
		const auto other =
			std::ranges::find(view.records, found.record.id, &VolumeRecord::id);
		if (other != view.records.end())
			found.record = *other;
	}
	if (const auto *status = view.find(found.record.id)) {
		found.status = *status;
		return found;
	}
	return failure(ENOENT, fmt::format("There is no '{}': `corbel volume list` and `corbel "
					   "snapshot list` show what there is.",
					   name.text()));
}

Result<void> Volumes::require_new(const View &view, const std::string &name)
{
	if (std::ranges::find(view.records, name, &VolumeRecord::name) == view.records.end())
		return {};
	return failure(EEXIST, fmt::format("There is a '{}/{}' already.", view.pool.name, name));
}

Result<void> Volumes::require_inactive(const View &view, std::uint64_t id,
				       std::string_view what_for)
{
	if (!view.device_of(id))
		return {};
	return failure(EBUSY, fmt::format("{0}/{1} is active: `corbel volume deactivate {0}/{1}` "
					  "comes before {2}.",
					  view.pool.name, view.name_of(id), what_for));
}

/* What the kernel's number means here. */
Result<std::string> Volumes::message(const View &view, const std::string &text)
{
	auto answer = pools_.message(view.pool, text);

	if (answer)
		return answer;
	const int number = answer.error().number;
	if (number == ENOSPC)
		return failure(ENOSPC,
			       fmt::format("Pool '{0}' has not enough room in its metadata: "
					   "delete what is not needed. `corbel pool show "
					   "{0}` says how full it is.",
					   view.pool.name));
	if (number == EBUSY)
		return failure(EBUSY, fmt::format("Pool '{}' refuses that ('{}'): the volume is in "
						  "use, or has blocks where there shall be none.",
						  view.pool.name, text));
	if (number == EROFS || number == EPERM)
		return failure(number,
			       fmt::format("Pool '{0}' cannot be changed: it is read-only, or has "
					   "failed. `corbel pool show {0}` says which.",
					   view.pool.name));
	return answer;
}

Json Volumes::json_of(const View &view, const VolumeStatus &volume)
{
	const auto *device = view.device_of(volume.id);

	return {{"name", fmt::format("{}/{}", view.pool.name, view.name_of(volume.id))},
		{"id", volume.id},
		{"bytes", volume.blocks * view.block_bytes()},
		{"mapped_bytes", volume.mapped * view.block_bytes()},
		{"origin", volume.origin ? Json(fmt::format("{}/{}", view.pool.name,
							    view.name_of(volume.origin)))
					 : Json()},
		{"created_generation", volume.created},
		{"mode", volume.mode},
		{"device", device ? Json("/dev/mapper/" + device->name) : Json()},
		{"open", device ? Json(device->open) : Json()}};
}

Result<Json> Volumes::list(const std::string &pool, bool snapshots)
{
	auto found = Json::array();
	std::vector<std::string> pools;

	if (!pool.empty())
		pools.push_back(pool);
	else
		for (const auto &record : CORBEL_EXPECT(pools_.records().pools()))
			if (pools_.started(record))
				pools.push_back(record.name);
	for (const auto &name : pools) {
		const auto seen = CORBEL_EXPECT(view(name));

		for (const auto &volume : seen.known)
			if (is_snapshot(volume, seen.name_of(volume.id)) == snapshots)
				found.push_back(json_of(seen, volume));
	}
	return Json{{snapshots ? "snapshots" : "volumes", std::move(found)}};
}

Result<Json> Volumes::create(const VolumeName &name, std::uint64_t bytes, bool activate,
			     bool dry_run)
{
	auto guard = pools_.changing();
	const auto seen = CORBEL_EXPECT(view(name.pool));
	const auto blocks = seen.blocks_of(bytes);
	VolumeStatus made{0, blocks, 0, 0, 0, "rw"};

	if (!pool::is_volume_name(name.volume))
		return failure(EINVAL,
			       fmt::format("'{}' is no name for a new volume: a snapshot is "
					   "made by `corbel snapshot create`.",
					   name.text()));
	CORBEL_EXPECT(require_new(seen, name.volume));
	auto answer = change_of(name, dry_run, true);
	answer["bytes"] = blocks * seen.block_bytes();
	answer["device"] = nullptr;
	if (dry_run)
		return answer;
	const auto ids = CORBEL_EXPECT(
		parse_numbers(CORBEL_EXPECT(message(seen, fmt::format("create {}", blocks)))));
	if (ids.size() != 1)
		return failure(EPROTO, "The kernel does not say which volume it has made.");
	made.id = ids.front();
	CORBEL_EXPECT(pools_.records().put(name.pool, {{name.volume, made.id, activate}}));
	if (activate) {
		CORBEL_EXPECT(map_volume(pools_.mapper(), seen.pool, seen.device, name.volume, made,
					 seen.status.block_sectors));
		answer["device"] = "/dev/mapper/" + mapped_name(name.pool, name.volume);
	}
	return answer;
}

Result<Json> Volumes::remove(const VolumeName &name, bool dry_run)
{
	auto guard = pools_.changing();
	const auto seen = CORBEL_EXPECT(view(name.pool));
	auto found = find(seen, name);
	const auto record = std::ranges::find(seen.records, name.volume, &VolumeRecord::name);

	/* It was deleted, and its name was not forgotten before somebody died. */
	if (!found && record != seen.records.end() && !seen.find(record->id)) {
		if (!dry_run)
			CORBEL_EXPECT(pools_.records().erase(name.pool, name.volume));
		return change_of(name, dry_run, true);
	}
	if (!found)
		return std::unexpected(found.error());
	CORBEL_EXPECT(require_inactive(seen, found->status.id, "deleting it"));
	const auto prefix = name.volume + "@";
	const auto snapshots = std::ranges::count_if(seen.records, [&](const VolumeRecord &each) {
		return each.name.starts_with(prefix);
	});
	if (snapshots)
		return failure(EBUSY, fmt::format("{} has {} snapshots: `corbel snapshot delete` "
						  "those first.",
						  name.text(), snapshots));
	if (!dry_run) {
		(void)CORBEL_EXPECT(message(seen, fmt::format("delete {}", found->status.id)));
		if (!found->record.name.empty())
			CORBEL_EXPECT(pools_.records().erase(name.pool, found->record.name));
	}
	return change_of(name, dry_run, true);
}

Result<Json> Volumes::resize(const VolumeName &name, std::uint64_t bytes, bool dry_run)
{
	auto guard = pools_.changing();
	const auto seen = CORBEL_EXPECT(view(name.pool));
	const auto found = CORBEL_EXPECT(find(seen, name));
	const auto blocks = seen.blocks_of(bytes);
	const auto *device = seen.device_of(found.status.id);
	auto answer = change_of(name, dry_run, blocks != found.status.blocks);

	if (is_snapshot(found.status, name.volume))
		return failure(EROFS, fmt::format("{} is a snapshot, which stays as it is: "
						  "`corbel volume clone` it, and resize that.",
						  name.text()));
	/* Whoever has it open may be about to write there. */
	if (blocks < found.status.blocks)
		CORBEL_EXPECT(require_inactive(seen, found.status.id, "making it smaller"));
	answer["bytes"] = blocks * seen.block_bytes();
	if (dry_run || blocks == found.status.blocks)
		return answer;
	(void)CORBEL_EXPECT(message(seen, fmt::format("resize {} {}", found.status.id, blocks)));
	if (device)
		CORBEL_EXPECT(pools_.mapper().reload(
			device->name,
			{.sectors = blocks * seen.status.block_sectors,
			 .target = "corbel-volume",
			 .parameters = fmt::format("{} {}", seen.device.number, found.status.id)}));
	return answer;
}

Result<Json> Volumes::activate(const VolumeName &name, bool dry_run)
{
	auto guard = pools_.changing();
	const auto seen = CORBEL_EXPECT(view(name.pool));
	auto found = CORBEL_EXPECT(find(seen, name));
	const auto *device = seen.device_of(found.status.id);
	auto answer = change_of(name, dry_run, !device);

	if (found.record.name.empty())
		return failure(EINVAL, fmt::format("{} has no name that its device could have: "
						   "`corbel volume clone` it to one that has.",
						   name.text()));
	if (!dry_run && !device)
		CORBEL_EXPECT(map_volume(pools_.mapper(), seen.pool, seen.device, found.record.name,
					 found.status, seen.status.block_sectors));
	if (!dry_run && !found.record.active) {
		found.record.active = true;
		CORBEL_EXPECT(pools_.records().put(name.pool, {found.record}));
	}
	answer["device"] = "/dev/mapper/" +
			   (device ? device->name : mapped_name(name.pool, found.record.name));
	return answer;
}

Result<Json> Volumes::deactivate(const VolumeName &name, bool dry_run)
{
	auto guard = pools_.changing();
	const auto seen = CORBEL_EXPECT(view(name.pool));
	auto found = CORBEL_EXPECT(find(seen, name));
	const auto *device = seen.device_of(found.status.id);

	if (device && device->open)
		return failure(EBUSY, fmt::format("/dev/mapper/{} is in use: unmount it, or stop "
						  "the VM whose disk it is, first.",
						  device->name));
	if (!dry_run && device)
		CORBEL_EXPECT(pools_.mapper().remove(device->name));
	if (!dry_run && found.record.active) {
		found.record.active = false;
		CORBEL_EXPECT(pools_.records().put(name.pool, {found.record}));
	}
	return change_of(name, dry_run, device || found.record.active);
}

Result<Json> Volumes::rename(const VolumeName &name, const std::string &as, bool dry_run)
{
	auto guard = pools_.changing();
	const auto seen = CORBEL_EXPECT(view(name.pool));
	const auto found = CORBEL_EXPECT(find(seen, name));
	const auto &old = found.record.name;
	std::vector<VolumeRecord> snapshots;

	if (name.is_snapshot() || !pool::is_volume_name(as))
		return failure(EINVAL, "A snapshot is called after its volume: rename that, to a "
				       "name without '@'.");
	if (old == as)
		return change_of({name.pool, as}, dry_run, false);
	CORBEL_EXPECT(require_new(seen, as));
	CORBEL_EXPECT(require_inactive(seen, found.status.id, "renaming it"));
	for (const auto &each : seen.records)
		if (!old.empty() && each.name.starts_with(old + "@")) {
			CORBEL_EXPECT(require_inactive(seen, each.id, "renaming " + name.text()));
			snapshots.push_back(each);
		}
	if (dry_run)
		return change_of({name.pool, as}, dry_run, true);
	/* The volume last: who is told of an error can do it again. */
	for (const auto &each : snapshots)
		CORBEL_EXPECT(pools_.records().rename(
			name.pool, each.name,
			{as + each.name.substr(old.size()), each.id, each.active}));
	CORBEL_EXPECT(pools_.records().rename(name.pool, old,
					      {as, found.record.id, found.record.active}));
	return change_of({name.pool, as}, dry_run, true);
}

Result<Json> Volumes::snapshot(const std::vector<VolumeName> &names, const std::string &label,
			       bool dry_run)
{
	auto guard = pools_.changing();
	const auto seen = CORBEL_EXPECT(view(names.front().pool));
	std::vector<std::uint64_t> of;
	std::vector<VolumeRecord> made;
	auto answer = Json::array();

	if (names.size() > most_at_once)
		return failure(EINVAL, fmt::format("At most {} volumes can be had at one instant.",
						   most_at_once));
	for (const auto &name : names) {
		if (name.pool != seen.pool.name)
			return failure(EINVAL,
				       fmt::format("{} and {} are in different pools, which "
						   "have no instant in common.",
						   names.front().text(), name.text()));
		const auto found = CORBEL_EXPECT(find(seen, name));
		const auto as = fmt::format("{}@{}", name.of(), label);
		if (found.record.name.empty() || name.is_snapshot())
			return failure(EINVAL, fmt::format("{} is no volume that a snapshot could "
							   "be called after.",
							   name.text()));
		if (std::ranges::find(of, found.status.id) != of.end())
			return failure(EINVAL, fmt::format("{} is named twice.", name.text()));
		CORBEL_EXPECT(require_new(seen, as));
		of.push_back(found.status.id);
		made.push_back({as, 0, false});
		answer.push_back(fmt::format("{}/{}", name.pool, as));
	}
	if (!dry_run) {
		const auto ids = CORBEL_EXPECT(parse_numbers(CORBEL_EXPECT(
			message(seen, fmt::format("snapshot {}", fmt::join(of, " "))))));
		if (ids.size() != made.size())
			return failure(EPROTO, "The kernel does not say which snapshots it made.");
		for (std::size_t i = 0; i < ids.size(); i++)
			made[i].id = ids[i];
		CORBEL_EXPECT(pools_.records().put(seen.pool.name, made));
	}
	return Json{{"snapshots", std::move(answer)}, {"dry_run", dry_run}, {"changed", true}};
}

Result<std::uint64_t> Volumes::id_of(const VolumeName &name)
{
	const auto guard = pools_.changing();

	return CORBEL_EXPECT(find(CORBEL_EXPECT(view(name.pool)), name)).status.id;
}

Result<Json> Volumes::roll_back(const VolumeName &snapshot, bool dry_run)
{
	auto guard = pools_.changing();
	const auto seen = CORBEL_EXPECT(view(snapshot.pool));
	const auto to = CORBEL_EXPECT(find(seen, snapshot));
	const VolumeName name{snapshot.pool, snapshot.of()};
	const auto volume = CORBEL_EXPECT(find(seen, name));

	CORBEL_EXPECT(require_inactive(seen, volume.status.id, "rolling it back"));
	if (!dry_run)
		(void)CORBEL_EXPECT(message(
			seen, fmt::format("rollback {} {}", volume.status.id, to.status.id)));
	return change_of(name, dry_run, true);
}

Result<Json> Volumes::clone(const VolumeName &source, const std::string &as, bool dry_run)
{
	auto guard = pools_.changing();
	const auto seen = CORBEL_EXPECT(view(source.pool));
	const auto found = CORBEL_EXPECT(find(seen, source));
	const VolumeName name{source.pool, as};

	CORBEL_EXPECT(require_new(seen, as));
	if (!dry_run) {
		const auto ids = CORBEL_EXPECT(parse_numbers(
			CORBEL_EXPECT(message(seen, fmt::format("clone {}", found.status.id)))));
		if (ids.size() != 1)
			return failure(EPROTO, "The kernel does not say which volume it has made.");
		CORBEL_EXPECT(pools_.records().put(source.pool, {{as, ids.front(), false}}));
	}
	return change_of(name, dry_run, true);
}

Result<void> Volumes::diff(const VolumeName &a, const VolumeName &b, const Take &take)
{
	const auto seen = CORBEL_EXPECT(view(a.pool));

	if (a.pool != b.pool)
		return failure(EINVAL, fmt::format("{} and {} are in different pools, which have "
						   "nothing in common.",
						   a.text(), b.text()));
	const auto first = CORBEL_EXPECT(find(seen, a)), second = CORBEL_EXPECT(find(seen, b));
	std::optional<std::uint64_t> from = 0;
	while (from) {
		const auto page = CORBEL_EXPECT(parse_difference(
			CORBEL_EXPECT(message(seen, fmt::format("diff {} {} {}", first.status.id,
								second.status.id, *from)))));

		for (const auto &range : page.ranges)
			if (!take({{"offset", range.first * seen.block_bytes()},
				   {"bytes", range.count * seen.block_bytes()},
				   {"in", range.in}}))
				return {};
		if (page.next && *page.next <= *from)
			return failure(EPROTO, "The kernel does not get on with what differs: "
					       "dm-corbel.ko is of another version.");
		from = page.next;
	}
	return {};
}

} /* namespace corbel::volumes */
