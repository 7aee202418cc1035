// SPDX-License-Identifier: GPL-2.0-or-later
#include "meta_device.hh"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

namespace corbel::pool {

namespace {

using block::meta_bytes;
using block::Meta;

std::unexpected<Error> failed(const std::string &path)
{
	return failure(errno, fmt::format("{}: {}.", path, describe_errno(errno)));
}

std::unexpected<Error> in_use(const std::string &path, std::string_view by)
{
	return failure(EBUSY, fmt::format("{} is in use, {}: while it is, nobody else may look at "
					  "it or change it. If it belongs to a pool that is "
					  "started, `corbel pool stop` that one first.",
					  path, by));
}

/* The loop device that is made of the file, or nothing. */
std::string loop_of(const struct stat &file)
{
	std::error_code error;

	for (const auto &entry : std::filesystem::directory_iterator("/sys/block", error)) {
		std::ifstream backing(entry.path() / "loop/backing_file");
		std::string path;
		struct stat status{};

		if (std::getline(backing, path) && ::stat(path.c_str(), &status) == 0 &&
		    status.st_dev == file.st_dev && status.st_ino == file.st_ino)
			return entry.path().filename();
	}
	return {};
}

/* Direct where that is possible: what the kernel has cached need not be on the device. */
ScopedFd open_direct(const std::string &path, int flags)
{
	ScopedFd fd(::open(path.c_str(), flags | O_DIRECT));

	if (!fd && errno == EINVAL)
		fd = ScopedFd(::open(path.c_str(), flags));
	return fd;
}

Result<std::uint64_t> bytes_of(const std::string &path, int fd, const struct stat &status)
{
	std::uint64_t bytes = static_cast<std::uint64_t>(status.st_size);

	if (S_ISBLK(status.st_mode) && ::ioctl(fd, BLKGETSIZE64, &bytes) != 0)
		return failed(path);
	return bytes;
}

off_t offset_of(Meta block)
{
	return static_cast<off_t>(block.value * meta_bytes);
}

/* As far as it comes; the device's own error if it has one. */
template <typename Call>
block::Result<void> whole(Call &&call)
{
	std::size_t done = 0;

	while (done < meta_bytes) {
		const auto moved = call(done);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved < 0)
			return block::Error(-errno);
		if (moved == 0)
			return block::Error::io;
		done += static_cast<std::size_t>(moved);
	}
	return {};
}

} /* namespace */

void MetaDevice::Free::operator()(void *memory) const
{
	std::free(memory);
}

MetaDevice::MetaDevice(std::string path, ScopedFd fd, std::uint64_t blocks)
	: path_(std::move(path)),
	  fd_(std::move(fd)),
	  blocks_(blocks),
	  aligned_(std::aligned_alloc(meta_bytes, meta_bytes))
{}

Result<std::unique_ptr<MetaDevice>> MetaDevice::open(const std::string &path, Use use)
{
	const int flags = (use == Use::write ? O_RDWR : O_RDONLY) | O_CLOEXEC;
	struct stat status{};

	if (::stat(path.c_str(), &status) != 0)
		return failed(path);
	const bool device = S_ISBLK(status.st_mode);
	if (!device && !S_ISREG(status.st_mode))
		return failure(ENOTBLK,
			       fmt::format("{} is neither a block device nor a file.", path));
	if (!device)
		if (const auto loop = loop_of(status); !loop.empty())
			return in_use(path, fmt::format("as /dev/{}", loop));
	/* Of a device O_EXCL is a claim that file systems, device-mapper and others make too. */
	auto fd = open_direct(path, device ? flags | O_EXCL : flags);
	if (!fd)
		return errno == EBUSY ? in_use(path, "by a pool, a file system or something else")
				      : failed(path);
	if (!device && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? in_use(path, "by another `corbel pool`")
					    : failed(path);
	const auto bytes = CORBEL_EXPECT(bytes_of(path, fd.get(), status));
	return std::unique_ptr<MetaDevice>(new MetaDevice(path, std::move(fd), bytes / meta_bytes));
}

block::Result<void> MetaDevice::read(Meta block, void *data)
{
	auto *to = static_cast<char *>(aligned_.get());

	if (block.value >= blocks_)
		return block::Error::io;
	CORBEL_TRY(whole([&](std::size_t done) {
		return ::pread(fd_.get(), to + done, meta_bytes - done,
			       offset_of(block) + static_cast<off_t>(done));
	}));
	std::memcpy(data, to, meta_bytes);
	return {};
}

block::Result<void> MetaDevice::write(Meta block, const void *data)
{
	auto *from = static_cast<char *>(aligned_.get());

	if (block.value >= blocks_)
		return block::Error::io;
	std::memcpy(from, data, meta_bytes);
	return whole([&](std::size_t done) {
		return ::pwrite(fd_.get(), from + done, meta_bytes - done,
				offset_of(block) + static_cast<off_t>(done));
	});
}

block::Result<void> MetaDevice::flush()
{
	if (::fdatasync(fd_.get()) != 0)
		return block::Error(-errno);
	return {};
}

Error explain(block::Error error, const std::string &path)
{
	using Of = block::Error;
	const int number = -to_errno(error);

	if (error == Of::not_found)
		return {number, fmt::format("{} holds no pool's metadata: neither of its first two "
					    "blocks is a superblock. Name the device that was "
					    "given as --meta to `corbel pool create`.",
					    path)};
	if (error == Of::not_supported)
		return {number, fmt::format("{} is of a later version of Corbel, or has features "
					    "that this one does not know: use the tool of the "
					    "version that made it.",
					    path)};
	if (error == Of::no_space)
		return {number, fmt::format("{} is smaller than the metadata that it should hold: "
					    "it was cut off, or is another device.",
					    path)};
	if (error == Of::bad_message)
		return {number,
			fmt::format("{} is damaged: `corbel pool check` says where, `corbel "
				    "pool repair --dry-run` whether it can be rebuilt.",
				    path)};
	if (error == Of::no_memory)
		return {number, fmt::format("There is not enough memory to look at {}.", path)};
	return {number, fmt::format("{}: {}.", path, describe_errno(number))};
}

} /* namespace corbel::pool */
