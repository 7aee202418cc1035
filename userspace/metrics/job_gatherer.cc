// SPDX-License-Identifier: GPL-2.0-or-later
#include "job_gatherer.hh"

#include <algorithm>
#include <array>

namespace corbel::metrics {

namespace {

using std::chrono::steady_clock;

constexpr std::array duration_bounds{0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0};

constexpr std::array severities{jobs::Severity::info, jobs::Severity::warning,
				jobs::Severity::error};

} /* namespace */

JobGatherer::JobGatherer(JobSources sources, std::chrono::milliseconds period)
	: sources_(std::move(sources)), period_(period), thread_([this] { run(); })
{}

JobGatherer::~JobGatherer()
{
	{
		const std::lock_guard guard(lock_);

		ending_ = true;
	}
	woken_.notify_all();
	thread_.join();
}

void JobGatherer::run()
{
	std::unique_lock guard(lock_);

	while (!ending_) {
		guard.unlock();
		const auto gathered = gather();
		guard.lock();
		if (gathered)
			seen_ = steady_clock::now();
		else
			failures_++;
		woken_.wait_for(guard, period_, [&] { return ending_; });
	}
}

/* A thousand jobs are read only if there is something new in them. */
Result<void> JobGatherer::gather()
{
	const auto version = CORBEL_EXPECT(sources_.version());
	if (version == version_)
		return {};
	const auto jobs = CORBEL_EXPECT(sources_.jobs());
	const auto warnings = CORBEL_EXPECT(sources_.warnings());

	const std::lock_guard guard(lock_);
	count(jobs);
	for (const auto severity : severities)
		warnings_[name_of(severity)] = 0;
	for (const auto &warning : warnings)
		warnings_[name_of(warning.severity)] += warning.count;
	version_ = version;
	return {};
}

void JobGatherer::count(const std::vector<jobs::Job> &jobs)
{
	const bool first = !ended_;
	std::set<jobs::JobId> ended;

	/* A kind whose jobs are forgotten stays, with none. */
	for (auto *kinds : {&jobs_, &job_warnings_})
		for (auto &[kind, number] : *kinds)
			number = 0;
	for (const auto &job : jobs) {
		jobs_[{job.kind, name_of(job.state)}]++;
		for (const auto &warning : job.warnings)
			job_warnings_[{job.kind, name_of(warning.severity)}] += warning.count;
		if (!is_final(job.state))
			continue;
		ended.insert(job.id);
		if (!first && !ended_->contains(job.id))
			count_ended(job);
	}
	ended_ = std::move(ended);
}

void JobGatherer::count_ended(const jobs::Job &job)
{
	auto &durations = durations_.try_emplace(job.kind, duration_bounds).first->second;
	const auto seconds =
		std::max(std::chrono::duration<double>(job.updated - job.created).count(), 0.0);

	ended_by_state_[{job.kind, name_of(job.state)}]++;
	durations.add(seconds);
	durations.sum += seconds;
}

void JobGatherer::add(Families &families) const
{
	const std::lock_guard guard(lock_);
	const auto add_kinds = [&](Metric metric, const char *label, const Kinds &kinds) {
		for (const auto &[kind, number] : kinds)
			families.add(metric,
				     {{"kind", label_value(kind.first)},
				      {label, std::string(kind.second)}},
				     static_cast<double>(number));
	};

	add_kinds(Metric::jobs, "state", jobs_);
	add_kinds(Metric::jobs_ended, "state", ended_by_state_);
	add_kinds(Metric::job_warnings, "severity", job_warnings_);
	for (const auto &[kind, durations] : durations_)
		families.add(Metric::job_duration, {{"kind", label_value(kind)}}, durations);
	for (const auto &[severity, number] : warnings_)
		families.add(Metric::warnings, {{"severity", std::string(severity)}},
			     static_cast<double>(number));
	if (version_)
		families.add(Metric::state_version, {}, static_cast<double>(*version_));
	if (seen_)
		families.add(Metric::gather_age, {{"source", "state"}},
			     std::chrono::duration<double>(steady_clock::now() - *seen_).count());
	families.add(Metric::gather_errors, {{"source", "state"}}, static_cast<double>(failures_));
}

} /* namespace corbel::metrics */
