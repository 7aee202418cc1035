// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_text.hh"

#include "quantity.hh"
#include "schema.hh"
#include "table.hh"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

constexpr std::size_t bar_width = 20;

std::string text_at(const Json &object, const char *key)
{
	return printable(object.value(key, std::string()));
}

std::string show_step(const Json &job)
{
	const auto &step = job.at("step");

	if (step.at("name").get<std::string>().empty())
		return "";
	return fmt::format("{} ({} of {})", text_at(step, "name"), step.at("number").get<int>(),
			   step.at("count").get<int>());
}

std::string show_share(const Json &progress)
{
	const auto done = progress.at("done").get<std::uint64_t>();
	const auto total = progress.at("total").get<std::uint64_t>();

	if (total > 0)
		return fmt::format("{} %", std::min(done, total) * 100 / total);
	return done > 0 ? show_count(done) : "";
}

std::string show_remaining(const Json &progress)
{
	if (progress.at("remaining_s").is_null())
		return "";
	const auto seconds = static_cast<std::uint64_t>(progress.at("remaining_s").get<double>());

	if (seconds < 60)
		return fmt::format(", {} s left", seconds);
	if (seconds < 3600)
		return fmt::format(", {}:{:02} min left", seconds / 60, seconds % 60);
	return fmt::format(", {}:{:02} h left", seconds / 3600, seconds / 60 % 60);
}

std::string show_bar(const Json &progress)
{
	const auto done = progress.at("done").get<std::uint64_t>();
	const auto total = progress.at("total").get<std::uint64_t>();

	if (total == 0)
		return "";
	const auto full = std::min(done, total) * bar_width / total;
	return fmt::format(" [{:<{}}] {:>3} %", std::string(full, '#'), bar_width,
			   std::min(done, total) * 100 / total);
}

} /* namespace */

Json job_schema()
{
	namespace s = schema;

	return s::object(
		{{"id", s::count()},
		 {"kind", s::string()},
		 {"state", s::one_of_words({"queued", "running", "undoing", "stalled", "done",
					    "failed", "cancelled"})},
		 {"argument", Json{{"type", "object"}}},
		 {"key", s::string("of who asked for it; empty: none")},
		 {"step", s::object({{"name", s::string("empty: none is under way")},
				     {"number", s::count("from 1")},
				     {"count", s::count()},
				     {"commit", s::count("the first that is not undone")}})},
		 {"cancelling", s::boolean("somebody wants it to be undone")},
		 {"progress", s::object({{"done", s::count("of the step")},
					 {"total", s::count("0: not known")},
					 {"unit", s::string()},
					 {"rate_per_s", s::real("of late; 0: not known")},
					 {"remaining_s", s::nullable(s::real("of the step"))}})},
		 {"warnings", s::array(s::warning())},
		 {"error", s::string("why it failed")},
		 {"stalled_by", s::string("why it waits for `corbel job resume`")},
		 {"created", s::string()},
		 {"updated", s::string()},
		 {"attempts", s::count("how often somebody began to work on it")},
		 {"result", s::nullable(Json{{"type", "object"}})}});
}

std::string show_jobs(const Json &jobs)
{
	using Align = Table::Align;
	Table table({{"JOB"},
		     {"KIND", Align::left},
		     {"STATE", Align::left},
		     {"STEP", Align::left, 1},
		     {"DONE"},
		     {"RATE", Align::right, 2},
		     {"UPDATED", Align::left, 3}});
	std::string text;

	if (jobs.empty())
		return "There is no such job.\n";
	for (const auto &job : jobs) {
		const auto &progress = job.at("progress");
		const double rate = progress.at("rate_per_s").get<double>();

		table.add({fmt::format("{}", job.at("id").get<std::uint64_t>()),
			   text_at(job, "kind"), text_at(job, "state"), show_step(job),
			   show_share(progress), rate > 0 ? show_rate(rate) : "",
			   text_at(job, "updated")});
	}
	for (const auto &line : table.lines())
		text += line + "\n";
	return text;
}

std::string show_job_progress(const Json &job, std::size_t width)
{
	const auto &progress = job.at("progress");
	const auto done = progress.at("done").get<std::uint64_t>();
	const double rate = progress.at("rate_per_s").get<double>();
	auto text = fmt::format("job {} {}: {}", job.at("id").get<std::uint64_t>(),
				text_at(job, "state"), show_step(job));

	text += show_bar(progress);
	if (done > 0)
		text += fmt::format(" {} {}", show_count(done), text_at(progress, "unit"));
	if (rate > 0)
		text += ", " + show_rate(rate);
	return fit(text + show_remaining(progress), width);
}

std::string show_job(const Json &job)
{
	auto text = fmt::format("job       {}\nkind      {}\nstate     {}{}\n",
				job.at("id").get<std::uint64_t>(), text_at(job, "kind"),
				text_at(job, "state"),
				job.at("cancelling").get<bool>() ? ", to be undone" : "");

	if (auto step = show_step(job); !step.empty())
		text += fmt::format("step      {}{}\n", step, show_bar(job.at("progress")));
	text += fmt::format("argument  {}\n", printable(dump(job.at("argument"))));
	if (auto key = text_at(job, "key"); !key.empty())
		text += fmt::format("key       {}\n", key);
	text += fmt::format("created   {}\nupdated   {}\nattempts  {}\n", text_at(job, "created"),
			    text_at(job, "updated"), job.at("attempts").get<std::uint64_t>());
	if (auto error = text_at(job, "error"); !error.empty())
		text += fmt::format("error     {}\n", error);
	if (auto reason = text_at(job, "stalled_by"); !reason.empty())
		text += fmt::format("waits     {}\n", reason);
	if (const auto &result = job.at("result"); !result.is_null())
		for (const auto &[key, value] : result.items())
			text += fmt::format("{:<9} {}\n", printable(key), printable(dump(value)));
	for (const auto &warning : job.at("warnings"))
		text += fmt::format("{:<9} {} ({} times, last at {})\n",
				    text_at(warning, "severity"), text_at(warning, "text"),
				    warning.at("count").get<std::uint64_t>(),
				    text_at(warning, "last"));
	return text;
}

std::string show_job_end(const Json &job)
{
	const auto state = text_at(job, "state");
	const auto id = job.at("id").get<std::uint64_t>();
	auto text = fmt::format("Job {} ({}) is {}.", id, text_at(job, "kind"), state);

	if (state == "stalled")
		text += fmt::format(" {} Once that is seen to: `corbel job resume {}`.",
				    text_at(job, "stalled_by"), id);
	else if (state == "failed")
		text += fmt::format(" {} What it had done is undone.", text_at(job, "error"));
	if (job.at("result").is_object() && job.at("result").contains("sentence"))
		text += fmt::format(" {}", text_at(job.at("result"), "sentence"));
	return text + "\n";
}

bool is_at_rest(const Json &job)
{
	const auto state = job.at("state").get<std::string>();

	return state == "done" || state == "failed" || state == "cancelled" || state == "stalled";
}

ExitCode exit_code_of_job(const Json &job)
{
	const auto &result = job.at("result");

	/* A migration is done whatever it came to. */
	if (result.is_object() && result.contains("outcome") &&
	    !result.value("outcome", std::string()).starts_with("moved"))
		return ExitCode::failure;
	return job.at("state") == "done" ? ExitCode::ok : ExitCode::failure;
}

} /* namespace corbel::cli */
