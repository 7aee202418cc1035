// SPDX-License-Identifier: GPL-2.0-or-later
#include "reserve.hh"

#include "images.hh"

#include <libcorbel/text_file.hh>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sstream>
#include <utility>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

/* Between two looks at what there is: it must not be others who pay for it. */
constexpr std::uint64_t at_once = std::uint64_t{16} << 20;

std::unexpected<Error> short_of(std::uint64_t bytes, int number)
{
	return failure(number,
		       fmt::format("It takes {} MiB of memory there for the pages of its "
				   "processes, and {} MiB are free: {}.",
				   bytes >> 20, available_memory() >> 20, describe_errno(number)));
}

} /* namespace */

std::uint64_t available_memory()
{
	std::istringstream words(text_of_file("/proc/meminfo").value_or(""));

	for (std::string word; words >> word;)
		if (std::uint64_t kib = 0; word == "MemAvailable:" && words >> kib)
			return kib << 10;
	return 0;
}

Reserve::Reserve(Reserve &&other) noexcept
	: fd_(std::move(other.fd_)),
	  at_(std::exchange(other.at_, nullptr)),
	  all_(other.all_),
	  held_(other.held_),
	  taken_(other.taken_)
{}

Reserve::~Reserve()
{
	if (at_)
		::munmap(at_, all_);
}

Result<Reserve> Reserve::make(std::uint64_t bytes)
{
	const ScopedFd fd(::memfd_create("corbel-reserve", MFD_CLOEXEC));

	if (!fd)
		return short_of(bytes, errno);
	for (std::uint64_t done = 0; done < bytes;) {
		const auto part = std::min(at_once, bytes - done);

		if (available_memory() < bytes - done)
			return short_of(bytes, ENOMEM);
		if (::fallocate(fd.get(), 0, static_cast<off_t>(done), static_cast<off_t>(part)) !=
		    0)
			return short_of(bytes, errno);
		done += part;
	}
	return of(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
}

/* Where it is not locked it may go to a swap device, and comes back only as free memory. */
Result<Reserve> Reserve::of(int fd)
{
	ScopedFd file(fd);
	struct stat facts{};
	void *at = nullptr;

	if (!file || ::fstat(file.get(), &facts) != 0)
		return failure(errno, fmt::format("The reserve of a page server is not there: {}.",
						  describe_errno(errno)));
	const auto bytes = static_cast<std::uint64_t>(facts.st_size);
	if (bytes > 0) {
		at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
		if (at == MAP_FAILED)
			return short_of(bytes, errno);
		if (::mlock(at, bytes) != 0) {
			const int error = errno;

			::munmap(at, bytes);
			return short_of(bytes, error);
		}
	}
	return Reserve(std::move(file), at, bytes);
}

void Reserve::make_room(std::uint64_t pages)
{
	const auto wanted = taken_ + pages;
	const auto due = std::min((wanted + wanted / room_part) * page_size, all_);

	if (all_ - due < held_ && ::ftruncate(fd_.get(), static_cast<off_t>(all_ - due)) == 0)
		held_ = all_ - due;
}

} /* namespace corbel::containers */
