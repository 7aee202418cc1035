/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many reads of 4 KiB at once by one thread, with libaio's system calls.
 */
#pragma once

#include "tap.hh"

#include <cstdlib>
#include <cstring>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <vector>

namespace corbel::selftest {

inline uint64_t monotonic_ns()
{
	timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
	       static_cast<uint64_t>(now.tv_nsec);
}

class async_reads {
public:
	static constexpr uint64_t bytes = 4096;

	/* @most: under way at once. */
	async_reads(int fd, unsigned most)
		: fd(fd),
		  buffer(static_cast<char *>(std::aligned_alloc(4096, bytes))),
		  requests(most),
		  events(most)
	{
		CHECK(buffer && syscall(SYS_io_setup, most, &context) == 0, "io_setup: {}",
		      std::strerror(errno));
	}
	/* Waits for all that is under way. */
	~async_reads()
	{
		syscall(SYS_io_destroy, context);
		std::free(buffer);
	}
	async_reads(const async_reads &) = delete;

	/* Request @number, which is not under way. */
	void submit(unsigned number, uint64_t at)
	{
		iocb &request = requests[number];
		iocb *list = &request;

		request = {};
		request.aio_data = number;
		request.aio_lio_opcode = IOCB_CMD_PREAD;
		request.aio_fildes = static_cast<uint32_t>(fd);
		request.aio_buf = reinterpret_cast<uint64_t>(buffer);
		request.aio_nbytes = bytes;
		request.aio_offset = static_cast<int64_t>(at);
		CHECK(syscall(SYS_io_submit, context, 1, &list) == 1, "io_submit: {}",
		      std::strerror(errno));
	}

	/* Waits for one at least; @ended(number) of each that has ended. */
	template <typename Ended>
	void reap(Ended &&ended)
	{
		const long count = syscall(SYS_io_getevents, context, 1, events.size(),
					   events.data(), nullptr);

		CHECK(count > 0, "io_getevents: {}", std::strerror(errno));
		for (long i = 0; i < count; i++) {
			const io_event &event = events[static_cast<size_t>(i)];

			CHECK_EQ(event.res, static_cast<int64_t>(bytes), "a read");
			ended(static_cast<unsigned>(event.data));
		}
	}

private:
	int fd;
	char *buffer;
	aio_context_t context = 0;
	std::vector<iocb> requests;
	std::vector<io_event> events;
};

} // namespace corbel::selftest
