// SPDX-License-Identifier: GPL-2.0-or-later
#include "private_file.hh"

#include <libcorbel/whole_io.hh>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include <fmt/format.h>

namespace corbel::trust {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_file = std::size_t{1} << 20;

std::unexpected<Error> cannot(const char *what, const fs::path &file, int number)
{
	return failure(number, fmt::format("{} cannot be {}: {}.", file.string(), what,
					   describe_errno(number)));
}

Result<void> check_owner(const fs::path &path, const struct stat &status, const char *right_mode)
{
	if (status.st_uid != ::geteuid())
		return failure(EACCES,
			       fmt::format("{} belongs to user {}, and whoever uses it is "
					   "user {}: see who put it there, then `chown` it.",
					   path.string(), status.st_uid, ::geteuid()));
	if (status.st_mode & 077)
		return failure(EACCES,
			       fmt::format("{} has mode {:04o}, so that others may have read or "
					   "changed it: see whether they did, then `chmod {}` it.",
					   path.string(), status.st_mode & 07777, right_mode));
	return {};
}

Result<void> sync_folder(const fs::path &folder)
{
	const ScopedFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (!fd || ::fsync(fd.get()) != 0)
		return cannot("put on stable storage", folder, errno);
	return {};
}

Result<void> write_all(int fd, std::string_view bytes, const fs::path &file)
{
	if (const int error = write_whole(fd, bytes))
		return cannot("written", file, error);
	return {};
}

fs::path parent_of(const fs::path &path)
{
	return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

} /* namespace */

Result<std::string> read_private(const fs::path &file)
{
	const ScopedFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	struct stat status{};
	std::string text;

	if (!fd || ::fstat(fd.get(), &status) != 0)
		return cannot("read", file, errno);
	if (!S_ISREG(status.st_mode))
		return failure(EINVAL, fmt::format("{} is not a file.", file.string()));
	CORBEL_EXPECT(check_owner(file, status, "600"));
	if (static_cast<std::size_t>(status.st_size) > longest_file)
		return failure(EUCLEAN, fmt::format("{} is damaged: it has {} bytes.",
						    file.string(), status.st_size));
	text.resize(static_cast<std::size_t>(status.st_size));
	for (std::size_t at = 0; at < text.size();) {
		const auto got = ::read(fd.get(), text.data() + at, text.size() - at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return cannot("read", file, got < 0 ? errno : EIO);
		at += static_cast<std::size_t>(got);
	}
	return text;
}

Result<void> check_private_folder(const fs::path &folder)
{
	struct stat status{};

	if (::lstat(folder.c_str(), &status) != 0)
		return cannot("read", folder, errno);
	if (!S_ISDIR(status.st_mode))
		return failure(ENOTDIR, fmt::format("{} is not a folder.", folder.string()));
	return check_owner(folder, status, "700");
}

Result<void> replace_private(const fs::path &file, std::string_view bytes, const Step &step)
{
	const fs::path made = file.string() + ".new";

	step();
	/* Of one who was killed here. */
	if (::unlink(made.c_str()) != 0 && errno != ENOENT)
		return cannot("removed", made, errno);
	step();
	const ScopedFd fd(
		::open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (!fd)
		return cannot("made", made, errno);
	step();
	CORBEL_EXPECT(write_all(fd.get(), bytes, made));
	step();
	if (::fsync(fd.get()) != 0)
		return cannot("put on stable storage", made, errno);
	step();
	if (::rename(made.c_str(), file.c_str()) != 0)
		return cannot("put in place", file, errno);
	step();
	return sync_folder(parent_of(file));
}

Result<FolderInTheMaking> FolderInTheMaking::begin(const fs::path &folder, const Step &step)
{
	FolderInTheMaking made;

	made.place_ = folder.has_filename() ? folder : folder.parent_path();
	made.path_ = made.place_.string() + ".new";
	step();
	if (::mkdir(made.path_.c_str(), 0700) != 0 && errno != EEXIST)
		return cannot("made", made.path_, errno);
	CORBEL_EXPECT(check_private_folder(made.path_));
	made.lock_ = ScopedFd(::open(made.path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (!made.lock_ || ::flock(made.lock_.get(), LOCK_EX | LOCK_NB) != 0)
		return failure(EBUSY, fmt::format("{} is being made by another process: wait until "
						  "that has ended.",
						  folder.string()));
	/* Whoever had the lock may just have put the folder in its place. */
	struct stat locked{}, named{};
	if (::fstat(made.lock_.get(), &locked) != 0 || ::lstat(made.path_.c_str(), &named) != 0 ||
	    locked.st_ino != named.st_ino)
		return failure(EEXIST, fmt::format("{} has just been made by another process.",
						   folder.string()));
	std::error_code error;
	for (const auto &left : fs::directory_iterator(made.path_, error)) {
		step();
		if (!fs::remove(left.path(), error))
			return cannot("removed", left.path(), error.value());
	}
	return made;
}

Result<void> FolderInTheMaking::finish(const Step &step)
{
	step();
	CORBEL_EXPECT(sync_folder(path_));
	step();
	/* Takes the place of an empty folder only. */
	if (::rename(path_.c_str(), place_.c_str()) != 0) {
		if (errno != EEXIST && errno != ENOTEMPTY)
			return cannot("put in place", place_, errno);
		return failure(EEXIST, fmt::format("{} is there already.", place_.string()));
	}
	step();
	return sync_folder(parent_of(place_));
}

Result<ScopedFd> lock_folder(const fs::path &folder)
{
	ScopedFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (!fd)
		return cannot("read", folder, errno);
	while (::flock(fd.get(), LOCK_EX) != 0)
		if (errno != EINTR)
			return cannot("locked", folder, errno);
	return fd;
}

} /* namespace corbel::trust */
