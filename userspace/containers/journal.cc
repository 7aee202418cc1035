// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal.hh"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

constexpr std::uint64_t most_entries = std::uint64_t{1} << 22;
constexpr std::size_t head_size = 4096;
/* Of which only what is used is there. */
constexpr std::size_t size = head_size + most_entries * sizeof(Journal::Entry);

std::unexpected<Error> trouble()
{
	return failure(errno, fmt::format("There is no memory for what a page server is told: {}.",
					  describe_errno(errno)));
}

} /* namespace */

Journal::Journal(ScopedFd fd, void *at)
	: fd_(std::move(fd)),
	  head_(static_cast<Head *>(at)),
	  entries_(reinterpret_cast<Entry *>(static_cast<char *>(at) + head_size))
{}

Journal::Journal(Journal &&other) noexcept
	: fd_(std::move(other.fd_)),
	  head_(std::exchange(other.head_, nullptr)),
	  entries_(other.entries_)
{}

Journal::~Journal()
{
	if (head_)
		::munmap(head_, size);
}

Result<Journal> Journal::make()
{
	ScopedFd fd(::memfd_create("corbel-journal", MFD_CLOEXEC));

	if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
		return trouble();
	return map(std::move(fd));
}

Result<Journal> Journal::of(int fd)
{
	return map(ScopedFd(fd));
}

Result<Journal> Journal::map(ScopedFd fd)
{
	void *at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);

	if (at == MAP_FAILED)
		return trouble();
	return Journal(std::move(fd), at);
}

Journal::Entry &Journal::next()
{
	const auto count = head_->count.load();

	if (count < most_entries)
		return entries_[count];
	set(full);
	spare_ = {};
	return spare_;
}

void Journal::keep()
{
	if (head_->count.load() < most_entries)
		head_->count.fetch_add(1);
}

/* One that was read and not kept counts too: who read it was killed right then. */
std::span<const Journal::Entry> Journal::entries() const
{
	auto count = head_->count.load();

	if (count < most_entries && entries_[count].message.event != 0 &&
	    entries_[count].message.event != UFFD_EVENT_PAGEFAULT)
		count++;
	return {entries_, count};
}

} /* namespace corbel::containers */
