// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "pool_text.hh"
#include "qos_text.hh"
#include "schema.hh"
#include "table.hh"
#include "verb.hh"

#include "../pool/names.hh"
#include "../qos/policy.hh"
#include "../qos/words.hh"

#include <array>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

using workloads::limit_names;

/* A limit and its burst: of bytes as text, else as number. */
struct Rate {
	std::string size[2];
	std::uint64_t number[2] = {0, 0};
};

struct Options {
	std::string name, priority, latency;
	std::array<Rate, limit_names.size()> rates;
	std::uint64_t floor = 0;
	std::uint32_t weight = 0;
	bool deletes = false;
	bool dry_run = false;
	bool json = false;
};

Result<void> check_latency(const std::string &text)
{
	(void)CORBEL_EXPECT(workloads::parse_latency(text));
	return {};
}

std::string limits_text(const Json &policy)
{
	std::string text;

	for (const auto &name : limit_names) {
		const auto &limits = policy.at("limits");
		const auto found = limits.find(name.key);

		if (found == limits.end())
			continue;
		const auto number = [&](const char *key) {
			const auto value = found->at(key).get<std::uint64_t>();
			return name.is_bytes ? pool::size_text(value) : fmt::format("{}", value);
		};
		text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name.option,
				    number("rate"));
		if (found->at("burst").get<std::uint64_t>())
			text += fmt::format(" + {}", number("burst"));
	}
	return text.empty() ? "none" : text;
}

ExitCode show(const Json &answer)
{
	using Align = Table::Align;
	Table table({{"POLICY", Align::left},
		     {"FLOOR"},
		     {"WEIGHT"},
		     {"CLASS", Align::left},
		     {"LATENCY"},
		     {"USED BY"},
		     {"LIMITS", Align::left}});
	const auto &policies = answer.at("policies");
	const bool dry = answer.at("dry_run").get<bool>();

	for (const auto &policy : policies) {
		const auto &latency = policy.at("latency_us");
		const auto floor = policy.at("floor").get<std::uint64_t>();
		table.add({policy.at("name"), floor ? fmt::format("{}", floor) : "-",
			   dump(policy.at("weight")), policy.at("class"),
			   latency.is_null() ? "-"
					     : fmt::format("{} us", latency.get<std::uint64_t>()),
			   fmt::format("{}", policy.at("used_by").size()), limits_text(policy)});
	}
	if (!policies.empty())
		for (const auto &line : table.lines())
			fmt::print("{}\n", line);
	if (answer.at("changed").get<bool>())
		fmt::print("{}\n", dry		      ? "That can be done; nothing was changed."
				   : policies.empty() ? "It is deleted."
						      : "That holds now.");
	else if (policies.empty())
		fmt::print("There is no policy.\n");
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;
	const auto user = s::object({{"lun", s::string()}, {"object", s::string()}});
	const auto limit =
		s::object({{"rate", s::count("a second")},
			   {"burst", s::count("at once beyond that, after so much was not used")}});
	std::vector<s::Key> limits;

	for (const auto &name : limit_names)
		limits.push_back({name.key, limit, true});
	const auto policy = s::object({{"name", s::string()},
				       {"limits", s::object(limits)},
				       {"floor", s::count("I/Os a second; 0: none")},
				       {"weight", s::count()},
				       {"class", s::one_of_words({workloads::class_names.begin(),
								  workloads::class_names.end()})},
				       {"latency_us", s::nullable(s::count())},
				       {"used_by", s::array(user)}});
	return s::joined(s::object({{"policies", s::array(policy)}}), s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();
	const auto add_rate = [&](const std::string &name, Rate &rate, bool is_bytes, bool burst) {
		const std::string help =
			burst ? "At once beyond that, after so much was not used"
			      : fmt::format("At most so {} a second",
					    is_bytes ? "many bytes" : "many I/Os of that kind");

		if (is_bytes)
			set.text(name.c_str(), rate.size[burst], "SIZE", help, check_size);
		else
			set.count(name.c_str(), rate.number[burst], "N", help.c_str());
	};

	set.text("name", options->name, "POLICY", "Its name; without one all are shown",
		 check_qos_name);
	for (std::size_t i = 0; i < limit_names.size(); i++) {
		const auto name = fmt::format("--{}", limit_names[i].option);

		add_rate(name, options->rates[i], limit_names[i].is_bytes, false);
		add_rate(name + "-burst", options->rates[i], limit_names[i].is_bytes, true);
	}
	set.count("--floor", options->floor, "N",
		  "I/Os a second that it gets even if others then get less");
	set.number("--weight", options->weight, {1, workloads::most_weight}, "N",
		   "Its part of what floors leave, 100 by default");
	set.choice("--class", options->priority,
		   {workloads::class_names.begin(), workloads::class_names.end()}, "CLASS",
		   "Of what floors leave, a lower one gets what higher ones do not want");
	set.text("--latency", options->latency, "TIME",
		 "Within which 90 % of its I/O shall be done, such as 2ms: else others get less",
		 check_latency);
	set.flag("--delete", options->deletes, "Delete it");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(qos_policy_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb qos_policy_verb{
	.group = "qos",
	.name = "policy",
	.summary = "Show policies, make one, replace it wherever it is used, or delete it",
	.examples =
		"corbel qos policy                                       all there are\n"
		"corbel qos policy gold --iops 5000 --bytes 200M         made, or replaced as a whole\n"
		"corbel qos policy gold --iops 5000 --iops-burst 10000   2 s of it saved up\n"
		"corbel qos policy db --floor 2000 --latency 2ms         on a LUN with a depth\n"
		"corbel qos policy gold --delete                         if nobody has it\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
