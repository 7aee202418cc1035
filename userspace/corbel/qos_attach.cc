// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "qos_text.hh"
#include "schema.hh"
#include "verb.hh"

#include "../pool/names.hh"

#include <cerrno>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options {
	std::string lun, object, policy, disk, vm, format, part;
	std::vector<std::string> ranges;
	std::uint64_t partition = 0;
	bool shared = false;
	bool histograms = false;
	bool dry_run = false;
	bool json = false;
};

Result<void> check_path(const std::string &text)
{
	if (text.starts_with('/'))
		return {};
	return failure(EINVAL, fmt::format("'{}' is not an absolute path; the daemon has a folder "
					   "of its own.",
					   text));
}

Result<void> check_object(const std::string &text)
{
	if (text != "rest")
		return check_qos_name(text);
	return failure(EINVAL, "'rest' is what no object has, and has no policy: journals that all "
			       "wait for are in it.");
}

ExitCode show(const Json &answer)
{
	const auto object = answer.at("object").get<std::string>();
	const auto policy = answer.at("policy").get<std::string>();

	print_remarks(answer);
	if (!answer.at("changed").get<bool>())
		fmt::print("Object {} has policy {} already.\n", object, policy);
	else if (answer.at("dry_run").get<bool>())
		fmt::print("Object {} can have policy {}; nothing was changed.\n", object, policy);
	else
		fmt::print("Object {} has policy {}.\n", object, policy);
	if (const auto &bytes = answer.at("enforced_bytes"); !bytes.is_null())
		fmt::print("{} in {} ranges of the LUN ({}).\n", pool::size_text(bytes),
			   answer.at("ranges").get<std::uint64_t>(),
			   answer.at("kind").get<std::string>());
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"lun", s::string()},
				    {"object", s::string()},
				    {"policy", s::string()},
				    {"kind", s::nullable(s::string("of disk"))},
				    {"ranges", s::nullable(s::count())},
				    {"enforced_bytes", s::nullable(s::count("of the LUN"))},
				    {"remarks", s::array(s::string(), "what cannot be enforced")}}),
			 s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_lun(set, options->lun);
	set.text("object", options->object, "OBJECT", "How it shall be called", check_object);
	set.last_is_required();
	set.text("policy", options->policy, "POLICY", "As `corbel qos policy` shows it",
		 check_qos_name);
	set.last_is_required();
	set.text("--disk", options->disk, "FILE",
		 "Absolute path of a disk: a file, partition or volume on the LUN", check_path);
	set.last_is_alternative();
	set.text("--vm", options->vm, "VM[:DISK]",
		 "The disk of a VM that runs, by its id if there are several");
	set.last_is_alternative();
	set.texts("--range", options->ranges, "FIRST+BYTES", "Bytes of the LUN itself",
		  check_range);
	set.last_is_alternative();
	set.choice("--format", options->format, {"raw", "qcow2"}, "FORMAT",
		   "Of --disk; without it the disk's head says so, which a guest can write");
	set.count("--partition", options->partition, "N", "This partition of the disk alone");
	set.text("--part", options->part, "FIRST+BYTES", "These bytes of the disk alone",
		 check_range);
	set.flag("--shared", options->shared,
		 "One budget together with the others on this LUN that share the policy");
	set.flag("--histograms", options->histograms, "Count how long its I/O takes, too");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options, arguments = set.arguments()] {
		return ask_daemon(qos_attach_verb, arguments, options->json, show);
	};
}

} /* namespace */

const Verb qos_attach_verb{
	.group = "qos",
	.name = "attach",
	.summary = "Give a virtual disk, or a part of one, a policy, wherever it lies on a LUN",
	.examples =
		"corbel qos attach lun0 web gold --vm web                             its only disk\n"
		"corbel qos attach lun0 web-data gold --vm web:disk1 --partition 2    one partition of it\n"
		"corbel qos attach lun0 db silver --disk /srv/db.qcow2 --histograms   an image, and latencies\n"
		"corbel qos attach lun0 a joint --disk /srv/a.img --shared            one budget for all that share\n"
		"corbel qos attach lun0 log bronze --range 10G+1G --range 40G+1G      of the LUN itself\n",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
