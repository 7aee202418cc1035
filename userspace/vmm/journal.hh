/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.hh - the one ordered stream of what a guest was given and did. A recording writes
 * it, a replay reads it; the rest of the monitor says each thing once, for both:
 *
 *   given   comes from outside: a time, data. It is written down, or read from the stream
 *   agreed  follows from what was given: an exit, an interrupt, the state at a checkpoint. It
 *           is written down, or has to be what the stream has
 *
 * The stream lies in the area that corbel_replay.ko shares, where the module adds, or takes,
 * the entries of RDTSC. With each exit goes a digest of all entries since the one before, so a
 * change of any of them is found at the next exit at the latest, whatever the guest does
 * with it.
 */
#pragma once

#include "chunk.hh"
#include "guest_time.hh"
#include "writer.hh"

#include <libcorbel/error.hh>
#include <libcorbel/mapping.hh>
#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace corbel::vmm {

enum class Mode : std::uint8_t { plain, record, replay };

/* Error numbers of a journal: the guest is not on the path of the recording; its end. */
constexpr int diverged = EILSEQ, at_end = ENODATA;

class Journal {
public:
	struct Settings {
		Mode mode = Mode::plain;
		std::uint32_t shift = 0;
		int vcpu_fd = -1; /* whose counter corbel_replay.ko answers; -1: it is not used */
	};
	/* One digest is of the guest at this exit, the other of all entries before it. */
	struct Exit {
		std::uint8_t reason;
		std::uint64_t rip;
		std::uint32_t digest;
	};

	/* Where a replay is. All of it, but for the number of reads, follows from the entries. */
	struct Position {
		std::uint64_t exits = 0;
		std::uint64_t entry = 0; /* the next */
		std::uint64_t since = 0; /* the first one behind the last exit */
		std::uint64_t chain = 0; /* digest of those from there on that were taken */
		GuestTime last = 0;
		std::uint64_t tsc_reads = 0;

		[[nodiscard]] bool operator==(const Position &) const = default;
	};

	/* @reader for a replay; a recording needs record_to(). */
	[[nodiscard]] static Result<std::unique_ptr<Journal>>
	create(const Settings &settings, std::optional<ChunkReader> reader = std::nullopt);
	void record_to(std::unique_ptr<RecordingWriter> writer) { writer_ = std::move(writer); }

	[[nodiscard]] Mode mode() const { return mode_; }
	[[nodiscard]] corbel_replay_area &area() { return *area_; }

	/* Now, or then; later than any time given before, by the module too. */
	[[nodiscard]] Result<GuestTime> time();
	/* The guest's clock as it is, which nobody is told. */
	[[nodiscard]] GuestTime clock() const;
	[[nodiscard]] std::chrono::nanoseconds host_time(GuestTime span) const;
	/* The guest's clock is ahead by so much more. */
	void warp(GuestTime span);

	[[nodiscard]] Result<void> exit(const Exit &exit);
	/* @what: for the error. */
	[[nodiscard]] Result<void> agree(Kind kind, std::uint8_t info, std::uint64_t value,
					 std::string_view what);
	/* The last of all, with a digest of the entries since the last exit. */
	[[nodiscard]] Result<void> end(std::uint8_t how, std::uint32_t value);
	/* Data of a recording, of whatever size. */
	[[nodiscard]] Result<void> give(Kind kind, std::uint8_t info, std::uint64_t rip,
					std::string_view bytes);

	/* The next entry, of a replay. */
	[[nodiscard]] Result<corbel_replay_entry> peek();
	/* And what give() gave, of at most @limit bytes. */
	[[nodiscard]] Result<std::string> take(Kind kind, std::size_t limit);
	/* Goes past one of the next entries, which is not compared. */
	[[nodiscard]] Result<void> skip();

	/* Of a replay, which goes on from there. */
	[[nodiscard]] Position position();
	[[nodiscard]] Result<void> seek(const Position &position);

	/* Before KVM_RUN: the area has room for the module, or entries. */
	[[nodiscard]] Result<void> prepare();
	/* What was recorded goes to the file, if there is much of it or it is @old. */
	[[nodiscard]] Result<void> write_out(bool old);
	[[nodiscard]] Result<void> finish();

	[[nodiscard]] std::uint64_t exits() const { return exits_; }
	[[nodiscard]] std::uint64_t entries() const { return gone_ + area_->head; }
	[[nodiscard]] std::uint64_t tsc_reads() const { return tsc_before_ + area_->nr_tsc; }
	[[nodiscard]] std::uint64_t file_bytes() const { return writer_ ? writer_->bytes() : 0; }
	/* Of a replay: it had no end of its own. */
	[[nodiscard]] bool was_cut() const { return reader_ && reader_->was_cut(); }
	/* For an error about @what: where the replay is, what is there, and what came instead. */
	[[nodiscard]] Error difference(std::string_view what) const;

private:
	struct Chain;

	Journal(const Settings &settings, std::optional<ChunkReader> reader);

	Result<void> map_area(int vcpu_fd);
	Result<void> append(const corbel_replay_entry &entry);
	Result<corbel_replay_entry> next();
	Result<void> refill();
	/* Takes what comes before this entry. */
	Result<void> pass_to(std::uint64_t entry);
	void absorb();
	/* Of the entries since the last exit, which are forgotten. */
	std::uint32_t take_chain();

	Mode mode_;
	std::unique_ptr<RecordingWriter> writer_;
	std::optional<ChunkReader> reader_;
	ScopedFd recorder_;
	std::optional<Mapping> mapping_;
	std::unique_ptr<corbel_replay_area> own_area_;
	std::unique_ptr<corbel_replay_entry[]> own_log_;
	corbel_replay_area *area_ = nullptr;
	corbel_replay_entry *log_ = nullptr;
	std::uint64_t room_ = 0; /* of the log */
	std::uint64_t filled_ = 0; /* replay: so many of it are there to take */
	std::uint64_t absorbed_ = 0; /* those before are in the chain */
	std::uint64_t gone_ = 0; /* entries that were in the log and made room */
	std::uint64_t since_ = 0; /* entries until behind the last exit */
	std::uint64_t exits_ = 0;
	std::uint64_t tsc_before_ = 0; /* reads, but for those that the area counts */
	bool ended_ = false; /* all chunks are in the log, or were */
	bool complete_ = false; /* the last of the entries is the end */
	std::chrono::steady_clock::time_point written_out_;
	std::unique_ptr<Chain, void (*)(Chain *)> chain_;
};

} /* namespace corbel::vmm */
