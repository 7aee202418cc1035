/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * page_supply.hh - which pages of which process are missing, and bringing them.
 *
 * What is told of a process is read and taken to heart with the lock held, and so is each page
 * put in its place: a page that has just been given back or moved is not written to where it
 * was. The kernel refuses to (EAGAIN) while something is told that nobody has read.
 */
#pragma once

#include "journal.hh"
#include "missing.hh"
#include "group.hh"
#include "page_server.hh"
#include "reserve.hh"

#include <libcorbel/memory.hh>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace corbel::containers {

class PageSupply {
public:
	/* @journal outlives it. */
	PageSupply(PageServer server, Memory memory, Journal &journal, Reserve reserve);
	~PageSupply();
	PageSupply(const PageSupply &) = delete;

	[[nodiscard]] Result<void> map();
	/* What was told to another one before, and those who have waited since. */
	[[nodiscard]] Result<void> replay();
	/* Its threads. */
	void begin();

	/* A process that CRIU has made, which misses what the images say. */
	void add(int fd, pid_t process);
	[[nodiscard]] std::vector<int> descriptors();
	/* Whatever there is to be read from one of them. */
	void hear(int fd);

	/* Freezes the container while somebody waits for too long. */
	void look_at_stalls();
	/* It may run again, if it was frozen by this. */
	void let_go();
	[[nodiscard]] bool is_done();

private:
	using Clock = std::chrono::steady_clock;
	static constexpr unsigned workers = 8;
	static constexpr unsigned filler = workers; /* the number of another thread */
	struct Fault {
		int fd;
		std::uint64_t address;
	};
	enum class Put { done, again, no_room, no_memory };

	void apply(const Journal::Entry &entry);
	void forget_dead();
	void work(const std::stop_token &stop, unsigned number);
	void fill(const std::stop_token &stop);
	/* Until it is there, or nobody misses it any more. */
	void bring(const std::stop_token &stop, unsigned number, int fd, std::uint64_t address,
		   std::span<std::byte> buffer);
	/* Of the memory object. False: it will not come. */
	[[nodiscard]] bool fetch(unsigned number, const MissingRun &run, std::byte *to);
	[[nodiscard]] Put put(int fd, const MissingRun &run, const std::byte *from);
	[[nodiscard]] Put put_zero(int fd, std::uint64_t address);
	/* -errno of it, or bytes. */
	[[nodiscard]] static std::int64_t copy(int fd, const MissingRun &run,
					       const std::byte *from);
	static void wake(int fd, std::uint64_t address, std::uint64_t bytes);
	/* Why so much cannot be given to its processes now; empty: it can. */
	[[nodiscard]] std::string shortage(std::uint64_t bytes) const;
	/* Why it has to stand still; empty: it need not. */
	[[nodiscard]] std::string stall();
	void stalls(unsigned number, bool begins);
	[[nodiscard]] bool all_here();

	PageServer server_;
	Group group_;
	Memory memory_;
	Journal &journal_;
	Reserve reserve_;
	const std::byte *pages_ = nullptr;

	std::mutex lock_;
	std::condition_variable_any more_;
	std::map<int, Missing> processes_; /* by their descriptors */
	std::deque<Fault> faults_;
	std::string short_; /* why there was no room for a page, the last time */
	bool all_here_ = false;

	/* Since when each of the threads waits; 0: it does not. */
	std::array<std::atomic<Clock::rep>, workers + 1> since_{};
	std::atomic<bool> failed_ = false, stalled_ = false;
	std::string stalled_as_;
	Clock::time_point looked_{};
	std::vector<std::jthread> threads_;
};

} /* namespace corbel::containers */
