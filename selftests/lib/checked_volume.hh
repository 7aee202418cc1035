/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A volume of a pool that is in use, and what it should hold, in memory.
 */
#pragma once

#include "block_pool.hh"
#include "file.hh"
#include "tap.hh"

#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <memory>
#include <random>

namespace corbel::selftest {

/* A volume that is in use, and what it should hold. */
class checked_volume {
public:
	checked_volume(const dm_device &pool, uint64_t id, std::vector<char> expected)
		: id(id),
		  expected(std::move(expected)),
		  device(fmt::format("corbel-test-{}", id), this->expected.size() / 512,
			 fmt::format("corbel-volume {} {}", pool.path(), id)),
		  fd(open(device.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC)),
		  buffer(static_cast<char *>(std::aligned_alloc(4096, most)))
	{
		CHECK(fd, "{}: {}", device.path(), std::strerror(errno));
	}
	~checked_volume() { std::free(buffer); }

	void write(uint64_t at, uint64_t bytes, std::mt19937_64 &random)
	{
		for (uint64_t i = 0; i < bytes; i += 8) {
			const uint64_t word = random();
			std::memcpy(buffer + i, &word, 8);
		}
		CHECK_EQ(pwrite(fd.get(), buffer, bytes, at), bytes,
			 "volume {}: {} bytes at {}: {}", id, bytes, at, std::strerror(errno));
		std::memcpy(&expected[at], buffer, bytes);
	}
	void fill(std::mt19937_64 &random)
	{
		for (uint64_t at = 0; at < expected.size(); at += most)
			write(at, std::min<uint64_t>(most, expected.size() - at), random);
	}
	void read(uint64_t at, uint64_t bytes)
	{
		CHECK_EQ(pread(fd.get(), buffer, bytes, at), bytes, "volume {}: {} bytes at {}: {}",
			 id, bytes, at, std::strerror(errno));
		for (uint64_t i = 0; i < bytes; i++)
			CHECK(buffer[i] == expected[at + i], "volume {}: byte {} is wrong", id,
			      at + i);
	}
	void read_all()
	{
		for (uint64_t at = 0; at < expected.size(); at += most)
			read(at, std::min<uint64_t>(most, expected.size() - at));
	}
	/* Whole blocks of @block bytes become zeros. */
	void discard(uint64_t at, uint64_t bytes, uint64_t block)
	{
		uint64_t range[]{at, bytes};
		const uint64_t first = (at + block - 1) / block * block;
		const uint64_t end = (at + bytes) / block * block;

		CHECK_EQ(ioctl(fd.get(), BLKDISCARD, range), 0, "volume {}: {}", id,
			 std::strerror(errno));
		if (first < end)
			std::memset(&expected[first], 0, end - first);
	}
	void flush() { CHECK_EQ(fsync(fd.get()), 0, "{}", std::strerror(errno)); }

	static constexpr uint64_t most = 256 << 10;
	uint64_t id;
	std::vector<char> expected;
	dm_device device;
	unique_fd fd;

private:
	char *buffer;
};

} // namespace corbel::selftest
