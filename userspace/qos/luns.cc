// SPDX-License-Identifier: GPL-2.0-or-later
#include "luns.hh"

#include "../volumes/data_device.hh"

#include <libcorbel/uuid.hh>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

using volumes::Mapped;

std::string mapped_name(const LunRecord &lun)
{
	return "corbel-qos-" + lun.name;
}

std::string mapped_uuid(const LunRecord &lun)
{
	return fmt::format("{}{}", volumes::lun_uuid_prefix, lun.uuid);
}

Json change_of(const std::string &lun, bool dry_run, bool changed)
{
	return {{"lun", lun}, {"dry_run", dry_run}, {"changed", changed}};
}

/* It can be had, and what is on it is known to whoever asks for this. */
Result<void> check_device(const LunWish &wish)
{
	const auto device = pool::MetaDevice::open(wish.device, pool::MetaDevice::Use::write);

	if (!device && device.error().number == EBUSY)
		return failure(
			EBUSY,
			fmt::format("{0} is in use: a device comes under QoS before it is "
				    "mounted, or given to anybody else. Unmount it (or stop "
				    "the volume group or pool that has it), add it, and then "
				    "mount /dev/mapper/corbel-qos-{1} in its place.",
				    wish.device, wish.name));
	if (!device)
		return std::unexpected(device.error());
	const auto there = CORBEL_EXPECT(volumes::contents_of(**device));
	if (!there.empty() && !wish.force)
		return failure(
			EEXIST,
			fmt::format("{0} holds {1}, which stays as it is: say --force if that "
				    "is meant. From then on it is used as "
				    "/dev/mapper/corbel-qos-{2}, and {0} by nobody.",
				    wish.device, there, wish.name));
	return {};
}

} /* namespace */

std::string path_of(const LunRecord &lun)
{
	return "/dev/mapper/" + mapped_name(lun);
}

/* ---- what is there ------------------------------------------------------------------ */

Result<std::optional<Mapped>> Luns::find(const LunRecord &lun)
{
	const auto all = CORBEL_EXPECT(mapper_.list());
	const auto found = std::ranges::find(all, mapped_uuid(lun), &Mapped::uuid);

	return found == all.end() ? std::nullopt : std::optional(*found);
}

Result<Mapped> Luns::started(const LunRecord &lun)
{
	if (auto found = CORBEL_EXPECT(find(lun)))
		return *found;
	return failure(ENODEV, fmt::format("{} is not there: when corbeld began, {} could not be "
					   "had. Restart it when it can (`corbel status` says what "
					   "was wrong).",
					   path_of(lun), lun.device));
}

Result<std::string> Luns::message(const LunRecord &lun, const std::string &text)
{
	return mapper_.message(mapped_name(lun), text);
}

Result<std::string> Luns::status(const LunRecord &lun)
{
	return mapper_.status(mapped_name(lun));
}

Result<std::map<std::uint64_t, ObjectCounters>> Luns::counters(const LunRecord &lun)
{
	std::map<std::uint64_t, ObjectCounters> all;

	for (std::uint64_t next = 0;;) {
		auto table = CORBEL_EXPECT(parse_table(
			CORBEL_EXPECT(message(lun, fmt::format("table {} 1000", next)))));

		all.merge(table.objects);
		if (table.next <= next)
			return all;
		next = table.next;
	}
}

Result<Json> Luns::list()
{
	const auto guard = changing();
	auto luns = Json::array();

	for (const auto &lun : CORBEL_EXPECT(records_.luns())) {
		const auto device = CORBEL_EXPECT(find(lun));
		Json json{{"name", lun.name},
			  {"device", lun.device},
			  {"path", path_of(lun)},
			  {"started", device.has_value()},
			  {"bytes", lun.sectors * sector_bytes},
			  {"depth", lun.depth},
			  {"io_bytes", lun.io_bytes},
			  {"objects", CORBEL_EXPECT(records_.objects(lun.name)).size()},
			  {"open", nullptr},
			  {"ranges", nullptr},
			  {"in_flight", nullptr}};

		if (device) {
			const auto now =
				CORBEL_EXPECT(parse_target_status(CORBEL_EXPECT(status(lun))));
			json["open"] = device->open;
			json["ranges"] = now.ranges;
			json["in_flight"] = now.in_flight;
		}
		luns.push_back(std::move(json));
	}
	return Json{{"luns", std::move(luns)}};
}

/* ---- beginning and end -------------------------------------------------------------- */

Result<volumes::Table> Luns::table_of(const LunRecord &lun)
{
	return volumes::Table{.sectors = lun.sectors,
			      .target = "corbel-qos",
			      .parameters =
				      fmt::format("{} 0 4 depth {} io_bytes {}",
						  CORBEL_EXPECT(volumes::number_of(lun.device)),
						  lun.depth, lun.io_bytes)};
}

Result<Json> Luns::add(const LunWish &wish, bool dry_run)
{
	const auto guard = changing();
	LunRecord lun;

	if (records_.lun(wish.name))
		return failure(EEXIST, fmt::format("There is a device under QoS as '{}' already.",
						   wish.name));
	CORBEL_EXPECT(check_device(wish));
	const auto uuid = CORBEL_EXPECT(volumes::make_uuid());
	lun.name = wish.name;
	lun.uuid = uuid_text(uuid.bytes);
	lun.device = wish.device;
	lun.sectors = CORBEL_EXPECT(volumes::bytes_of(wish.device)) / sector_bytes;
	lun.depth = wish.depth;
	lun.io_bytes = wish.io_bytes;
	if (!dry_run) {
		CORBEL_EXPECT(records_.put(lun, true));
		if (const auto made = mapper_.create(mapped_name(lun), mapped_uuid(lun),
						     CORBEL_EXPECT(table_of(lun)));
		    !made) {
			CORBEL_EXPECT(records_.erase(lun));
			return std::unexpected(made.error());
		}
	}
	auto answer = change_of(wish.name, dry_run, true);
	answer["device"] = dry_run ? Json() : Json(path_of(lun));
	return answer;
}

