/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * job.hh - long work that a crash does not lose.
 *
 * A kind of job is a list of named steps. A step may be begun again after a crash, so doing
 * it once more must come to the same. Undoing a step must be right whether it was done,
 * begun or not even begun, and however often. One of the steps is the commit point: until
 * it begins, an error, and who cancels, have all that was done undone in reverse order;
 * from then on there is only forward. What a job came to is thus one of two named states,
 * whenever and however often whoever works on it dies.
 */
#pragma once

#include <libcorbel/error.hh>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace corbel::jobs {

using Json = nlohmann::ordered_json;
using JobId = std::uint64_t;
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

enum class JobState {
	queued, /* nobody works on it yet */
	running,
	undoing, /* what was done before the commit point */
	stalled, /* an error where there is no way back: waits for resume() */
	done,
	failed, /* and all of it undone */
	cancelled, /* and all of it undone */
};

[[nodiscard]] std::string_view name_of(JobState state);
[[nodiscard]] std::optional<JobState> job_state_of(std::string_view name);
/* Nothing will happen any more. */
[[nodiscard]] bool is_final(JobState state);

enum class Severity { info, warning, error };
[[nodiscard]] std::string_view name_of(Severity severity);

/* The same words again are counted, not listed again. */
struct Warning {
	Severity severity;
	std::string text;
	std::uint64_t count;
	Time first;
	Time last;

	bool operator==(const Warning &) const = default;
};

/* Times in milliseconds since the epoch. */
[[nodiscard]] Json json_of(const Warning &warning);
/* Throws if @json is not what json_of() makes. */
[[nodiscard]] Warning warning_of(const Json &json);

/* Of the step that is under way. */
struct Progress {
	std::uint64_t done = 0;
	std::uint64_t total = 0; /* 0: not known */
	std::string unit; /* "bytes" */
	double rate = 0; /* units a second, of late; 0: not known */

	bool operator==(const Progress &) const = default;
};

struct Job {
	JobId id = 0;
	std::string kind;
	Json argument;
	std::string key; /* of who submitted it; empty: none */
	JobState state = JobState::queued;
	std::uint32_t step = 0; /* that is under way; while undoing the one to be undone */
	std::string step_name;
	bool cancel = false; /* somebody wants it to be undone */
	Json data; /* what the steps keep for each other */
	Progress progress;
	std::vector<Warning> warnings;
	bool backwards = false; /* the step is to be undone */
	std::string error; /* why it failed */
	std::string stalled_by; /* why it waits for resume() */
	Time created{};
	Time updated{};
	std::uint32_t attempts = 0; /* how often somebody began to work on it */
	std::uint64_t worker = 0; /* who did so last: the lease */
};

[[nodiscard]] Json json_of(const Job &job);
[[nodiscard]] Result<Job> job_of(const std::string &text);

/* What a step has of the job it is in. Used by the one thread that runs the step. */
class Work {
public:
	Work() = default;
	Work(const Work &) = delete;
	virtual ~Work() = default;

	[[nodiscard]] virtual JobId id() const = 0;
	[[nodiscard]] virtual const Json &argument() const = 0;
	/* May be changed; is kept when the step has ended, or by save(). */
	[[nodiscard]] virtual Json &data() = 0;
	[[nodiscard]] virtual Result<void> save() = 0;

	/* Cheap: kept about once a second. */
	virtual void progress(std::uint64_t done, std::uint64_t total, std::string_view unit) = 0;
	virtual void warn(Severity severity, std::string text) = 0;

	/* The step shall return soon, with any result: it is cancelled, or the daemon ends. */
	[[nodiscard]] virtual bool interrupted() = 0;
};

struct Step {
	std::string name;
	std::function<Result<void>(Work &)> run;
	std::function<Result<void>(Work &)> undo{}; /* empty: there is nothing to undo */
};

struct JobKind {
	std::string name;
	std::vector<Step> steps;
	/* Index of the first step that is not undone; steps.size(): all are. */
	std::size_t commit;
	/* An error is wrong input: no job comes of it. */
	std::function<Result<void>(const Json &argument)> check{};
};

} /* namespace corbel::jobs */
