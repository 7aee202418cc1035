// SPDX-License-Identifier: GPL-2.0-or-later
#include "writer.hh"

#include <libcorbel/whole_io.hh>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace corbel::vmm {

Result<std::unique_ptr<RecordingWriter>> RecordingWriter::create(const std::string &path,
								 std::string_view header)
{
	ScopedFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));

	if (!fd)
		return failure(errno, fmt::format("The recording {} cannot be made: {}.", path,
						  describe_errno(errno)));
	std::unique_ptr<RecordingWriter> writer(new RecordingWriter(path, std::move(fd)));

	CORBEL_EXPECT(writer->write(encode_head(header)));
	writer->thread_ = std::thread([raw = writer.get()] { raw->work(); });
	return writer;
}

RecordingWriter::RecordingWriter(std::string path, ScopedFd fd)
	: path_(std::move(path)), fd_(std::move(fd))
{}

RecordingWriter::~RecordingWriter()
{
	{
		const std::lock_guard lock(mutex_);

		ends_ = true;
	}
	changed_.notify_all();
	if (thread_.joinable())
		thread_.join();
}

Result<void> RecordingWriter::write(std::string_view bytes)
{
	if (const int error = write_whole(fd_.get(), bytes))
		return failure(error, fmt::format("The recording {} cannot be written: {}. "
						  "What is in it can be replayed.",
						  path_, describe_errno(error)));
	bytes_ += bytes.size();
	return {};
}

void RecordingWriter::work()
{
	for (std::uint64_t number = 0;; number++) {
		std::unique_lock lock(mutex_);

		changed_.wait(lock, [&] { return ends_ || !waiting_.empty(); });
		if (waiting_.empty())
			return;
		const auto entries = std::move(waiting_.front());

		lock.unlock();
		auto written = write(encode_chunk(entries, number));
		lock.lock();
		/* Only now: a chunk that is being written is one of those waiting. */
		waiting_.pop_front();
		if (!written)
			error_ = std::move(written).error();
		changed_.notify_all();
		if (error_)
			return;
	}
}

Result<void> RecordingWriter::push(Entries entries)
{
	std::unique_lock lock(mutex_);

	changed_.wait(lock, [&] { return error_ || waiting_.size() < most_waiting; });
	if (error_)
		return std::unexpected(*error_);
	waiting_.push_back(std::move(entries));
	changed_.notify_all();
	return {};
}

Result<void> RecordingWriter::finish()
{
	std::unique_lock lock(mutex_);

	changed_.wait(lock, [&] { return error_ || waiting_.empty(); });
	if (error_)
		return std::unexpected(*error_);
	if (::fdatasync(fd_.get()) != 0 && errno != EINVAL && errno != EROFS)
		return failure(errno, fmt::format("The recording {} did not reach the disk: {}.",
						  path_, describe_errno(errno)));
	return {};
}

} /* namespace corbel::vmm */
