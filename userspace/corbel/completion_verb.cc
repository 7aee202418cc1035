// SPDX-License-Identifier: GPL-2.0-or-later
#include "completion.hh"
#include "verb.hh"

#include <libcorbel/guest.hh>

#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Options {
	std::string shell;
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

ExitCode print(const Options &options)
{
	if (options.guests)
		print_guests();
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
