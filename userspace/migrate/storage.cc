// SPDX-License-Identifier: GPL-2.0-or-later
#include "storage.hh"

#include "../volumes/mapper.hh"

#include <libcorbel/number.hh>

#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <map>

#include <fmt/format.h>

namespace corbel::migrate {

namespace {

constexpr std::string_view disk_prefix = "disk:", volume_prefix = "/dev/mapper/corbel-";
constexpr std::size_t bridge_buffer = std::size_t{256} << 10;

std::string folder_of(const std::string &path)
{
	const auto folder = std::filesystem::path(path).parent_path();

	return folder.empty() ? "." : folder.string();
}

std::string own_name(const MadeDisk &disk, const std::string &session)
{
	return fmt::format("{}.coming-{}", disk.path, session);
}

bool is_absent(const std::string &path)
{
	struct stat facts{};

	return ::lstat(path.c_str(), &facts) != 0 && errno == ENOENT;
}

/* Until nothing more comes, or nobody takes it. */
void carry(int from, int to)
{
	std::vector<char> buffer(bridge_buffer);

	for (;;) {
		const auto count = ::read(from, buffer.data(), buffer.size());
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		for (ssize_t done = 0; done < count;) {
			const auto written =
				::send(to, buffer.data() + done,
				       static_cast<std::size_t>(count - done), MSG_NOSIGNAL);
			if (written < 0 && errno == EINTR)
				continue;
			if (written <= 0) {
				::shutdown(from, SHUT_RD);
				return;
			}
			done += written;
		}
	}
	::shutdown(to, SHUT_WR);
}

} /* namespace */

std::optional<pool::VolumeName> volume_at(const std::string &path)
{
	if (!path.starts_with(volume_prefix))
		return std::nullopt;
	const auto rest = path.substr(volume_prefix.size());
	const auto dash = rest.find('-');
	if (dash == rest.npos)
		return std::nullopt;
	pool::VolumeName name{rest.substr(0, dash), rest.substr(dash + 1)};
	if (!pool::is_pool_name(name.pool) || !pool::is_volume_name(name.volume))
		return std::nullopt;
	return name;
}

std::vector<std::uint32_t> disks_to_come(const Wish &wish)
{
	std::vector<std::uint32_t> numbers;

	for (std::size_t i = 0; wish.storage && i < wish.disks.size(); i++)
		if (is_absent(wish.disks[i].path))
			numbers.push_back(static_cast<std::uint32_t>(i));
	return numbers;
}

std::vector<std::string> storage_obstacles(const Wish &wish, VolumeDisks *volumes)
{
	struct Need {
		std::uint64_t bytes = 0, free = 0;
		std::string folder;
	};
	std::vector<std::string> found;
	std::map<dev_t, Need> needs;
	std::vector<DiskIdentity> of_pools;

	for (const auto number : disks_to_come(wish)) {
		const auto &[path, size, identity] = wish.disks[number];
		const auto folder = folder_of(path);
		struct stat facts{};
		struct statvfs space{};

		if (number >= wish.vm.disks.size() || wish.vm.disks[number].path != path) {
			found.push_back(fmt::format("{} is no disk of the VM.", path));
			continue;
		}
		const auto &disk = wish.vm.disks[number];
		/* corbel-qos-LUN is a LUN under QoS. */
		const bool is_volume = identity.starts_with(volumes::uuid_prefix) &&
				       !identity.starts_with(volumes::lun_uuid_prefix) &&
				       volume_at(path);
		if (disk.read_only)
			found.push_back(fmt::format("{} is not there, and is not moved along as "
						    "the VM may only read it: copy it there.",
						    path));
		else if (!is_volume && !identity.starts_with("file "))
			found.push_back(fmt::format("{} is not there, and is not moved along as it "
						    "is a device, and no volume of a pool: give "
						    "the VM one there that both hosts reach, or "
						    "have its disk in a file or a volume.",
						    path));
		else if (disk.format != "raw")
			found.push_back(
				fmt::format("{} is not there, and is not moved along as its "
					    "format is {}: with the VM stopped, copy it to "
					    "a path that both hosts have, or make a raw one "
					    "of it by `qemu-img convert -O raw`.",
					    path, disk.format));
		if (is_volume) {
			of_pools.push_back(wish.disks[number]);
			continue;
		}
		if (::stat(folder.c_str(), &facts) != 0 || !S_ISDIR(facts.st_mode) ||
		    ::statvfs(folder.c_str(), &space) != 0) {
			found.push_back(
				fmt::format("There is no folder {} for its disk there.", folder));
			continue;
		}
		auto &need = needs[facts.st_dev];
		need.bytes += size;
		need.free = std::uint64_t{space.f_bavail} * space.f_frsize;
		need.folder = folder;
	}
	if (!of_pools.empty() && !volumes)
		found.push_back("Its disks are volumes, and there are no pools there.");
	else if (!of_pools.empty())
		std::ranges::move(volumes->obstacles(of_pools), std::back_inserter(found));
	for (const auto &[device, need] : needs)
		if (need.bytes > need.free)
			found.push_back(fmt::format("Its disks take {} MiB in {}, where {} MiB are "
						    "free.",
						    need.bytes >> 20, need.folder,
						    need.free >> 20));
	return found;
}

Result<void> make_disk(MadeDisk &disk, const std::string &session, std::uint64_t size,
		       const std::function<Result<void>()> &keep, VolumeDisks *volumes)
{
	if (volumes && volume_at(disk.path))
		return volumes->make(disk, session, size, keep);
	const auto name = own_name(disk, session);
	const ScopedFd file(
		::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
	struct stat facts{};
	const auto failed = [&](int number) {
		return failure(number, fmt::format("The disk {} ({} MiB) cannot be made there: {}.",
						   disk.path, size >> 20, describe_errno(number)));
	};

	if (!file)
		return failed(errno);
	if (const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size)))
		return failed(error);
	if (::fstat(file.get(), &facts) != 0)
		return failed(errno);
	disk.inode = facts.st_ino;
	CORBEL_EXPECT(keep());
	if (::renameat2(AT_FDCWD, name.c_str(), AT_FDCWD, disk.path.c_str(), RENAME_NOREPLACE) != 0)
		return failed(errno);
	return {};
}

