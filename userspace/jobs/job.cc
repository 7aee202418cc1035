// SPDX-License-Identifier: GPL-2.0-or-later
#include "job.hh"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::jobs {

namespace {

struct StateName {
	JobState state;
	std::string_view name;
};

constexpr std::array state_names{
	StateName{JobState::queued, "queued"},	     StateName{JobState::running, "running"},
	StateName{JobState::undoing, "undoing"},     StateName{JobState::stalled, "stalled"},
	StateName{JobState::done, "done"},	     StateName{JobState::failed, "failed"},
	StateName{JobState::cancelled, "cancelled"},
};

constexpr std::array severity_names{std::string_view("info"), std::string_view("warning"),
				    std::string_view("error")};

std::int64_t number_of(Time time)
{
	return time.time_since_epoch().count();
}

Time time_of(const Json &json)
{
	return Time(std::chrono::milliseconds(json.get<std::int64_t>()));
}

Job parse(const Json &json)
{
	Job job;
	const auto state = job_state_of(json.at("state").get<std::string>());

	if (!state)
		throw std::invalid_argument("an unknown state");
	job.id = json.at("id");
	job.kind = json.at("kind");
	job.argument = json.at("argument");
	job.key = json.at("key");
	job.state = *state;
	job.step = json.at("step");
	job.step_name = json.at("step_name");
	job.cancel = json.at("cancel");
	job.data = json.at("data");
	job.progress = {.done = json.at("progress").at("done"),
			.total = json.at("progress").at("total"),
			.unit = json.at("progress").at("unit"),
			.rate = json.at("progress").value("rate", 0.0)};
	for (const auto &warning : json.at("warnings"))
		job.warnings.push_back(warning_of(warning));
	job.backwards = json.at("backwards");
	job.error = json.at("error");
	job.stalled_by = json.at("stalled_by");
	job.created = time_of(json.at("created_ms"));
	job.updated = time_of(json.at("updated_ms"));
	job.attempts = json.at("attempts");
	job.worker = json.at("worker");
	return job;
}

} /* namespace */

std::string_view name_of(JobState state)
{
	return state_names[static_cast<std::size_t>(state)].name;
}

std::optional<JobState> job_state_of(std::string_view name)
{
	const auto *found = std::ranges::find(state_names, name, &StateName::name);

	return found == state_names.end() ? std::nullopt : std::optional(found->state);
}

bool is_final(JobState state)
{
	return state == JobState::done || state == JobState::failed || state == JobState::cancelled;
}

std::string_view name_of(Severity severity)
{
	return severity_names[static_cast<std::size_t>(severity)];
}

Json json_of(const Warning &warning)
{
	return {{"severity", name_of(warning.severity)},
		{"text", warning.text},
		{"count", warning.count},
		{"first_ms", number_of(warning.first)},
		{"last_ms", number_of(warning.last)}};
}

Warning warning_of(const Json &json)
{
	const auto *found =
		std::ranges::find(severity_names, json.at("severity").get<std::string>());

	if (found == severity_names.end())
		throw std::invalid_argument("an unknown severity");
	return {.severity = static_cast<Severity>(found - severity_names.begin()),
		.text = json.at("text"),
		.count = json.at("count"),
		.first = time_of(json.at("first_ms")),
		.last = time_of(json.at("last_ms"))};
}

Json json_of(const Job &job)
{
	Json json{{"id", job.id},
		  {"kind", job.kind},
		  {"argument", job.argument},
		  {"key", job.key},
		  {"state", name_of(job.state)},
		  {"step", job.step},
		  {"step_name", job.step_name},
		  {"cancel", job.cancel},
		  {"data", job.data},
		  {"progress",
		   {{"done", job.progress.done},
		    {"total", job.progress.total},
		    {"unit", job.progress.unit},
		    {"rate", job.progress.rate}}},
		  {"warnings", Json::array()},
		  {"backwards", job.backwards},
		  {"error", job.error},
		  {"stalled_by", job.stalled_by},
		  {"created_ms", number_of(job.created)},
		  {"updated_ms", number_of(job.updated)},
		  {"attempts", job.attempts},
		  {"worker", job.worker}};

	for (const auto &warning : job.warnings)
		json["warnings"].push_back(json_of(warning));
	return json;
}

Result<Job> job_of(const std::string &text)
{
	try {
		return parse(Json::parse(text));
	} catch (const std::exception &error) {
		return failure(EUCLEAN,
			       fmt::format("A job in the state cannot be read: {}.", error.what()));
	}
}

} /* namespace corbel::jobs */
