/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.hh - one job at work: what a step sees, and what moves a job from step to step.
 */
#pragma once

#include "engine.hh"

namespace corbel::jobs {

/* Of an argument, and of what steps keep: a record is one value of the store. */
inline constexpr std::size_t most_data = state::longest_value / 4;

/* Whatever bytes a step puts into a text. */
[[nodiscard]] std::string text_of(const Json &json);
/* Somebody shall work on it. */
[[nodiscard]] bool is_ready(JobState state);

class Engine::Worker final : public Work {
public:
	Worker(Engine &engine, const JobKind &kind, Held held, state::LeaseId lease);

	/* Until it has ended, has stalled, is lost to another engine, or this one ends. */
	[[nodiscard]] Result<void> run();

	[[nodiscard]] JobId id() const override { return held_.job.id; }
	[[nodiscard]] const Json &argument() const override { return held_.job.argument; }
	[[nodiscard]] Json &data() override { return held_.job.data; }

	/*
	 * All but the wish to have it undone is the worker's alone to write. Who wished so was
	 * told that it will be if the job, as it is in the store, had not come to its commit
	 * point: then it has not, whatever was going to be written here.
	 */
	[[nodiscard]] Result<void> save() override;
	void progress(std::uint64_t done, std::uint64_t total, std::string_view unit) override;
	void warn(Severity severity, std::string text) override;
	[[nodiscard]] bool interrupted() override;

private:
	static constexpr std::size_t most_warnings = 100;

	void name_step();
	std::unexpected<Error> lose();
	/* Half of it is of the last five seconds or so. What a crash had done before is not. */
	void measure_rate();
	void forget_progress();
	void turn_back();
	void stall(const Error &error);
	/* What a step leaves in the data has to fit into the store. */
	[[nodiscard]] Result<void> call(const std::function<Result<void>(Work &)> &step);
	/* One step. */
	[[nodiscard]] Result<void> go_on();
	/* Undoes one step. */
	[[nodiscard]] Result<void> go_back();

	Engine &engine_;
	const JobKind &kind_;
	Held held_;
	std::uint64_t before_; /* the worker that is in the store */
	bool forward_ = false; /* a step is under way, and not an undoing */
	bool lost_ = false; /* to another engine */
	bool asked_ = false; /* to undo it, as was seen in passing */
	std::optional<std::chrono::steady_clock::time_point> sampled_; /* of the rate */
	std::uint64_t sampled_done_ = 0;
	std::chrono::steady_clock::time_point saved_{};
	std::chrono::steady_clock::time_point looked_{};
};

} /* namespace corbel::jobs */
