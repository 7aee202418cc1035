// SPDX-License-Identifier: GPL-2.0-or-later
#include "qos_text.hh"

#include "quantity.hh"
#include "schema.hh"

#include "../pool/names.hh"
#include "../qos/words.hh"

#include <cerrno>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

Json counters_schema()
{
	namespace s = schema;
	const auto op = s::object({{"ios", s::count("that are done")},
				   {"bytes", s::count()},
				   {"errors", s::count()},
				   {"device_ns", s::count("at the device, all together")}});

	return s::object({{"read", op},
			  {"write", op},
			  {"discard", op},
			  {"flush", op},
			  {"throttled", s::count("I/Os that a limit or the device's depth held")},
			  {"throttled_ns", s::count("for how long, all together")}});
}

Json histograms_schema()
{
	namespace s = schema;
	const auto buckets = s::array(s::object({{"bucket", s::count()}, {"count", s::count()}}),
				      "those that are not empty");

	return s::object(
		{{"read", buckets}, {"write", buckets}, {"other", buckets}, {"queue", buckets}},
		"of times at the device, and of those before");
}

} /* namespace */

void declare_lun(OptionSet &set, std::string &value)
{
	set.text("lun", value, "LUN", "Its name, as `corbel qos list` shows it", check_qos_name);
	set.last_is_required();
}

void declare_object(OptionSet &set, std::string &value)
{
	set.text("object", value, "OBJECT", "Its name, as `corbel qos show` shows it",
		 check_qos_name);
	set.last_is_required();
}

Result<void> check_qos_name(const std::string &text)
{
	if (pool::is_volume_name(text))
		return {};
	return failure(EINVAL,
		       fmt::format("'{}' is no name: letters, digits, dots, underscores and "
				   "dashes, at most 40.",
				   text));
}

Result<void> check_range(const std::string &text)
{
	(void)CORBEL_EXPECT(workloads::parse_range(text));
	return {};
}

void print_remarks(const Json &answer)
{
	for (const auto &remark : answer.at("remarks"))
		fmt::print(stderr, "corbel: {}\n", remark.get<std::string>());
}

Json qos_object_schema()
{
	namespace s = schema;
	const auto part = s::object({{"first", s::count()}, {"bytes", s::count()}});
	const auto extent = s::object({{"offset", s::count("in the disk")},
				       {"at", s::count("on the LUN")},
				       {"bytes", s::count()}});

	return s::object(
		{{"name", s::string("rest: what no other has")},
		 {"number", s::count("that the kernel knows it by")},
		 {"policy", s::nullable(s::string())},
		 {"shared", s::boolean()},
		 {"kind", s::nullable(s::string("of disk"))},
		 {"path", s::nullable(s::string("of the disk"))},
		 {"vm", s::nullable(s::string())},
		 {"disk", s::nullable(s::string("as the VM calls it"))},
		 {"partition", s::nullable(s::count("of the disk"))},
		 {"part", s::nullable(part)},
		 {"bytes", s::nullable(s::count("of the disk"))},
		 {"enforced_bytes", s::nullable(s::count("that its policy holds for"))},
		 {"ranges", s::nullable(s::count())},
		 {"remarks", s::array(s::string(), "what cannot be enforced")},
		 {"looked", s::nullable(s::string("when it was last seen where it lies"))},
		 {"error", s::nullable(s::string("why not since"))},
		 {"extents", s::nullable(s::array(extent, "of one that is asked for: the first "
							  "1000"))},
		 {"counters", s::nullable(counters_schema())},
		 {"histograms", s::nullable(histograms_schema())}});
}

std::string show_quantile(const Json &buckets, unsigned per_mille)
{
	workloads::Histogram histogram;

	for (const auto &bucket : buckets)
		histogram[bucket.at("bucket").get<unsigned>()] =
			bucket.at("count").get<std::uint64_t>();
	return histogram.empty() ? "-" : show_duration(workloads::quantile(histogram, per_mille));
}

} /* namespace corbel::cli */
