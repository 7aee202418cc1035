// SPDX-License-Identifier: GPL-2.0-or-later
#include "console.hh"
#include "daemon_call.hh"
#include "schema.hh"
#include "verb.hh"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

constexpr std::streamoff most_history = 1 << 20; /* bytes */

struct Options {
	std::string vm;
	std::uint32_t lines = 10;
	bool json = false;
};

/* None of it is no reason not to go on. */
std::string end_of(const std::string &path)
{
	std::ifstream file(path, std::ios::binary | std::ios::ate);
	const auto size = static_cast<std::streamoff>(file.tellg());

	if (!file || size <= 0)
		return {};
	std::string text(static_cast<std::size_t>(std::min(size, most_history)), '\0');
	file.seekg(size - static_cast<std::streamoff>(text.size()));
	file.read(text.data(), static_cast<std::streamsize>(text.size()));
	text.resize(static_cast<std::size_t>(file.gcount()));
	return text;
}

ExitCode join(const Json &answer, std::uint32_t lines)
{
	const auto vm = answer.at("vm").get<std::string>();

	if (answer.at("taken").get<bool>())
		return report({EBUSY, fmt::format("Somebody is at the console of '{}' already, "
						  "and it serves one: {}.",
						  vm, answer.at("socket").get<std::string>())});
	const bool told = ::isatty(STDIN_FILENO) == 1;
	if (told)
		fmt::print(stderr, "The console of '{}': Ctrl-] leaves it.\n", vm);
	fmt::print("{}", last_lines(end_of(answer.at("log").get<std::string>()), lines));
	std::fflush(stdout);
	const auto joined = join_console(answer.at("socket").get<std::string>());
	if (!joined)
		return report(joined.error());
	if (told)
		fmt::print(stderr, "\nThe console of '{}' was left.\n", vm);
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::object({{"vm", s::string("its name")},
			  {"socket", s::string("where its console is served, to one at a time")},
			  {"log", s::string("file of all that came of it")},
			  {"taken", s::boolean("somebody is at it")}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.add({.name = "vm",
		 .type = "NAME",
		 .help = "Of the VM, as it was defined",
		 .place = &options->vm,
		 .required = true});
	set.number("--lines", options->lines, {.least = 0, .most = 100000}, "N",
		   "Lines that came before, which are shown first, 10 by default");
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(vm_console_verb, arguments, options->json,
				  [&](const Json &answer) { return join(answer, options->lines); });
	};
}

} /* namespace */

const Verb vm_console_verb{
	.group = "vm",
	.name = "console",
	.summary = "Sit at the serial console of a VM that Corbel runs; Ctrl-] leaves it",
	.examples = "corbel vm console web          keys go to the guest, Ctrl-C too\n"
		    "corbel vm console web --json   where it is, for other programs",
	.effect = Effect::read,
	.repeat = Repeat::own,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
