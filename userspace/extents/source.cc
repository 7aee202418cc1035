// SPDX-License-Identifier: GPL-2.0-or-later
#include "source.hh"

#include "qcow2.hh"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <string_view>

#include <fmt/format.h>

namespace corbel::extents {

namespace {

constexpr std::uint64_t sector = 512;
constexpr long xfs_magic = 0x58465342;

std::unexpected<Error> failed(const std::string &path)
{
	return failure(errno, fmt::format("{}: {}.", path, describe_errno(errno)));
}

/* Of xfs, data of some files may be on a device of its own, which FIEMAP does not tell. */
Result<void> check_realtime(int fd, const std::string &path)
{
	fsxattr attributes{};

	if (::ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0 &&
	    attributes.fsx_xflags & FS_XFLAG_REALTIME)
		return failure(EOPNOTSUPP, fmt::format("{} lies on the realtime device of its file "
						       "system, which is not followed.",
						       path));
	return {};
}

Result<void> find_devices(int fd, const std::string &path, Source &source)
{
	struct statfs system{};
	struct stat status{};

	if (::fstatfs(fd, &system) != 0 || ::fstat(fd, &status) != 0)
		return failed(path);
	if (system.f_type == EXT4_SUPER_MAGIC || system.f_type == xfs_magic) {
		CORBEL_EXPECT(check_realtime(fd, path));
		source.on.push_back({status.st_dev, {{0, 0, INT64_MAX}}});
		return {};
	}
	if (system.f_type != BTRFS_SUPER_MAGIC)
		return failure(EOPNOTSUPP,
			       fmt::format("{} is on a file system that does not tell where on its "
					   "device a file lies: ext4, xfs and btrfs do.",
					   path));
	auto chunks = CORBEL_EXPECT(read_chunks(fd, path));
	source.spread = std::move(chunks.spread);
	for (auto &[number, map] : chunks.copies)
		source.on.push_back(
			{CORBEL_EXPECT(btrfs_device(fd, path, number)), std::move(map)});
	return {};
}

class Digest {
public:
	template <typename T>
	void add(const std::vector<T> &values)
	{
		static_assert(std::is_trivially_copyable_v<T>);
		for (const auto &each : values)
			add(each);
		add(values.size());
	}
	void add(const Extent &extent) { add(extent.offset, extent.at, extent.bytes); }
	void add(const Piece &piece)
	{
		add(piece.where);
		add(piece.flags);
	}
	void add(std::string_view text) { add(std::hash<std::string_view>{}(text)); }
	template <typename... Numbers>
		requires(std::is_integral_v<Numbers> && ...)
	void add(Numbers... numbers)
	{
		/* boost::hash_combine's way of it. */
		((value_ ^= std::size_t{numbers} * 0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15 +
			    (value_ << 6) + (value_ >> 2)),
		 ...);
	}
	[[nodiscard]] std::size_t value() const { return value_; }

private:
	std::size_t value_ = 0;
};

} /* namespace */

Result<Opened> open_disk(const std::string &path)
{
	Opened opened{ScopedFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), 0, {}};
	struct stat status{};

	if (!opened.fd || ::fstat(opened.fd.get(), &status) != 0)
		return failed(path);
	if (S_ISBLK(status.st_mode)) {
		opened.device = status.st_rdev;
		if (::ioctl(opened.fd.get(), BLKGETSIZE64, &opened.bytes) != 0)
			return failed(path);
	} else if (S_ISREG(status.st_mode)) {
		opened.bytes = static_cast<std::uint64_t>(status.st_size);
	} else {
		return failure(ENOTBLK,
			       fmt::format("{} is neither a block device nor a file.", path));
	}
	return opened;
}

Result<Source> read_source(Devices &devices, const std::string &path, bool sync, Format format)
{
	const auto opened = CORBEL_EXPECT(open_disk(path));
	const auto bytes = bytes_of_file(opened.fd.get(), path, opened.bytes);
	Source source;

	source.is_file = !opened.device;
	if (format == Format::probe)
		format = source.is_file && Qcow2::is_one(bytes) ? Format::qcow2 : Format::raw;
	if (format == Format::qcow2) {
		const auto image = CORBEL_EXPECT(Qcow2::open(bytes, path));

		source.kind = "qcow2 file";
		source.bytes = image.bytes();
		source.has_backing = image.has_backing();
		source.wanted = CORBEL_EXPECT(image.clusters(source.tally));
	} else {
		source.kind = source.is_file
				      ? "raw file"
				      : CORBEL_EXPECT(kind_of_device(devices, *opened.device));
		source.bytes = opened.bytes;
		source.wanted = {{0, 0, (opened.bytes + sector - 1) / sector * sector}};
	}
	/* Behind the tables, so that what they lead to was there when it was asked for. */
	if (source.is_file) {
		source.pieces = CORBEL_EXPECT(read_pieces(opened.fd.get(), path, sync));
		CORBEL_EXPECT(find_devices(opened.fd.get(), path, source));
	} else {
		source.on.push_back({*opened.device, {{0, 0, opened.bytes}}});
	}
	return source;
}

Seen digest(Devices &devices, const Source &source)
{
	Digest digest;
	bool on_pool = false;

	digest.add(source.kind);
	digest.add(source.bytes);
	digest.add(source.wanted);
	digest.add(source.pieces);
	digest.add(source.spread);
	for (const auto &each : source.on) {
		const auto chain = describe_chain(devices, each.device);

		on_pool |= chain.on_pool;
		digest.add(chain.text);
		digest.add(each.map);
	}
	for (const auto bytes : source.tally)
		digest.add(bytes);
	return {digest.value(), on_pool};
}

Result<Layout> place_source(Devices &devices, const Source &source, const std::string &path,
			    const std::string &lun, dev_t lun_number)
{
	Layout layout{source.kind, source.bytes, {}, {}};
	auto tally = source.tally;
	const auto addresses =
		source.is_file ? CORBEL_EXPECT(place_in_file(source.wanted, source.pieces, tally))
			       : source.wanted;
	std::uint64_t placed = 0;
	bool anywhere = false;

	if (!CORBEL_EXPECT(through(addresses, source.spread)).empty())
		return failure(
			EOPNOTSUPP,
			fmt::format("{} lies in stripes over the devices of a btrfs (RAID0, 5, "
				    "6 or 10), which is not followed: single, DUP and RAID1 "
				    "are. `btrfs balance start -dconvert=single` changes it.",
				    path));
	for (const auto &each : source.on) {
		const auto map = CORBEL_EXPECT(place_device(devices, each.device, lun_number));
		const auto there = CORBEL_EXPECT(through(addresses, each.map));
		const auto here = CORBEL_EXPECT(through(there, map));

		anywhere |= !map.empty();
		placed += bytes_of(there);
		if (layout.extents.size() + here.size() > most_extents)
			return too_many_extents();
		layout.extents.insert(layout.extents.end(), here.begin(), here.end());
	}
	if (!anywhere)
		return failure(ENXIO,
			       fmt::format("{} does not lie on {}: nothing of {} does.", path, lun,
					   source.is_file ? "its file system" : "the device"));
	of(tally, Why::elsewhere) += placed - bytes_of(layout.extents);
	layout.extents = joined(std::move(layout.extents));
	layout.remarks = in_words(tally);
	if (source.has_backing)
		layout.remarks.emplace_back("What was never written is read from a backing file, "
					    "which is not followed.");
	return layout;
}

} /* namespace corbel::extents */
