// SPDX-License-Identifier: GPL-2.0-or-later
/* view.cc - what is to be seen of objects: where they lie, what was done, and where on them. */
#include "objects.hh"

#include "../corbel/quantity.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

constexpr std::size_t most_extents = 1000; /* that are shown */
constexpr std::uint64_t most_cells = 1 << 20, least_shift = 7; /* of the target */

Json json_of(const ObjectCounters &counters)
{
	auto json = Json::object();

	for (std::size_t i = 0; i < op_names.size(); i++) {
		const auto &op = counters.by_op[i];
		json[std::string(op_names[i])] = {{"ios", op.ios},
						  {"bytes", op.bytes},
						  {"errors", op.errors},
						  {"device_ns", op.ns}};
	}
	json["throttled"] = counters.throttled;
	json["throttled_ns"] = counters.throttled_ns;
	return json;
}

Json text_or_null(const std::string &text)
{
	return text.empty() ? Json() : Json(text);
}

Json view_of(const ObjectRecord &object, const Known &known)
{
	Json json{{"name", object.name},
		  {"number", object.number},
		  {"policy", object.policy},
		  {"shared", object.shared},
		  {"kind", text_or_null(known.kind)},
		  {"path", text_or_null(object.path)},
		  {"vm", text_or_null(object.vm)},
		  {"disk", text_or_null(object.disk)},
		  {"partition", object.partition ? Json(object.partition) : Json()},
		  {"part", nullptr},
		  {"bytes", known.looked ? Json(known.bytes) : Json()},
		  {"enforced_bytes", known.sure ? Json(bytes_of(known.spans)) : Json()},
		  {"ranges", known.sure ? Json(known.spans.size()) : Json()},
		  {"remarks", known.remarks},
		  {"looked", known.looked ? Json(cli::show_time(*known.looked)) : Json()},
		  {"error", text_or_null(known.error)}};

	if (object.part)
		json["part"] = {{"first", object.part->first}, {"bytes", object.part->second}};
	return json;
}

/* What no object has: there from the start, without a policy. */
Json view_of_rest()
{
	ObjectRecord rest;
	Known known;

	rest.name = "rest";
	known.kind = "rest";
	auto json = view_of(rest, known);
	json["policy"] = nullptr;
	return json;
}

Json extents_json(const Known &known)
{
	auto extents = Json::array();

	for (const auto &extent : known.extents) {
		if (extents.size() == most_extents)
			break;
		extents.push_back(
			{{"offset", extent.offset}, {"at", extent.at}, {"bytes", extent.bytes}});
	}
	return extents;
}

/* Of the smallest cells that there is room for. */
std::uint64_t least_shift_of(std::uint64_t sectors)
{
	std::uint64_t shift = least_shift;

	while ((sectors - 1) >> shift >= most_cells)
		shift++;
	return shift;
}

Result<std::uint64_t> shift_of(std::uint64_t cell_bytes, const LunRecord &lun)
{
	const auto least = least_shift_of(lun.sectors);
	std::uint64_t shift = least;

	if (!cell_bytes)
		return shift;
	while (shift < 40 && sector_bytes << shift < cell_bytes)
		shift++;
	if (sector_bytes << shift != cell_bytes)
		return failure(
			EINVAL,
			fmt::format("A cell is of a power of two of bytes, and on '{}' of at "
				    "least {}.",
				    lun.name, sector_bytes << least));
	return shift;
}

Json bins_json(const HeatMap &map)
{
	auto bins = Json::array();

	for (std::size_t i = 0; i < map.bins.size(); i++) {
		const auto &bin = map.bins[i];
		if (bin.reads || bin.writes || bin.read_bytes || bin.written_bytes)
			bins.push_back({{"index", i},
					{"reads", bin.reads},
					{"writes", bin.writes},
					{"read_bytes", bin.read_bytes},
					{"written_bytes", bin.written_bytes}});
	}
	return bins;
}

class Teller {
public:
	Teller(Luns &luns, const LunRecord &lun) : luns_(luns), lun_(lun) {}

	/* Null: the object has none. */
	[[nodiscard]] Result<Json> histograms(std::uint64_t number)
	{
		auto json = Json::object();

		for (const auto name : histogram_names) {
			const auto text =
				luns_.message(lun_, fmt::format("histogram {} {}", number, name));
			if (!text && text.error().number == ENODATA)
				return Json();
			if (!text)
				return std::unexpected(text.error());
			auto &buckets = json[std::string(name)] = Json::array();
			for (const auto &[bucket, count] : CORBEL_EXPECT(parse_histogram(*text)))
				buckets.push_back({{"bucket", bucket}, {"count", count}});
		}
		return json;
	}