Result<Json> Luns::remove(const std::string &name, bool yes, bool dry_run)
{
	const auto guard = changing();
	const auto lun = CORBEL_EXPECT(records_.lun(name));
	const auto device = CORBEL_EXPECT(find(lun));
	const auto objects = CORBEL_EXPECT(records_.objects(name)).size();

	if (device && device->open)
		return failure(EBUSY,
			       fmt::format("{} is in use: unmount it, or stop what has it, first.",
					   path_of(lun)));
	if (objects && !yes && !dry_run)
		return failure(EPERM, fmt::format("{} objects have a policy on '{}', which will be "
						  "forgotten: say --yes if that is meant.",
						  objects, name));
	if (!dry_run) {
		if (device)
			CORBEL_EXPECT(mapper_.remove(device->name));
		CORBEL_EXPECT(records_.erase(lun));
		known_.erase(name);
	}
	return change_of(name, dry_run, true);
}

Result<void> Luns::start(LunRecord &lun)
{
	const bool there = CORBEL_EXPECT(find(lun)).has_value();

	if (!there) {
		const auto sectors = CORBEL_EXPECT(volumes::bytes_of(lun.device)) / sector_bytes;
		if (sectors < lun.sectors)
			return failure(
				ENXIO,
				fmt::format("{} has {} sectors, and had {} when it came under "
					    "QoS: disks have changed their names, or it has "
					    "become smaller.",
					    lun.device, sectors, lun.sectors));
		lun.sectors = sectors;
		CORBEL_EXPECT(mapper_.create(mapped_name(lun), mapped_uuid(lun),
					     CORBEL_EXPECT(table_of(lun))));
		CORBEL_EXPECT(records_.put(lun));
	}
	return settle(lun);
}

void Luns::start_all(const Warn &warn)
{
	const auto guard = changing();
	auto luns = records_.luns();

	if (!luns && warn)
		warn(luns.error().sentence);
	if (!luns)
		return;
	for (auto &lun : *luns)
		if (const auto done = start(lun); !done && warn)
			warn(fmt::format("{} is not under QoS as '{}': {}", lun.device, lun.name,
					 done.error().sentence));
}

/* ---- what the target knows ---------------------------------------------------------- */

Result<void> Luns::tell(const LunRecord &lun, const ObjectRecord &object)
{
	const auto policy = CORBEL_EXPECT(records_.policy(object.policy));
	const auto made = message(lun, fmt::format("object {}{}", object.number,
						   object.histograms ? " histograms" : ""));

	if (!made && made.error().number != EEXIST)
		return std::unexpected(made.error());
	(void)CORBEL_EXPECT(
		message(lun, fmt::format("budget {} {}", object.budget, settings_of(policy))));
	(void)CORBEL_EXPECT(
		message(lun, fmt::format("attach {} {}", object.number, object.budget)));
	return {};
}

Result<void> Luns::untell(const LunRecord &lun, const ObjectRecord &object)
{
	const Spans none;

	for (const auto &text : {CORBEL_EXPECT(set_message({{object.number, &none}})),
				 fmt::format("detach {}", object.number)})
		/* One that was never made has nothing. */
		if (const auto done = message(lun, text); !done && done.error().number != ENOENT)
			return std::unexpected(done.error());
	return {};
}

/* Budgets that are there are set anew if @all, which takes from them what they have saved. */
Result<void> Luns::complete(LunRecord &lun, bool all)
{
	std::map<std::uint64_t, ObjectCounters> there;

	if (!all)
		there = CORBEL_EXPECT(counters(lun));
	for (const auto &object : CORBEL_EXPECT(records_.objects(lun.name))) {
		if (object.leaving) {
			CORBEL_EXPECT(untell(lun, object));
			CORBEL_EXPECT(records_.erase(lun, object));
			continue;
		}
		if (!there.contains(object.number))
			CORBEL_EXPECT(tell(lun, object));
		auto &known = known_[lun.name][object.name];
		known.sure = false;
		known.again = true;
	}
	if (all && lun.heat_shift)
		(void)CORBEL_EXPECT(message(lun, fmt::format("heat {}", lun.heat_shift)));
	lun.settled = true;
	return records_.put(lun);
}

/* What a target has goes with its table: then there is no object but rest. */
Result<void> Luns::settle(LunRecord &lun)
{
	const auto now = CORBEL_EXPECT(parse_target_status(CORBEL_EXPECT(status(lun))));
	const bool fresh = now.objects == 1;

	if (fresh)
		known_.erase(lun.name);
	return complete(lun, fresh || !lun.settled);
}

void Luns::tend(const Warn &warn)
{
	const auto guard = changing();
	auto luns = records_.luns();

	if (!luns)
		return;
	for (auto &lun : *luns) {
		const auto objects = records_.objects(lun.name);
		const auto text = status(lun);

		if (!objects || !text)
			continue;
		const auto status = parse_target_status(*text);
		if (!status || (lun.settled && (status->objects > 1 || objects->empty())))
			continue;
		if (const auto done = settle(lun); !done)
			warn(fmt::format("What is to hold on '{}' does not: {}", lun.name,
					 done.error().sentence));
	}
}

} /* namespace corbel::workloads */
