// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker.hh"

#include <algorithm>
#include <cerrno>
#include <cmath>

#include <fmt/format.h>

namespace corbel::jobs {

using namespace std::chrono_literals;

std::string text_of(const Json &json)
{
	return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_ready(JobState state)
{
	return !is_final(state) && state != JobState::stalled;
}

Engine::Worker::Worker(Engine &engine, const JobKind &kind, Held held, state::LeaseId lease)
	: engine_(engine), kind_(kind), held_(std::move(held)), before_(held_.job.worker)
{
	held_.job.worker = lease;
	held_.job.attempts++;
}

Result<void> Engine::Worker::run()
{
	auto &job = held_.job;

	if (job.state == JobState::queued)
		job.state = JobState::running;
	CORBEL_EXPECT(save());
	before_ = job.worker;
	while (is_ready(job.state) && !engine_.ending())
		CORBEL_EXPECT(job.backwards ? go_back() : go_on());
	return {};
}

Result<void> Engine::Worker::save()
{
	auto &job = held_.job;

	job.updated = engine_.now();
	saved_ = std::chrono::steady_clock::now();
	for (;;) {
		name_step();
		if (CORBEL_EXPECT(engine_.write(held_)))
			return {};
		const auto now = CORBEL_EXPECT(engine_.read(job.id));
		if (now.job.worker != before_)
			return lose();
		held_.changed = now.changed;
		if (!now.job.cancel || job.cancel)
			continue;
		job.cancel = true;
		if (!job.backwards && now.job.step < kind_.commit) {
			job.step = now.job.step;
			turn_back();
		}
	}
}

void Engine::Worker::progress(std::uint64_t done, std::uint64_t total, std::string_view unit)
{
	auto &progress = held_.job.progress;

	progress.done = done;
	progress.total = total;
	progress.unit = unit;
	measure_rate();
	/* A full disk is found out at the end of the step. */
	if (std::chrono::steady_clock::now() - saved_ >= 1s)
		(void)save();
}

void Engine::Worker::warn(Severity severity, std::string text)
{
	auto &warnings = held_.job.warnings;
	const auto now = engine_.now();
	const auto same = std::ranges::find_if(warnings, [&](const Warning &warning) {
		return warning.severity == severity && warning.text == text;
	});

	if (same != warnings.end()) {
		same->count++;
		same->last = now;
		return;
	}
	if (warnings.size() >= most_warnings) {
		text = "More kinds of warnings than are kept.";
		if (warnings.back().text == text) {
			warnings.back().count++;
			warnings.back().last = now;
			return;
		}
		warnings.pop_back();
	}
	warnings.push_back({severity, std::move(text), 1, now, now});
}

bool Engine::Worker::interrupted()
{
	if (std::chrono::steady_clock::now() - looked_ >= 100ms) {
		const auto now = engine_.read(held_.job.id);

		looked_ = std::chrono::steady_clock::now();
		lost_ |= now && now->job.worker != held_.job.worker;
		asked_ |= now && now->job.cancel;
	}
	if (engine_.ending() || lost_)
		return true;
	return forward_ && held_.job.step < kind_.commit && (asked_ || held_.job.cancel);
}

void Engine::Worker::name_step()
{
	auto &job = held_.job;
	const bool at_one = !is_final(job.state) && job.step < kind_.steps.size();

	job.step_name = at_one ? kind_.steps[job.step].name : "";
}

std::unexpected<Error> Engine::Worker::lose()
{
	lost_ = true;
	return failure(ESTALE, fmt::format("Another engine works on job {} now.", held_.job.id));
}

void Engine::Worker::measure_rate()
{
	const auto now = std::chrono::steady_clock::now();
	auto &progress = held_.job.progress;

	if (!sampled_ || progress.done < sampled_done_) {
		sampled_ = now;
		sampled_done_ = progress.done;
		return;
	}
	const double seconds = std::chrono::duration<double>(now - *sampled_).count();
	if (seconds < 0.5)
		return;
	const double rate = static_cast<double>(progress.done - sampled_done_) / seconds;
	const double keep = progress.rate > 0 ? std::exp2(-seconds / 5) : 0;
	progress.rate = progress.rate * keep + rate * (1 - keep);
	sampled_ = now;
	sampled_done_ = progress.done;
}

void Engine::Worker::forget_progress()
{
	held_.job.progress = {};
	sampled_.reset();
}

void Engine::Worker::turn_back()
{
	held_.job.state = JobState::undoing;
	held_.job.backwards = true;
}

void Engine::Worker::stall(const Error &error)
{
	held_.job.state = JobState::stalled;
	held_.job.stalled_by = error.sentence;
}

Result<void> Engine::Worker::call(const std::function<Result<void>(Work &)> &step)
{
	const auto before = held_.job.data;
	Result<void> done;

	try {
		done = step(*this);
		if (text_of(held_.job.data).size() <= most_data)
			return done;
		done = failure(EFBIG, fmt::format("Step '{}' leaves more than {} bytes of data.",
						  held_.job.step_name, most_data));
	} catch (const std::exception &error) {
		done = failure(EIO,
			       fmt::format("Step '{}': {}.", held_.job.step_name, error.what()));
	}
	held_.job.data = before;
	return done;
}

Result<void> Engine::Worker::go_on()
{
	auto &job = held_.job;

	if (job.cancel && job.step < kind_.commit) {
		turn_back();
		return save();
	}
	if (job.step >= kind_.steps.size()) {
		job.state = JobState::done;
		return save();
	}
	forget_progress();
	forward_ = true;
	const auto done = call(kind_.steps[job.step].run);
	forward_ = false;
	if (lost_)
		return lose();
	/* It was cancelled while a step saved something. */
	if (job.backwards)
		return save();
	/* What an interrupted step says is not asked for: it is done again, or undone. */
	if (!done && engine_.ending())
		return {};
	if (done) {
		job.step++;
	} else if (job.step >= kind_.commit) {
		stall(done.error());
	} else {
		if (!asked_)
			job.error = done.error().sentence;
		turn_back();
	}
	return save();
}

Result<void> Engine::Worker::go_back()
{
	auto &job = held_.job;

	forget_progress();
	if (job.step < kind_.steps.size() && kind_.steps[job.step].undo) {
		const auto undone = call(kind_.steps[job.step].undo);

		if (lost_)
			return lose();
		if (!undone && engine_.ending())
			return {};
		if (!undone) {
			stall(undone.error());
			return save();
		}
	}
	if (job.step > 0)
		job.step--;
	else
		job.state = job.error.empty() ? JobState::cancelled : JobState::failed;
	return save();
}

} /* namespace corbel::jobs */
