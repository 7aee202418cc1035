/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reserve.hh - memory that is held for the pages that a container's processes will have.
 *
 * A file in memory of which every page is allocated, and locked. Before a page is copied to a
 * process as much is given back, from the end of the file; so that copying takes nothing that was
 * free before, and others that take all that is free do not keep it from its memory. Who takes
 * over from a page server that was killed has the same file.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <cstdint>

namespace corbel::containers {

/* What page tables and processes take beside pages: one in so many. */
inline constexpr std::uint64_t room_part = 16;

/* Bytes that this host could give, as it estimates. */
[[nodiscard]] std::uint64_t available_memory();

class Reserve {
public:
	/* ENOMEM: there is not as much; nothing is held then. */
	[[nodiscard]] static Result<Reserve> make(std::uint64_t bytes);
	/* One that was handed down. */
	[[nodiscard]] static Result<Reserve> of(int fd);
	Reserve(Reserve &&other) noexcept;
	Reserve &operator=(Reserve &&) = delete;
	~Reserve();

	[[nodiscard]] int fd() const { return fd_.get(); }
	/* Bytes. */
	[[nodiscard]] std::uint64_t held() const { return held_; }
	/* As much as so many more pages take is not held any more. */
	void make_room(std::uint64_t pages);
	/* That room is taken, by whomever. */
	void count(std::uint64_t pages) { taken_ += pages; }

private:
	Reserve(ScopedFd fd, void *at, std::uint64_t bytes)
		: fd_(std::move(fd)), at_(at), all_(bytes), held_(bytes)
	{}

	ScopedFd fd_;
	void *at_;
	std::uint64_t all_, held_;
	std::uint64_t taken_ = 0; /* pages */
};

} /* namespace corbel::containers */
