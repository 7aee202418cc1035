// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor/checks.hh"
#include "schema.hh"
#include "verb.hh"

#include <sys/utsname.h>

#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Options {
	std::string modules;
	bool json = false;
};

ExitCode examine(const Options &options)
{
	Findings findings;
	utsname names{};
	Host host;

	::uname(&names);
	host.release = names.release;
	check_kernel(host, findings);
	check_kvm(host, findings);
	check_modules(host, options.modules, findings);
	check_module_answers(host, Device::open(), findings);

	fmt::print("{}",
		   options.json ? dump(json_of(findings), 2) + "\n" : show_findings(findings));
	return count_of(findings, Severity::problem) ? ExitCode::failure : ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::object(
		{{"tool_version", s::string()},
		 {"problems", s::count()},
		 {"warnings", s::count()},
		 {"findings",
		  s::array(s::object({{"check", s::string("what was looked at")},
				      {"state", s::one_of_words({"ok", "warning", "problem"})},
				      {"summary", s::string()},
				      {"remedy", s::nullable(s::string("what to do"))}}))}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.text(
		"--modules", options->modules, "DIR",
		"Folder of corbel.ko, corbel_irq.ko, corbel_postcopy.ko, corbel_replay.ko and dm-corbel.ko; by default next to this tool, "
		"in ../modules of it, and below /lib/modules");
	set.json(options->json);
	return [options] { return examine(*options); };
}

} /* namespace */

const Verb doctor_verb{
	.group = "",
	.name = "doctor",
	.summary = "Examine this host and the modules, and say what to do",
	.examples = "corbel doctor                          each finding with its remedy\n"
		    "corbel doctor --modules build/modules  compare with these files\n"
		    "corbel doctor --json                   the same for scripts",
	.exit_codes = "1 also if there is any problem; warnings alone are a\n"
		      "success.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
