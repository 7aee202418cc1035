/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File descriptors and small files.
 */
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace corbel::selftest {

class unique_fd {
public:
	unique_fd() = default;
	explicit unique_fd(int number) : fd(number) {}
	unique_fd(unique_fd &&other) noexcept : fd(std::exchange(other.fd, -1)) {}
	unique_fd &operator=(unique_fd &&other) noexcept
	{
		reset(std::exchange(other.fd, -1));
		return *this;
	}
	~unique_fd() { reset(); }

	explicit operator bool() const { return fd >= 0; }
	int get() const { return fd; }
	int release() { return std::exchange(fd, -1); }
	void reset(int number = -1)
	{
		if (fd >= 0)
			close(fd);
		fd = number;
	}

private:
	int fd = -1;
};

/* ioctl(2) that answers a negative error number instead of -1. */
template <typename Argument>
int call(int fd, unsigned long command, Argument argument)
{
	int result = ioctl(fd, command, argument);

	return result < 0 ? -errno : result;
}

/* Whole content; empty if the file cannot be read. */
std::string read_file(const std::string &path);

bool file_exists(const std::string &path);

/* `name` from the environment, or `otherwise`. */
std::string environment(const char *name, std::string_view otherwise = {});

/* $CORBEL_SCALE: how many times the ordinary amount of work is asked for. */
double scale();

/* `ordinary` at scale 1 and in proportion, but all of `full` from scale 10 on. */
unsigned long amount(unsigned long ordinary, unsigned long full);

/* Descriptors of this process. */
unsigned count_open_fds();

std::string error_name(int error);

} // namespace corbel::selftest
