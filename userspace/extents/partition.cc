// SPDX-License-Identifier: GPL-2.0-or-later
//
// Partitions of a disk, by libblkid, which needs a descriptor. The disk of an image gets one of a
// sparse file in memory, that has those parts of it in which tables are: its first and last MiB,
// and what the chain of logical partitions leads to.
#include "layout.hh"
#include "qcow2.hh"
#include "source.hh"

#include <blkid/blkid.h>
#include <endian.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>

namespace corbel::extents {

namespace {

struct End {
	void operator()(blkid_probe probe) const { ::blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, End>;

constexpr std::uint64_t MiB = 1 << 20;
constexpr std::array<unsigned, 2> sector_sizes = {512, 4096};
/* More than libblkid follows. */
constexpr unsigned most_logical = 256;

class Copy {
public:
	static Result<Copy> of(const Qcow2 &image)
	{
		Copy copy(image, ScopedFd(::memfd_create("corbel-partitions", MFD_CLOEXEC)));

		if (!copy.fd_ ||
		    ::ftruncate(copy.fd_.get(), static_cast<off_t>(image.bytes())) != 0)
			return failure(
				errno,
				fmt::format("There is no memory for a table of partitions: {}.",
					    describe_errno(errno)));
		CORBEL_EXPECT(copy.take(0, MiB));
		CORBEL_EXPECT(copy.take(image.bytes() - std::min(MiB, image.bytes()), MiB));
		for (const auto size : sector_sizes)
			CORBEL_EXPECT(copy.take_logical(size));
		return copy;
	}
	ScopedFd fd() && { return std::move(fd_); }

private:
	Copy(const Qcow2 &image, ScopedFd fd) : image_(&image), fd_(std::move(fd)) {}

	/* As much as there is of it. */
	Result<void> take(std::uint64_t at, std::uint64_t bytes)
	{
		if (at >= image_->bytes())
			return {};
		std::vector<std::byte> data(std::min(bytes, image_->bytes() - at));

		CORBEL_EXPECT(image_->read(at, data));
		if (::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(at)) !=
		    static_cast<ssize_t>(data.size()))
			return failure(ENOMEM, "There is no memory for a table of partitions.");
		return {};
	}

	/* Each table of an extended partition leads to the next one, relative to its start. */
	Result<void> take_logical(unsigned sector)
	{
		std::uint64_t extended = 0, at = 0;

		for (unsigned i = 0; i < most_logical; i++) {
			std::array<unsigned char, 512> table{};
			std::uint64_t next = 0;

			if (::pread(fd_.get(), table.data(), table.size(),
				    static_cast<off_t>(at)) != 512 ||
			    table[510] != 0x55 || table[511] != 0xaa)
				return {};
			for (std::size_t entry = 446; entry < 510; entry += 16) {
				const auto type = table[entry + 4];
				std::uint32_t start = 0;

				if (type != 0x05 && type != 0x0f && type != 0x85)
					continue;
				std::memcpy(&start, &table[entry + 8], sizeof(start));
				next = extended + std::uint64_t{le32toh(start)} * sector;
				break;
			}
			if (!next || next > image_->bytes())
				return {};
			if (!extended)
				extended = next;
			CORBEL_EXPECT(take(next, sector));
			at = next;
		}
		return {};
	}

	const Qcow2 *image_;
	ScopedFd fd_;
};

Result<std::pair<std::uint64_t, std::uint64_t>>
partition_of(int fd, const std::string &path, std::uint64_t disk_bytes, unsigned number)
{
	const Probe probe(::blkid_new_probe());

	for (const auto sector : sector_sizes) {
		if (!probe || ::blkid_probe_set_device(probe.get(), fd, 0, 0) != 0 ||
		    ::blkid_probe_set_sectorsize(probe.get(), sector) != 0)
			return failure(EIO, fmt::format("{}: libblkid cannot look at it.", path));
		(void)::blkid_probe_enable_partitions(probe.get(), 1);
		auto *list = ::blkid_probe_get_partitions(probe.get());
		if (!list || ::blkid_partlist_numof_partitions(list) == 0)
			continue;
		auto *partition =
			::blkid_partlist_get_partition_by_partno(list, static_cast<int>(number));
		if (!partition)
			return failure(
				ENOENT,
				fmt::format("The disk {} has {} partitions, and none with the "
					    "number {}.",
					    path, ::blkid_partlist_numof_partitions(list), number));
		const auto start = ::blkid_partition_get_start(partition);
		const auto size = ::blkid_partition_get_size(partition);
		constexpr std::uint64_t unit = 512;
		if (start < 0 || size <= 0 ||
		    static_cast<std::uint64_t>(start) > disk_bytes / unit ||
		    static_cast<std::uint64_t>(size) >
			    disk_bytes / unit - static_cast<std::uint64_t>(start))
			return failure(
				EBADMSG,
				fmt::format("Partition {} of the disk {} does not lie within "
					    "the disk.",
					    number, path));
		return std::pair{static_cast<std::uint64_t>(start) * unit,
				 static_cast<std::uint64_t>(size) * unit};
	}
	return failure(ENOENT,
		       fmt::format("The disk {} has no table of partitions (GPT or MBR) that "
				   "is whole.",
				   path));
}

} /* namespace */

Result<std::pair<std::uint64_t, std::uint64_t>>
find_partition(const std::string &path, const std::string &kind, unsigned number)
{
	const auto opened = CORBEL_EXPECT(open_disk(path));

	if (number == 0 || number > INT32_MAX)
		return failure(EINVAL, "Partitions have numbers from 1 on.");
	if (kind != "qcow2 file")
		return partition_of(opened.fd.get(), path, opened.bytes, number);
	const auto image = CORBEL_EXPECT(
		Qcow2::open(bytes_of_file(opened.fd.get(), path, opened.bytes), path));
	const auto fd = CORBEL_EXPECT(Copy::of(image)).fd();
	return partition_of(fd.get(), path, image.bytes(), number);
}

} /* namespace corbel::extents */
