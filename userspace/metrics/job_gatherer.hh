/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job_gatherer.hh - what the daemon itself does: jobs, warnings, its state. */
#pragma once

#include "families.hh"

#include "../jobs/job.hh"
#include "../state/store.hh"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

namespace corbel::metrics {

/* Where it is asked; any of them may block on the store. */
struct JobSources {
	std::function<Result<state::Version>()> version;
	std::function<Result<std::vector<jobs::Job>>()> jobs;
	std::function<Result<std::vector<jobs::Warning>>()> warnings;
};

class JobGatherer {
public:
	/* What @sources use must outlive it. */
	explicit JobGatherer(JobSources sources,
			     std::chrono::milliseconds period = std::chrono::seconds(1));
	~JobGatherer();
	JobGatherer(const JobGatherer &) = delete;

	/* From any thread; does not wait for the store. */
	void add(Families &families) const;

private:
	using Kinds = std::map<std::pair<std::string, std::string_view>, std::uint64_t>;

	void run();
	[[nodiscard]] Result<void> gather();
	void count(const std::vector<jobs::Job> &jobs);
	void count_ended(const jobs::Job &job);

	JobSources sources_;
	const std::chrono::milliseconds period_;
	/* Of the thread alone. */
	std::optional<std::set<jobs::JobId>> ended_; /* none: it has not looked yet */

	mutable std::mutex lock_;
	std::condition_variable woken_;
	bool ending_ = false;
	std::optional<std::chrono::steady_clock::time_point> seen_;
	std::uint64_t failures_ = 0;
	std::optional<state::Version> version_;
	Kinds jobs_, ended_by_state_, job_warnings_;
	std::map<std::string, Distribution> durations_;
	std::map<std::string_view, std::uint64_t> warnings_;
	std::thread thread_;
};

} /* namespace corbel::metrics */