Result<void> remove_disk(const MadeDisk &disk, const std::string &session, VolumeDisks *volumes)
{
	if (volumes && volume_at(disk.path))
		return volumes->remove(disk, session);
	const auto remove = [](const std::string &path) -> Result<void> {
		if (::unlink(path.c_str()) == 0 || errno == ENOENT)
			return {};
		return failure(errno, fmt::format("{} cannot be removed: {}.", path,
						  describe_errno(errno)));
	};
	struct stat facts{};

	CORBEL_EXPECT(remove(own_name(disk, session)));
	if (disk.inode == 0 || ::lstat(disk.path.c_str(), &facts) != 0 ||
	    facts.st_ino != disk.inode)
		return {};
	return remove(disk.path);
}

Bridge::Bridge(ScopedFd one, ScopedFd other)
	: one_(std::move(one)),
	  other_(std::move(other)),
	  there_([this] { carry(one_.get(), other_.get()); }),
	  back_([this] { carry(other_.get(), one_.get()); })
{}

Bridge::~Bridge()
{
	::shutdown(one_.get(), SHUT_RDWR);
	::shutdown(other_.get(), SHUT_RDWR);
}

Result<void> end_if_silent(int fd)
{
	const auto set = [&](int level, int name, int value) {
		return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0;
	};

	if (set(SOL_SOCKET, SO_KEEPALIVE, 1) && set(IPPROTO_TCP, TCP_KEEPIDLE, 5) &&
	    set(IPPROTO_TCP, TCP_KEEPINTVL, 5) && set(IPPROTO_TCP, TCP_KEEPCNT, 3) &&
	    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 20000))
		return {};
	return failure(errno,
		       fmt::format("A connection cannot be watched: {}.", describe_errno(errno)));
}

std::string use_of_disk(std::uint32_t number)
{
	return fmt::format("{}{}", disk_prefix, number);
}

std::optional<std::uint32_t> disk_of_use(std::string_view use)
{
	if (!use.starts_with(disk_prefix))
		return std::nullopt;
	use.remove_prefix(disk_prefix.size());
	return number_of<std::uint32_t>(use);
}

} /* namespace corbel::migrate */
