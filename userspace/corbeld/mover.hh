/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mover.hh - the source's end of one migration, for as long as a daemon works on it. */
#pragma once

#include "arrivals.hh"

#include "../containers/leaving.hh"
#include "../jobs/job.hh"

#include <optional>

namespace corbel::daemon {

/* Of the job: the one before it plans. */
inline constexpr std::size_t first_step = 1;

/* Of the timeline. */
[[nodiscard]] std::int64_t now_ms();

/* What the protocol calls the record, of the job as it is in the store. */
[[nodiscard]] migrate::SourceRecord record_of(const jobs::Job &job);

class Mover {
public:
	/* @granting: held by whoever grants a lease, and while `back` is written. */
	Mover(state::Store &store, Hosts &hosts, const qemu::RunnerOptions &options,
	      const MigrationLimits &limits, std::mutex &granting);

	/* A phase, until the next one is to be written. An error before the commit undoes. */
	[[nodiscard]] Result<void> run(jobs::Work &work, migrate::SourcePhase phase);
	/* All of it. */
	[[nodiscard]] Result<void> undo(jobs::Work &work);

	[[nodiscard]] bool has_memory() const { return memory_there_; }
	using Clock = std::chrono::steady_clock;
	/* A lease that begins at @since or before. False: no more. With @granting held. */
	[[nodiscard]] bool grant(const migrate::SourceRecord &record, Clock::time_point since);

private:
	void remember(jobs::Work &work);
	[[nodiscard]] migrate::SourceRecord record(jobs::Work &work,
						   migrate::SourcePhase phase) const;
	[[nodiscard]] migrate::SourceSeen look(jobs::Work &work, migrate::SourcePhase phase);
	void look_at_vm(migrate::SourcePhase phase, migrate::SourceSeen &seen);
	[[nodiscard]] std::optional<qemu::Launch> launch() const;
	/* Something of it is in this host's folder of VMs. */
	[[nodiscard]] bool is_left() const;
	/* The connection that there is, or a new one. */
	[[nodiscard]] Result<migrate::Monitor *> monitor();
	[[nodiscard]] bool runs(migrate::SourcePhase phase);
	/* True: the phase is over. */
	[[nodiscard]] Result<bool> write(jobs::Work &work, migrate::SourcePhase phase,
					 const migrate::SourceRecord &record);
	[[nodiscard]] Result<void> act(jobs::Work &work, const migrate::SourceStep &step);
	[[nodiscard]] Result<void> tell(jobs::Work &work, migrate::Order order);
	[[nodiscard]] Result<void> warm(jobs::Work &work);
	[[nodiscard]] Result<void> warm_by_qemu(jobs::Work &work);
	[[nodiscard]] Result<void> stop(jobs::Work &work);
	[[nodiscard]] Result<void> go();
	[[nodiscard]] Result<void> discard(jobs::Work &work);
	/* As look() and act(), of a container. */
	void look_at_container(migrate::SourcePhase phase, migrate::SourceSeen &seen);
	[[nodiscard]] Result<void> act_on_container(jobs::Work &work, migrate::SourceAct act);
	/* CRIU takes it apart, and its pages are served. */
	[[nodiscard]] Result<void> seal_container(jobs::Work &work);
	[[nodiscard]] Result<std::string> wish_for_container(jobs::Work &work);
	/* What CRIU says of it. */
	[[nodiscard]] Result<std::string> state_of_container() const;
	[[nodiscard]] Result<std::string> wish_for_vm(jobs::Work &work,
						      const migrate::SourceRecord &record);
	/* Device state, once. */
	[[nodiscard]] Result<void> save_devices(jobs::Work &work);
	/* @use: what the destination shall connect it to. */
	[[nodiscard]] Result<migrate::DataSockets> connect(jobs::Work &work,
							   const std::string &use);
	[[nodiscard]] Result<migrate::DataSockets> try_connect(jobs::Work &work,
							       const std::string &use);
	/* What a pager sends; before, rounds. */
	enum class Sends : std::uint8_t { rounds, asked, all };
	/* One that sends at least this, made anew if the one before is lost. */
	[[nodiscard]] Result<void> serve(jobs::Work &work, Sends sends);
	/* Those that the destination has made, and which are to be copied. */
	[[nodiscard]] Result<void> expect_disks(jobs::Work &work, const v1::MigrateAnswer &answer);
	/* True: they are there but for what is written now. */
	[[nodiscard]] Result<bool> mirror(jobs::Work &work);
	/* While the guest stands still: to the last byte. */
	[[nodiscard]] Result<void> end_mirrors(jobs::Work &work);
	/* Whatever there is of them. */
	void drop_mirrors(jobs::Work &work);
	/* Whoever starts the VM here must not find what is old by then. */
	void put_disks_aside(jobs::Work &work);
	[[nodiscard]] Result<std::optional<std::string>>
	put_aside(const migrate::DiskIdentity &disk) const;
	void end(jobs::Work &work, migrate::Outcome outcome);
	void note(jobs::Work &work, std::string_view phase, std::string_view what);
	void sample(jobs::Work &work, const std::string &pages);

	state::Store &store_;
	Hosts &hosts_;
	const qemu::RunnerOptions &options_;
	const MigrationLimits &limits_;
	std::mutex &granting_;

	std::string vm_, session_;
	qemu::Launch launch_;
	bool own_memory_ = false, plain_ = false;
	std::vector<migrate::DiskIdentity> disks_; /* all of the VM */
	bool mirrors_ended_ = false;

	std::optional<containers::Leaving> container_;
	std::optional<migrate::Monitor> talk_;
	std::optional<Memory> memory_;
	std::optional<Pager> pager_;
	Sends sends_ = Sends::rounds;
	bool memory_there_ = true;
	bool all_there_ = false; /* every page, at the destination */
	bool sending_ = false, warm_ = false, told_ = false;
	unsigned rounds_ = 0;
	std::string devices_;
	std::string trouble_;
	std::optional<migrate::DestinationSays> peer_;
	std::string why_; /* the destination refused */
	std::string stall_; /* why it stands still there, as the destination says */
	std::uint64_t answer_ = 0; /* number of the last one */
	Clock::time_point heard_ = Clock::now(), granted_ = Clock::now();
	Clock::time_point last_sample_{};
};

} /* namespace corbel::daemon */
