/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memory.hh - memory objects and pagers, see <corbel/memory.h> and <corbel/pager.h>.
 *
 * Calls that take long (a round of pages) end with EINTR if the thread gets a signal.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <corbel/memory.h>
#include <corbel/pager.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corbel {

using PagerSession = std::array<std::uint8_t, 16>;

/* One end of a transfer; ends it with its owner. */
class Pager {
public:
	explicit Pager(ScopedFd fd) : fd_(std::move(fd)) {}

	[[nodiscard]] Result<corbel_pager_info> info() const;
	/* Serving: how many pages were sent and have arrived. */
	[[nodiscard]] Result<std::uint64_t> round() const;
	/* Serving: how many pages are still to be sent. @flags: CORBEL_PAGER_GO_ASKED. */
	[[nodiscard]] Result<std::uint64_t> go(std::uint32_t flags = 0) const;
	/* For poll(2). */
	[[nodiscard]] int fd() const { return fd_.get(); }

private:
	ScopedFd fd_;
};

class Memory {
public:
	Memory(ScopedFd fd, std::uint32_t number, std::uint64_t bytes)
		: fd_(std::move(fd)), number_(number), bytes_(bytes)
	{}

	/* ENOENT: there is none of that number. */
	[[nodiscard]] static Result<Memory> open(std::uint32_t number);

	[[nodiscard]] std::uint32_t number() const { return number_; }
	[[nodiscard]] std::uint64_t bytes() const { return bytes_; }
	/* Its node, which QEMU takes as mem-path. */
	[[nodiscard]] std::string node() const;
	[[nodiscard]] int fd() const { return fd_.get(); }

	[[nodiscard]] Result<corbel_memory_info> info() const;
	/* How many pages became present, of @bytes at @offset; without @source they are zero. */
	[[nodiscard]] Result<std::uint64_t> install(std::uint64_t offset, std::uint64_t bytes,
						    const void *source) const;
	/* What is missing will not come. */
	[[nodiscard]] Result<void> fail() const;
	[[nodiscard]] Result<void> requeue() const;
	/* These may be so already. */
	[[nodiscard]] Result<void> track(bool on) const;
	[[nodiscard]] Result<void> seal(bool on) const;
	/* How many page tables there are. */
	[[nodiscard]] Result<std::uint64_t> prepare() const;
	/* How many pieces of 2 MiB are mapped as such from now on. */
	[[nodiscard]] Result<std::uint64_t> join() const;
	/* How many pages were written since they were last told, which they are not by this. */
	[[nodiscard]] Result<std::uint64_t> count_dirty() const;

	/* A bit for each page of which the contents have not come. */
	[[nodiscard]] Result<std::vector<std::uint64_t>> absent() const;

	/* @role: CORBEL_PAGER_FETCH or _SERVE; the sockets are not needed afterwards. */
	[[nodiscard]] Result<Pager> pager(std::uint32_t role, int demand, int push,
					  const PagerSession &session,
					  std::uint32_t flags = 0) const;

private:
	ScopedFd fd_;
	std::uint32_t number_;
	std::uint64_t bytes_;
};

/* "/dev/corbel-ram7": 7. */
[[nodiscard]] std::optional<std::uint32_t> memory_number(std::string_view node);

} /* namespace corbel */
