/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.hh - what a page server has been told, for the one that takes over from it.
 *
 * Memory that two processes share. The kernel puts what it tells of a process right into it
 * (read(2) of the userfaultfd): whoever is killed, nothing that was read is unknown.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <linux/userfaultfd.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <sys/types.h>

namespace corbel::containers {

class Journal {
public:
	struct Entry {
		std::int32_t fd = -1; /* of the process that it is of */
		pid_t process = 0; /* if it is a new one: its number in the container */
		uffd_msg message{}; /* else; event 0: there is none yet */
	};
	/* What is known besides. */
	enum Flag : std::uint32_t {
		restored = 1, /* CRIU has no more to do with it */
		done = 2, /* nothing is missing */
		full = 4, /* something happened that there was no room for */
	};

	[[nodiscard]] static Result<Journal> make();
	/* One that was handed down. */
	[[nodiscard]] static Result<Journal> of(int fd);
	Journal(Journal &&other) noexcept;
	Journal &operator=(Journal &&) = delete;
	~Journal();

	[[nodiscard]] int fd() const { return fd_.get(); }
	/* Where the next one goes; it is not one before it says so. */
	[[nodiscard]] Entry &next();
	/* What is in next() counts. */
	void keep();
	[[nodiscard]] std::span<const Entry> entries() const;

	void set(Flag flag) { head_->flags.fetch_or(flag); }
	[[nodiscard]] bool is(Flag flag) const { return head_->flags.load() & flag; }

private:
	struct Head {
		std::atomic<std::uint32_t> flags;
		std::atomic<std::uint64_t> count;
	};

	Journal(ScopedFd fd, void *at);
	[[nodiscard]] static Result<Journal> map(ScopedFd fd);

	ScopedFd fd_;
	Head *head_;
	Entry *entries_;
	Entry spare_{};
};

} /* namespace corbel::containers */
