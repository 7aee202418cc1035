/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch.hh - tells when a disk may lie elsewhere than before.
 *
 * The kernel tells when a file was written to or truncated (inotify), but not of Linux's AIO, nor
 * when what was written gets its place, when somebody else shares it, or what becomes of devices:
 * that is found by looking again each period. Of blocks of a corbel pool that move device-mapper
 * tells. (fanotify would not tell of truncation, or else not
 * take files of btrfs's subvolumes.) A look reads where the disk lies, without writing anything; only if that differs
 * from the last look, somebody is told. Looks at one disk are 100 ms apart at least, and nine
 * times as long as the last one with all that came of it took: a tenth of a CPU at most.
 */
#pragma once

#include "source.hh"

#include <libcorbel/scoped_fd.hh>

#include <volumes/mapper_events.hh>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace corbel::extents {

class Watch {
public:
	using Clock = std::chrono::steady_clock;
	/* From a thread of the watch's own, without a lock: it may add and remove. */
	using Changed = std::function<void(const std::string &path)>;

	Watch(std::chrono::milliseconds period, Changed changed);
	/* Nobody is told any more when it returns; not from within Changed. */
	~Watch();
	Watch(const Watch &) = delete;

	/*
	 * Of a change after this, somebody is told. To lose none: add, then find the layout. Once
	 * only, however often it is added.
	 */
	[[nodiscard]] Result<void> add(const std::string &path, Format format = Format::probe);
	/* One that is being told of may be told of still. */
	void remove(const std::string &path);

private:
	struct Watched {
		Format format = Format::probe;
		int mark = -1; /* of its file; names of one file have the same */
		Seen seen;
		bool written = false; /* since the last look */
		Clock::time_point not_before, again;
	};

	void run(const std::stop_token &stop);
	void wait(Clock::time_point until, bool for_events);
	bool take_events();
	void listen_to_pools();
	[[nodiscard]] std::string due(Clock::time_point now, Clock::time_point &next);
	void look_at(const std::string &path);
	void mark(const std::string &path, Watched &watched);
	void unmark(int mark);
	[[nodiscard]] static Seen look(const std::string &path, Format format);

	const std::chrono::milliseconds period_;
	const Changed changed_;
	ScopedFd events_, wake_; /* no events_: the user has too many, so only periods count */
	std::optional<volumes::MapperEvents> moves_; /* of the thread; not without device-mapper */
	std::mutex lock_;
	std::map<std::string, Watched> watched_;
	std::jthread thread_; /* last, so that it ends first */
};

} /* namespace corbel::extents */
