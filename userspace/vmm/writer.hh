/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer.hh - a recording as it is made: chunks are compressed and written by a thread of its
 * own, and whoever is too fast for it waits, so that no more than a few chunks are in memory.
 */
#pragma once

#include "chunk.hh"

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace corbel::vmm {

class RecordingWriter {
public:
	static constexpr std::size_t most_waiting = 8;

	/* A file that is there already is not written over: EEXIST. */
	[[nodiscard]] static Result<std::unique_ptr<RecordingWriter>>
	create(const std::string &path, std::string_view header);
	~RecordingWriter();
	RecordingWriter(const RecordingWriter &) = delete;
	RecordingWriter &operator=(const RecordingWriter &) = delete;

	/* An error may be that of an earlier chunk. */
	[[nodiscard]] Result<void> push(Entries entries);
	/* All of it is on the disk. */
	[[nodiscard]] Result<void> finish();

	[[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
	RecordingWriter(std::string path, ScopedFd fd);

	void work();
	Result<void> write(std::string_view bytes);

	std::string path_;
	ScopedFd fd_;
	std::mutex mutex_;
	std::condition_variable changed_;
	std::deque<Entries> waiting_;
	std::optional<Error> error_;
	bool ends_ = false;
	std::atomic<std::uint64_t> bytes_ = 0;
	std::thread thread_; /* the last, as it uses all of the above */
};

} /* namespace corbel::vmm */
