// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
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
	std::string pool;
	bool json = false;
};

std::string share(const Json &of, const char *used, const char *all)
{
	return fmt::format("{} of {}", pool::size_text(of.at(used)), pool::size_text(of.at(all)));
}

ExitCode show(const Json &answer)
{
	using Align = Table::Align;
	const auto text = [&](const char *key) {
		const auto &value = answer.at(key);
		return value.is_string() ? printable(value.get<std::string>()) : dump(value);
	};
	Table table({{"DEVICE"},
		     {"TIER", Align::left},
		     {"SIZE"},
		     {"USED"},
		     {"PLACED BELOW"},
		     {"PATH", Align::left},
		     {"UUID", Align::left, 1}});

	fmt::print("pool      {}\nuuid      {}\nstate     {}\nblocks    {}\ngeneration {}\n"
		   "volumes   {}\nused      {}\nmetadata  {} of {}\n",
		   text("name"), text("uuid"), text("mode"),
		   pool::size_text(answer.at("block_bytes")), text("generation"), text("volumes"),
		   share(answer, "used_bytes", "bytes"),
		   share(answer.at("meta"), "used_bytes", "bytes"),
		   answer.at("meta").at("path").get<std::string>());
	for (const auto &alarm : answer.at("alarms"))
		fmt::print("alarm     {}\n", alarm.get<std::string>());
	if (const auto &mover = answer.at("mover"); !mover.is_null())
		fmt::print(
			"mover     {}: device {}, {} of {} looked at, {} moved; p99 of I/O {} us, "
			"target {} us, {} ms paused\n",
			mover.at("state").get<std::string>(),
			mover.at("device").get<std::uint64_t>(),
			mover.at("done").get<std::uint64_t>(),
			mover.at("total").get<std::uint64_t>(),
			mover.at("moved").get<std::uint64_t>(),
			mover.at("seen_us").get<std::uint64_t>(),
			mover.at("target_us").get<std::uint64_t>(),
			mover.at("paused_ms").get<std::uint64_t>());
	for (const auto &device : answer.at("devices"))
		table.add({dump(device.at("number")), device.at("tier"),
			   pool::size_text(device.at("bytes")),
			   pool::size_text(device.at("used_bytes")),
			   pool::size_text(device.at("limit_bytes")), device.at("path"),
			   device.at("uuid")});
	for (const auto &line : table.lines())
		fmt::print("{}\n", line);
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;
	const auto device = s::object({{"number", s::count("which other verbs take")},
				       {"path", s::string("empty: not remembered here")},
				       {"uuid", s::string()},
				       {"tier", s::string()},
				       {"bytes", s::count()},
				       {"used_bytes", s::count()},
				       {"limit_bytes", s::count("nothing is placed behind")}});
	const auto mover = s::object({{"state", s::string("running, done, failed or cancelled")},
				      {"device", s::count()},
				      {"done", s::count("blocks that it has looked at")},
				      {"total", s::count("that it is to look at")},
				      {"moved", s::count("blocks")},
				      {"middle_entries", s::count("changed")},
				      {"meta_bytes", s::count("written")},
				      {"skipped", s::count("blocks that were busy")},
				      {"target_us", s::count("for p99 of I/O of volumes; 0: none, "
							     "or not known yet")},
				      {"seen_us", s::count("p99 of it since it began to move")},
				      {"paused_ms", s::count("so that the target is met")}});

	return s::object({{"name", s::string()},
			  {"uuid", s::string()},
			  {"started", s::boolean()},
			  {"device", s::nullable(s::string("in /dev/mapper"))},
			  {"mode", s::one_of_words({"rw", "ro", "failed", "stopped"})},
			  {"policy", s::nullable(s::string("when it is full: queue or error"))},
			  {"alarms", s::array(s::one_of_words({"failed", "data_full", "data_low",
							       "meta_full", "meta_low"}),
					      "what somebody should look at")},
			  {"generation", s::count("commits")},
			  {"block_bytes", s::count()},
			  {"bytes", s::count("of all data devices")},
			  {"used_bytes", s::count()},
			  {"volumes", s::count("snapshots too")},
			  {"meta", s::object({{"path", s::string()},
					      {"bytes", s::count()},
					      {"used_bytes", s::count()}})},
			  {"devices", s::array(device)},
			  {"mover", s::nullable(mover)}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_pool(set, options->pool);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(pool_show_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb pool_show_verb{
	.group = "pool",
	.name = "show",
	.summary = "All that is to be known of a pool: devices, how full it is, what moves",
	.examples = "corbel pool show vms                        also of one that is not started\n"
		    "corbel pool show vms --json | jq .devices   for scripts\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
