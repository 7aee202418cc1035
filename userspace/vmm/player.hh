/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * player.hh - a guest that is replayed from any place of its recording to any other: the nearest
 * checkpoint before is put back, in the VM that is there, and the guest does the rest again.
 */
#pragma once

#include "checkpoint_file.hh"
#include "session.hh"

#include <libcorbel/error.hh>

#include <memory>
#include <optional>
#include <string>

namespace corbel::vmm {

/* A recording that can be replayed here, by any number of players. */
struct Source {
	std::string file;
	std::optional<ChunkReader> reader;
	Parts parts;

	[[nodiscard]] static Result<std::unique_ptr<Source>> open(const Options &options);
	[[nodiscard]] CheckpointsOf checkpoints() const;
};

class Player {
public:
	/* Of the calling thread, at the beginning. @file may be null: there are no checkpoints. */
	[[nodiscard]] static Result<std::unique_ptr<Player>>
	create(const Source &source, const CheckpointFile *file, Monitor::Settings settings);

	/* From where it is to behind this exit, or to what ends the recording before. */
	[[nodiscard]] Result<Ending> play(std::uint64_t exit);
	/* Nothing: the beginning. */
	[[nodiscard]] Result<void> restore(std::optional<std::size_t> checkpoint);
	/* The nearest place from which play() comes to that exit; @exit if it is there. */
	struct Start {
		bool here; /* it need not be restored */
		std::optional<std::size_t> checkpoint;
		std::uint64_t exit;
	};
	[[nodiscard]] Start start_for(std::uint64_t exit);

	[[nodiscard]] Result<Checkpoint> state();
	/*
	 * Pages, behind those of memory the disk's, that may be others than when this was last
	 * called. Not for who restores checkpoints, which needs to know the same.
	 */
	[[nodiscard]] Result<std::vector<std::uint64_t>> take_changed_pages();
	/* Of one that was changed. */
	[[nodiscard]] GuestMemory::ConstPage page(std::uint64_t number);
	/* What here is not as it is at that checkpoint; empty: nothing. */
	[[nodiscard]] Result<std::string> difference_at(std::size_t checkpoint);

	[[nodiscard]] Monitor &monitor() { return monitor_; }
	[[nodiscard]] Journal &journal() { return *journal_; }
	[[nodiscard]] Machine &machine() { return machine_; }
	[[nodiscard]] const Backends &backends() const { return backends_; }
	/* By any thread. */
	void stop();

private:
	Player(Machine machine, std::unique_ptr<Journal> journal, std::unique_ptr<Kicker> kicker,
	       Backends backends, const Board &board, const CheckpointFile *file,
	       Monitor::Settings settings);

	Result<void> settle();
	[[nodiscard]] std::vector<std::uint64_t> changed_pages();
	void forget_changed();
	/* The disk's block that this page is, behind those of memory. */
	[[nodiscard]] std::optional<std::uint64_t> block_of(std::uint64_t page) const;
	Result<void> load_block(const PageVersion *version, std::uint64_t block);
	Result<void> load_page(const PageVersion *version, std::uint64_t page);
	[[nodiscard]] std::uint64_t digest_of(const PageVersion *version, std::uint64_t page) const;
	/* Those that may have other bytes than at that checkpoint. */
	[[nodiscard]] std::vector<std::uint64_t>
	pages_unlike(std::optional<std::size_t> checkpoint);
	[[nodiscard]] bool is_like(const PageVersion *version, std::uint64_t page);
	[[nodiscard]] const PageVersion *version_at(std::optional<std::size_t> checkpoint,
						    std::uint64_t page) const;

	Machine machine_;
	std::unique_ptr<Journal> journal_;
	std::unique_ptr<Kicker> kicker_;
	HostInput input_;
	Backends backends_;
	Monitor monitor_;
	const CheckpointFile *file_;
	Checkpoint origin_;
	std::unordered_map<std::uint64_t, std::string> origin_pages_; /* but for those of zeros */
	std::optional<std::size_t> restored_; /* memory is as there, but for what changed */
	bool goes_on_ = true; /* it is at a place, and not behind an end or an error */
};

} /* namespace corbel::vmm */
