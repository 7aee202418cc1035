/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scoped_fd.hh - a file descriptor that is closed with its owner. */
#pragma once

#include <unistd.h>

#include <utility>

namespace corbel {

class ScopedFd {
public:
	constexpr ScopedFd() = default;
	explicit constexpr ScopedFd(int fd) : fd_(fd) {}
	ScopedFd(ScopedFd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	ScopedFd &operator=(ScopedFd &&other) noexcept
	{
		if (this != &other) {
			reset();
			fd_ = std::exchange(other.fd_, -1);
		}
		return *this;
	}
	ScopedFd(const ScopedFd &) = delete;
	ScopedFd &operator=(const ScopedFd &) = delete;
	~ScopedFd() { reset(); }

	[[nodiscard]] int get() const { return fd_; }
	[[nodiscard]] explicit operator bool() const { return fd_ >= 0; }

	/* Somebody else closes it. */
	[[nodiscard]] int release() { return std::exchange(fd_, -1); }

	/* close(2) is not retried: on Linux the number is free even after EINTR. */
	void reset()
	{
		if (fd_ >= 0)
			::close(std::exchange(fd_, -1));
	}

private:
	int fd_ = -1;
};

} /* namespace corbel */
