// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "qos_text.hh"
#include "quantity.hh"
#include "schema.hh"
#include "table.hh"
#include "verb.hh"

#include "../pool/names.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string lun, object;
	bool histograms = false;
	bool json = false;
};

std::string text_of(const Json &value)
{
	return value.is_null()	   ? "-"
	       : value.is_string() ? printable(value.get<std::string>())
				   : dump(value);
}

std::string size_of(const Json &bytes)
{
	return bytes.is_null() ? "-" : pool::size_text(bytes.get<std::uint64_t>());
}

void show_one(const Json &object)
{
	const auto &counters = object.at("counters");

	fmt::print("object    {}\npolicy    {}{}\nkind      {}\npath      {}\n",
		   text_of(object.at("name")), text_of(object.at("policy")),
		   object.at("shared").get<bool>() ? " (shared)" : "", text_of(object.at("kind")),
		   text_of(object.at("path")));
	if (!object.at("vm").is_null())
		fmt::print("vm        {}:{}\n", text_of(object.at("vm")),
			   text_of(object.at("disk")));
	fmt::print("size      {}\nenforced  {} in {} ranges\nlooked at {}\n",
		   size_of(object.at("bytes")), size_of(object.at("enforced_bytes")),
		   text_of(object.at("ranges")), text_of(object.at("looked")));
	if (!object.at("error").is_null())
		fmt::print("error     {}\n", text_of(object.at("error")));
	for (const auto &remark : object.at("remarks"))
		fmt::print("remark    {}\n", text_of(remark));
	for (const char *op : {"read", "write", "discard", "flush"})
		if (!counters.is_null())
			fmt::print("{:9} {} I/Os, {}, {} errors\n", op,
				   text_of(counters.at(op).at("ios")),
				   size_of(counters.at(op).at("bytes")),
				   text_of(counters.at(op).at("errors")));
	if (!counters.is_null())
		fmt::print("throttled {} I/Os, {}\n", text_of(counters.at("throttled")),
			   show_duration(counters.at("throttled_ns").get<std::uint64_t>()));
	if (const auto &histograms = object.at("histograms"); !histograms.is_null())
		for (const auto &[name, buckets] : histograms.items())
			fmt::print("{:9} p50 {}, p99 {}\n", name, show_quantile(buckets, 500),
				   show_quantile(buckets, 990));
	for (const auto &extent : object.at("extents"))
		fmt::print("extent    {} at {}, {} bytes\n", text_of(extent.at("offset")),
			   text_of(extent.at("at")), text_of(extent.at("bytes")));
}

ExitCode show(const Json &answer)
{
	using Align = Table::Align;
	const auto &objects = answer.at("objects");
	Table table({{"OBJECT", Align::left},
		     {"POLICY", Align::left},
		     {"ENFORCED"},
		     {"OF"},
		     {"RANGES"},
		     {"READS"},
		     {"WRITES"},
		     {"THROTTLED"},
		     {"KIND", Align::left, 1},
		     {"PATH", Align::left, 2}});

	if (!objects.at(0).at("extents").is_null()) {
		show_one(objects.at(0));
		return ExitCode::ok;
	}
	for (const auto &object : objects) {
		const auto &counters = object.at("counters");
		const auto count = [&](const char *key) {
			return counters.is_null() ? std::string("-")
						  : text_of(counters.at(key).at("ios"));
		};
		table.add({text_of(object.at("name")), text_of(object.at("policy")),
			   size_of(object.at("enforced_bytes")), size_of(object.at("bytes")),
			   text_of(object.at("ranges")), count("read"), count("write"),
			   counters.is_null() ? "-" : text_of(counters.at("throttled")),
			   text_of(object.at("kind")), text_of(object.at("path"))});
	}
	for (const auto &line : table.lines())
		fmt::print("{}\n", line);
	for (const auto &object : objects) {
		const auto name = text_of(object.at("name"));

		if (!object.at("error").is_null())
			fmt::print("{}: {}\n", name, text_of(object.at("error")));
		for (const auto &remark : object.at("remarks"))
			fmt::print("{}: {}\n", name, text_of(remark));
	}
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::object({{"lun", s::string()},
			  {"path", s::string("by which it is used")},
			  {"bytes", s::count()},
			  {"depth", s::count("0: none")},
			  {"io_bytes", s::count("of one I/O")},
			  {"open", s::count("how often")},
			  {"ranges", s::count()},
			  {"objects", s::array(qos_object_schema())}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_lun(set, options->lun);
	set.text("object", options->object, "OBJECT", "This one alone, with all that is known",
		 check_qos_name);
	set.flag("--histograms", options->histograms,
		 "How long I/O took, of objects that were attached so, and of rest");
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(qos_show_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb qos_show_verb{
	.group = "qos",
	.name = "show",
	.summary = "Objects of a LUN: their policies, where they lie, and what they have done",
	.examples = "corbel qos show lun0                       all of them, and rest\n"
		    "corbel qos show lun0 web                   one, with its place on the LUN\n"
		    "corbel qos show lun0 web --histograms      and how long its I/O took\n"
		    "corbel qos show lun0 --json | jq .objects  for scripts\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
