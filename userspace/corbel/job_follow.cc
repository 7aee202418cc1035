// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_follow.hh"

#include "daemon_call.hh"
#include "job_text.hh"
#include "schema.hh"
#include "terminal.hh"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

bool on_terminal()
{
	return ::isatty(STDOUT_FILENO) == 1;
}

} /* namespace */

Result<Json> await_job(std::uint64_t id, const std::function<void(const Json &)> &see)
{
	OptionSet set;
	Json last;

	set.job(id);
	CORBEL_EXPECT(follow_daemon(job_watch_verb, set.arguments(), [&](const Json &job) {
		last = job;
		see(job);
		return std::fflush(stdout) == 0;
	}));
	if (last.is_null() || !is_at_rest(last))
		return failure(EPIPE, fmt::format("Job {} is no longer followed; it goes on.", id));
	return last;
}

void draw_job(const Json &job)
{
	if (on_terminal())
		fmt::print("\r\x1b[K{}", show_job_progress(job, Terminal::size().width - 1));
}

void draw_job_end(const Json &job)
{
	fmt::print("{}{}", on_terminal() ? "\r\x1b[K" : "", show_job_end(job));
}

void declare_job(OptionSet &set, JobOptions &options)
{
	set.flag("--no-wait", options.no_wait, "Begin it and say its number, do not follow it");
	set.key(options.key);
	set.dry_run(options.dry_run);
	set.json(options.json);
}

Json begun_schema()
{
	namespace s = schema;

	return s::joined(s::object({{"job", s::nullable(job_schema())},
				    {"plan", s::string("what it does, or would do")}}),
			 s::object(s::change()));
}

ExitCode begin_job(const Verb &verb, const std::vector<Argument> &arguments,
		   const JobOptions &options)
{
	Json answer;
	const auto asked = ask_daemon(verb, arguments, false, [&](const Json &got) {
		answer = got;
		return ExitCode::ok;
	});

	if (asked != ExitCode::ok)
		return asked;
	auto &job = answer.at("job");
	const bool followed = !job.is_null() && !options.no_wait;
	if (followed) {
		auto ended = await_job(job.at("id"), [&](const Json &now) {
			if (!options.json)
				draw_job(now);
		});

		if (!ended)
			return report(ended.error());
		job = *ended;
	}
	if (options.json)
		fmt::print("{}\n", dump(answer, 2));
	else if (job.is_null())
		fmt::print("{} Nothing was changed.\n", answer.at("plan").get<std::string>());
	else if (followed)
		draw_job_end(job);
	else
		fmt::print("Job {0} has begun: `corbel job watch {0}` follows it.\n",
			   job.at("id").get<std::uint64_t>());
	return followed ? exit_code_of_job(job) : ExitCode::ok;
}

} /* namespace corbel::cli */
