/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.hh - works on jobs, and keeps in a store how far each has come.
 *
 * Several engines may share a store: each job is worked on by one of them, which holds a
 * lease. When that dies its jobs are taken over by another, or by itself once it is back.
 * Every step forward is one compare-and-swap of the job's record, so that nobody who lost
 * a job can still write to it, and a job is never both cancelled and past its commit point.
 */
#pragma once

#include "job.hh"

#include "../state/store.hh"

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>
#include <thread>
#include <vector>

namespace corbel::jobs {

struct EngineOptions {
	unsigned threads = 4; /* jobs at the same time; the others wait their turn */
	std::chrono::milliseconds lease{10000}; /* after which a dead engine's jobs are taken */
	std::function<Time()> now{}; /* empty: this host's */
	/* Of whom there is one at a time: what it had is taken up at once by the next one of
	   that name. Empty: nobody vouches for that. */
	std::string holder{};
};

/* All functions may be called from any thread and may block on the store. */
class Engine {
public:
	/* Begins to work, first of all on what was left. */
	[[nodiscard]] static Result<std::unique_ptr<Engine>>
	start(state::Store &store, std::vector<JobKind> kinds, EngineOptions options = {});
	/* Interrupts the steps that are under way; the jobs go on with the next engine. */
	~Engine();
	Engine(const Engine &) = delete;

	/*
	 * A new job (@made), or with a @key that was used before the job of then. EINVAL: there
	 * is no such kind, or its check refuses the argument. EEXIST: the key was used for
	 * something else.
	 */
	[[nodiscard]] Result<Job> submit(std::string_view kind, const Json &argument,
					 std::string_view key = {}, bool *made = nullptr);
	/* EINVAL as by submit(), which is not done. */
	[[nodiscard]] Result<void> check(std::string_view kind, const Json &argument) const;
	/* ENOENT: there is none. */
	[[nodiscard]] Result<Job> get(JobId id);
	/* The one that was submitted with @key. EEXIST: it is for something else. */
	[[nodiscard]] Result<std::optional<Job>> find(std::string_view kind, const Json &argument,
						      std::string_view key);
	/* By id. */
	[[nodiscard]] Result<std::vector<Job>> list();
	/* Undoes it. EBUSY: it is past its commit point, or has ended. Again: no matter. */
	[[nodiscard]] Result<Job> cancel(JobId id, bool dry_run = false);
	/* Lets a stalled job try again. EBUSY: it is not stalled. */
	[[nodiscard]] Result<Job> resume(JobId id, bool dry_run = false);

	/*
	 * The record and the key of a job that has ended. False: it was gone. EBUSY: it has
	 * not ended.
	 */
	[[nodiscard]] Result<bool> forget(JobId id);
	/* Those that ended before @before, and all but the last @most; how many. */
	[[nodiscard]] Result<std::size_t> forget_ended(Time before, std::size_t most);

	/* The job once it is not as of @seen (0: now), or as it is after @limit. */
	[[nodiscard]] Result<Job> change_seen(JobId id, state::Version &seen,
					      std::chrono::milliseconds limit);

	/* Null: it is not known here. */
	[[nodiscard]] const JobKind *kind_of(const std::string &name) const;

	/* Until the job has ended or stalled, or @limit has passed (ETIMEDOUT). */
	[[nodiscard]] Result<Job> wait(JobId id, std::chrono::milliseconds limit);

private:
	class Worker;
	struct Held {
		Job job;
		state::Version changed;
		bool was_ready; /* as it is in the store */
	};
	struct Claim {
		JobId id;
		state::LeaseId lease;
		state::Version version; /* of the owner's key */
	};

	Engine(state::Store &store, std::vector<JobKind> kinds, EngineOptions options);

	[[nodiscard]] Time now() const { return options_.now(); }
	[[nodiscard]] Result<Held> read(JobId id);
	/* False: somebody else was faster. */
	[[nodiscard]] Result<bool> write(Held &held);
	/* Changes it until nobody else does so in between. */
	[[nodiscard]] Result<Job>
	change(JobId id, const std::function<Result<bool>(Job &, const JobKind *)> &how);

	void work();
	void keep_lease();
	[[nodiscard]] Result<std::optional<Claim>> claim(JobId id);
	[[nodiscard]] Result<std::optional<Claim>> find_work();
	void work_on(const Claim &claim);
	void release(const Claim &claim);
	[[nodiscard]] bool ending();
	void changed_something();
	/* A job may be claimed that could not be before. */
	void has_work();

	state::Store &store_;
	std::vector<JobKind> kinds_;
	EngineOptions options_;

	std::mutex lock_;
	std::condition_variable changed_;
	std::uint64_t changes_ = 0;
	/* Apart from it: what is written of a job at work is no concern of those without one. */
	std::condition_variable work_;
	std::uint64_t works_ = 0;
	bool ending_ = false;
	state::LeaseId lease_ = 0;
	std::set<JobId> mine_;
	std::vector<std::thread> threads_;
};

/* Of a @store, whoever works on it; nothing: it is not there. */
[[nodiscard]] Result<std::optional<Job>> find_job(state::Store &store, JobId id);
/* All of a job that is in a @store that no engine works on; ENOENT: there is none. */
[[nodiscard]] Result<void> erase_job(state::Store &store, JobId id);

} /* namespace corbel::jobs */
