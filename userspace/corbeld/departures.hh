/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * departures.hh - `vm.migrate` and `container.migrate`: a VM or a container moves from here to
 * another host, as a job.
 *
 * Its steps are the phases of userspace/migrate/protocol.hh; that the job goes on to `run` is
 * the commit point. What is kept of it is in the job's data; what it came to in `result`:
 *
 *   outcome, sentence, epoch, session
 *   timeline[]     at_ms since it began, phase, what
 *   samples[]      at_ms, and what the destination said of its pages
 *   switch_ms      from stopping the guest to when it was let run there, as seen from here
 *   lost_pages     "0-3,17": pages of 4 KiB of the guest's memory that only the source had
 *   point_age_ms   of a rollback: how old what the guest went back to was
 */
#pragma once

#include "arrivals.hh"

#include "../jobs/job.hh"

namespace corbel::daemon {

inline constexpr const char *migrate_kind = "vm.migrate";
inline constexpr const char *container_kind = "container.migrate";

class Departures {
public:
	/* All of these outlive it. */
	Departures(state::Store &store, Hosts &hosts, qemu::RunnerOptions options,
		   MigrationLimits limits);
	~Departures();
	Departures(const Departures &) = delete;

	/*
	 * Argument: {"vm", "host": id, "name": of the host, "mode", "rollback", "spill",
	 * "plain"}.
	 */
	[[nodiscard]] jobs::JobKind job() { return job(migrate_kind); }
	/* Argument: {"container": as it is named, "host", "name", "spill", "plain"}. */
	[[nodiscard]] jobs::JobKind container_job() { return job(container_kind); }

	/* What stands in the way, said by both hosts; else what it would do, in a sentence. */
	[[nodiscard]] Result<std::string> plan(const jobs::Json &argument);

	/* What a destination that asks is told. */
	[[nodiscard]] Result<v1::MigrateAskReply> ask(const trust::HostId &from,
						      const std::string &session);

	/* What is kept of jobs that have ended, and of those that are forgotten. */
	[[nodiscard]] Result<void> forget();

private:
	struct Life; /* of a job in this daemon */

	[[nodiscard]] jobs::JobKind job(const char *kind);
	[[nodiscard]] Result<std::string> plan_container(const jobs::Json &argument);
	/* Whether that host would take it; @what: for people. */
	[[nodiscard]] Result<v1::MigrateAnswer>
	ask_for(const trust::PeerTrust &peer, const std::string &what, const std::string &wish);
	/* What the job remembers of it. */
	[[nodiscard]] Result<void> remember_vm(jobs::Work &work);
	[[nodiscard]] Result<void> remember_container(jobs::Work &work);
	[[nodiscard]] std::shared_ptr<Life> life_of(jobs::JobId id);

	state::Store &store_;
	Hosts &hosts_;
	qemu::RunnerOptions options_;
	MigrationLimits limits_;
	std::mutex lock_;
	std::map<jobs::JobId, std::shared_ptr<Life>> lives_;
};

} /* namespace corbel::daemon */
