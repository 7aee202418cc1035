// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "job_follow.hh"
#include "migrate_report.hh"
#include "output_file.hh"
#include "verb.hh"

#include <cerrno>
#include <memory>

#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

struct Options : JobOptions {
	std::string vm, host, container, mode;
	bool rollback = false, spill = false, storage = false, plain = false;
	std::uint64_t report = 0;
	std::string output = "-";
};

Result<void> write_report(const Json &job, const std::string &path)
{
	auto file = CORBEL_EXPECT(OutputFile::open(path));

	file.buffer() = CORBEL_EXPECT(draw_migration(job));
	return file.write();
}

ExitCode report_on(const Options &options)
{
	OptionSet set;
	auto id = options.report;

	set.job(id);
	auto arguments = set.arguments();
	return ask_daemon(job_show_verb, arguments, false, [&](const Json &answer) {
		return exit_code_of(write_report(answer.at("job"), options.output));
	});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.add({.name = "vm",
		 .type = "NAME",
		 .help = "Of a VM that runs here, as it was defined",
		 .place = &options->vm});
	set.add({.name = "host",
		 .type = "HOST",
		 .help = "Where to: name or id of a host, as `corbel host list` shows it",
		 .place = &options->host});
	set.text("--container", options->container, "ID",
		 "Move no VM but a container that runs here: its cgroup, or one of its processes; "
		 "`corbel migrate --container ID HOST`");
	set.choice(
		"--mode", options->mode, {"postcopy", "hybrid", "precopy"}, "MODE",
		"postcopy (which it is at first): its memory follows when it runs there; hybrid: "
		"most of it goes before; precopy: all, by QEMU");
	set.flag("--rollback", options->rollback,
		 "If that host is lost before all is there, go back to how the guest was when it "
		 "was switched over; without word from here it stops there");
	set.flag("--spill", options->spill,
		 "Send all of its memory before it is switched over, against the loss of this "
		 "host; it stands still until then, which is short with --mode hybrid");
	set.flag("--storage", options->storage,
		 "Disks that are not there are moved along, to the same path: raw files, all of "
		 "which is allocated there before anything else, and volumes of a pool, which "
		 "must have room for them");
	set.flag("--plain", options->plain,
		 "Its memory goes unencrypted, for who can see and change what goes over that "
		 "network");
	set.count("--report", options->report, "JOB",
		  "Draw what that migration did when, as SVG; moves nothing");
	set.text("-o,--output", options->output, "FILE",
		 "Where the picture goes (standard output)");
	declare_job(set, *options);
	return [options, arguments = set.arguments()] {
		if (options->report)
			return report_on(*options);
		/* Then the only one that is said is the host. */
		if (!options->container.empty() && options->host.empty())
			options->host = std::exchange(options->vm, {});
		if (options->vm.empty() == options->container.empty() || options->host.empty())
			return report({EINVAL,
				       "Say which VM or container is to be moved and to which "
				       "host: `corbel migrate VM HOST`, `corbel migrate "
				       "--container ID HOST`."});
		std::vector<Argument> asked;
		for (const auto &argument : arguments)
			if (argument.name != "--report" && argument.name != "-o,--output")
				asked.push_back(argument);
		return begin_job(migrate_verb, asked, *options);
	};
}

} /* namespace */

const Verb migrate_verb{
	.group = {},
	.name = "migrate",
	.summary = "Move a VM or container that runs to another host",
	.examples =
		"corbel migrate web b                  by post-copy\n"
		"corbel migrate web b --dry-run        what stands in the way, and what it costs\n"
		"corbel migrate web b --mode precopy   also one whose memory is QEMU's own\n"
		"corbel migrate web b --storage        with disks that only this host has\n"
		"corbel migrate --container machine/shop b  a container, by its cgroup\n"
		"corbel migrate --report 7 -o job7.svg  what job 7 did when",
	.exit_codes = "1 too if it does not run there in the end: the outcome says where it is.",
	.effect = Effect::change,
	.repeat = Repeat::keyed,
	.home = Home::daemon,
	.output = Output::object,
	.schema = begun_schema,
	.declare = declare,
};

} /* namespace corbel::cli */
