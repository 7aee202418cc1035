/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mapping.hh - shared memory of a descriptor, unmapped with its owner. */
#pragma once

#include <libcorbel/error.hh>

#include <sys/mman.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <utility>

namespace corbel {

class Mapping {
public:
	[[nodiscard]] static Result<Mapping> read_only(int fd, off_t offset, std::size_t size)
	{
		return map(fd, offset, size, PROT_READ);
	}
	[[nodiscard]] static Result<Mapping> writable(int fd, off_t offset, std::size_t size)
	{
		return map(fd, offset, size, PROT_READ | PROT_WRITE);
	}

	Mapping(Mapping &&other) noexcept
		: data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0))
	{}
	Mapping &operator=(Mapping &&other) noexcept
	{
		std::swap(data_, other.data_);
		std::swap(size_, other.size_);
		return *this;
	}
	~Mapping()
	{
		if (data_)
			::munmap(data_, size_);
	}

	[[nodiscard]] void *data() { return data_; }
	[[nodiscard]] const void *data() const { return data_; }
	[[nodiscard]] std::size_t size() const { return size_; }

private:
	Mapping(void *data, std::size_t size) : data_(data), size_(size) {}

	static Result<Mapping> map(int fd, off_t offset, std::size_t size, int protection)
	{
		void *data = ::mmap(nullptr, size, protection, MAP_SHARED, fd, offset);

		if (data == MAP_FAILED)
			return failure(errno,
				       "A shared page cannot be mapped: " + describe_errno(errno));
		return Mapping(data, size);
	}

	void *data_ = nullptr;
	std::size_t size_ = 0;
};

} /* namespace corbel */
