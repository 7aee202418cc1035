// SPDX-License-Identifier: GPL-2.0-or-later
#include "completion.hh"
#include "daemon_call.hh"
#include "verb.hh"

#include "../rpc/controller_client.hh"

#include <libcorbel/guest.hh>

#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

using namespace std::chrono_literals;

struct Options {
	std::string shell, names;
	bool guests = false;
};

/* What a VM can be called here. Nothing is said of what cannot be seen. */
void print_guests()
{
	const auto found = GuestFinder().find();

	if (!found)
		return;
	for (const auto &guest : found->guests)
		fmt::print("{}\n", guest.name.empty() ? fmt::format("{}", guest.pid) : guest.name);
}

/* What the daemon answers to @verb; nothing of what it does not. */
std::optional<Json> answer_of(const Verb &verb, const Json &arguments)
{
	std::optional<Json> answer;
	const auto called = rpc::call(
		verb.words(), arguments,
		[&](const Json &piece) {
			add_piece(answer, piece);
			return true;
		},
		5s);

	return called ? answer : std::nullopt;
}

void print_names(const std::string &kind)
{
	std::set<std::string> names;

	const auto add = [&](const Verb &verb, const Json &arguments, const char *list) {
		const auto answer = answer_of(verb, arguments);

		if (answer)
			for (const auto &each : answer->at(list))
				names.insert(each.at("name").get<std::string>());
	};

	if (kind == "policies")
		add(qos_policy_verb, Json::object(), "policies");
	else
		add(qos_list_verb, Json::object(), "luns");
	if (kind == "objects")
		for (const auto &lun : std::exchange(names, {}))
			add(qos_show_verb, {{"lun", lun}}, "objects");
	for (const auto &name : names)
		fmt::print("{}\n", name);
}

ExitCode print(const Options &options)
{
	if (options.guests)
		print_guests();
	else if (!options.names.empty())
		print_names(options.names);
	else if (options.shell == "bash")
		fmt::print("{}", bash_completion());
	else if (options.shell == "zsh")
		fmt::print("{}", zsh_completion());
	else
		fmt::print("{}", fish_completion());
	return ExitCode::ok;
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.choice("shell", options->shell, {"bash", "zsh", "fish"}, "SHELL",
		   "Whose script to print");
	set.last_is_alternative();
	set.flag("--guests", options->guests, "The guests that run here, one a line, instead");
	set.last_is_alternative();
	set.choice("--names", options->names, {"luns", "objects", "policies"}, "KIND",
		   "What `corbel qos` knows by name, one a line, instead");
	set.last_is_alternative();
	return [options] { return print(*options); };
}

} /* namespace */

const Verb completion_verb{
	.group = "",
	.name = "completion",
	.summary = "A script that completes the words of this tool in a shell",
	.examples = "corbel completion bash    for /etc/bash_completion.d/corbel\n"
		    "corbel completion zsh     for _corbel in a folder of $fpath\n"
		    "corbel completion fish    for ~/.config/fish/completions/corbel.fish",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.declare = declare,
};

} /* namespace corbel::cli */