	[[nodiscard]] Result<HeatCells> cells()
	{
		HeatCells all{};

		for (std::uint64_t next = 0;;) {
			const auto text =
				luns_.message(lun_, fmt::format("cells {} {}", next, most_cells));
			if (!text && text.error().number == ENODATA)
				return failure(ENODATA,
					       fmt::format("'{0}' has no heat map: `corbel qos "
							   "heatmap {0} --on` begins one.",
							   lun_.name));
			if (!text)
				return std::unexpected(text.error());
			const auto some = CORBEL_EXPECT(parse_cells(*text));
			all.shift = some.shift;
			all.count = some.count;
			all.cells.insert(all.cells.end(), some.cells.begin(), some.cells.end());
			if (some.next >= some.count)
				return all;
			if (some.next <= next)
				return failure(EPROTO, "The kernel tells no more cells of a heat "
						       "map: dm-corbel.ko is of another version.");
			next = some.next;
		}
	}

private:
	Luns &luns_;
	const LunRecord &lun_;
};

} /* namespace */

Result<Json> Objects::show(const std::string &name, const std::string &object_name, bool histograms)
{
	const auto guard = luns_.changing();
	const auto lun = CORBEL_EXPECT(luns_.records().lun(name));
	const auto device = CORBEL_EXPECT(luns_.started(lun));
	const auto status = CORBEL_EXPECT(parse_target_status(CORBEL_EXPECT(luns_.status(lun))));
	Teller teller(luns_, lun);
	const auto counters = CORBEL_EXPECT(luns_.counters(lun));
	auto views = Json::array();
	/* One is shown with all that there is. */
	const auto add = [&](std::uint64_t number, Json view, const Known &known) -> Result<void> {
		const auto found = counters.find(number);

		view["extents"] = object_name.empty() ? Json() : extents_json(known);
		view["counters"] = found == counters.end() ? Json() : json_of(found->second);
		view["histograms"] = histograms ? CORBEL_EXPECT(teller.histograms(number)) : Json();
		views.push_back(std::move(view));
		return {};
	};

	if (object_name.empty() || object_name == "rest")
		CORBEL_EXPECT(add(0, view_of_rest(), {}));
	for (const auto &object : CORBEL_EXPECT(luns_.records().objects(name)))
		if (object_name.empty() || object.name == object_name) {
			const auto &known = luns_.known(name)[object.name];
			CORBEL_EXPECT(add(object.number, view_of(object, known), known));
		}
	if (views.empty())
		return failure(ENOENT, fmt::format("There is no object '{0}' on '{1}': `corbel qos "
						   "show {1}` shows those there are.",
						   object_name, name));
	return Json{{"lun", name},
		    {"path", path_of(lun)},
		    {"bytes", lun.sectors * sector_bytes},
		    {"depth", lun.depth},
		    {"io_bytes", lun.io_bytes},
		    {"open", device.open},
		    {"ranges", status.ranges},
		    {"objects", std::move(views)}};
}

Result<Json> Objects::heatmap(const HeatWish &wish, bool dry_run)
{
	const auto guard = luns_.changing();
	auto lun = CORBEL_EXPECT(luns_.records().lun(wish.lun));
	const auto shift = CORBEL_EXPECT(shift_of(wish.cell_bytes, lun));
	Json answer{{"lun", wish.lun},
		    {"object", text_or_null(wish.object)},
		    {"on", true},
		    {"cell_bytes", nullptr},
		    {"bytes", nullptr},
		    {"bin_bytes", nullptr},
		    {"bins", Json::array()},
		    {"estimated", false},
		    {"dry_run", dry_run},
		    {"changed", false}};

	(void)CORBEL_EXPECT(luns_.started(lun));
	if (wish.on || wish.off) {
		const auto before = lun.heat_shift;

		lun.heat_shift = wish.off ? 0 : before && !wish.cell_bytes ? before : shift;
		answer["on"] = wish.on;
		if (wish.on)
			answer["cell_bytes"] = sector_bytes << lun.heat_shift;
		answer["changed"] = lun.heat_shift != before;
		if (dry_run || lun.heat_shift == before)
			return answer;
		(void)CORBEL_EXPECT(luns_.message(
			lun, wish.off ? "heat off" : fmt::format("heat {}", lun.heat_shift)));
		CORBEL_EXPECT(luns_.records().put(lun));
		return answer;
	}
	const auto heat = CORBEL_EXPECT(Teller(luns_, lun).cells());
	std::vector<extents::Extent> extents{{0, 0, lun.sectors * sector_bytes}};
	auto bytes = lun.sectors * sector_bytes;
	if (!wish.object.empty()) {
		const auto objects = CORBEL_EXPECT(luns_.records().objects(wish.lun));
		if (std::ranges::find(objects, wish.object, &ObjectRecord::name) == objects.end())
			return failure(ENOENT,
				       fmt::format("There is no object '{0}' on '{1}': `corbel qos "
						   "show {1}` shows those there are.",
						   wish.object, wish.lun));
		const auto &known = luns_.known(wish.lun)[wish.object];
		extents = known.extents;
		bytes = known.bytes;
	}
	const auto map = fold(heat.cells, heat.shift, extents, bytes);
	answer["cell_bytes"] = sector_bytes << heat.shift;
	answer["bytes"] = bytes;
	answer["bin_bytes"] = map.bin_bytes;
	answer["bins"] = bins_json(map);
	answer["estimated"] = !wish.object.empty() && map.estimated;
	return answer;
}

} /* namespace corbel::workloads */
