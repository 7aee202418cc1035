// SPDX-License-Identifier: GPL-2.0-or-later
#include "backup_job.hh"

#include "../jobs/engine.hh"
#include "../state/sqlite_backup.hh"
#include "../state/sqlite_store.hh"

#include <libcorbel/scoped_fd.hh>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

namespace corbel::daemon {

namespace {

using jobs::Json;
using jobs::Work;

std::unexpected<Error> failed(const std::string &path)
{
	return failure(errno, fmt::format("{}: {}.", path, describe_errno(errno)));
}

std::string file_of(const Json &argument)
{
	return argument.at("file").get<std::string>();
}

std::string folder_of(const std::string &file)
{
	return std::filesystem::path(file).parent_path();
}

Result<void> check(const Json &argument)
{
	const auto file = file_of(argument);
	struct stat status{};

	if (::lstat(file.c_str(), &status) == 0)
		return failure(EEXIST, fmt::format("{} exists: name a file that does not, or move "
						   "this one away.",
						   file));
	if (errno != ENOENT && errno != ENOTDIR)
		return failed(file);
	if (::access(folder_of(file).c_str(), W_OK | X_OK) != 0)
		return failed(folder_of(file));
	return {};
}

/* The one name that no other job has. */
Result<void> name(Work &work)
{
	std::uint64_t number = 0;

	if (::getrandom(&number, sizeof(number), 0) != sizeof(number))
		return failed("getrandom");
	work.data()["part"] = fmt::format("{}.{:016x}.part", file_of(work.argument()), number);
	return {};
}

Result<void> copy(Work &work, const std::string &state)
{
	return state::copy_sqlite_state(state, work.data().at("part"),
					[&](std::uint64_t done, std::uint64_t total) {
						work.progress(done, total, "pages");
						return !work.interrupted();
					});
}

/* Whoever starts on the copy must not find the job that makes it. */
Result<void> verify(Work &work)
{
	const auto part = work.data().at("part").get<std::string>();

	CORBEL_EXPECT(state::check_sqlite_state(part));
	auto store =
		CORBEL_EXPECT(state::open_sqlite_store(CORBEL_EXPECT(state::options_for(part))));
	const auto erased = jobs::erase_job(*store, work.id());
	if (!erased && erased.error().number != ENOENT)
		return erased;
	store.reset();
	return state::sync_sqlite_state(part);
}

/* SQLite keeps others beside it while it is open. */
Result<void> remove(Work &work)
{
	const auto part = work.data().value("part", std::string());

	if (part.empty())
		return {};
	for (const char *suffix : {"", "-journal", "-wal", "-shm"})
		if (::unlink((part + suffix).c_str()) != 0 && errno != ENOENT)
			return failed(part + suffix);
	return {};
}

/* One who died after the renaming finds nothing left to rename. */
Result<void> publish(Work &work)
{
	const auto part = work.data().at("part").get<std::string>();
	const auto file = file_of(work.argument());
	const ScopedFd folder(::open(folder_of(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct stat status{};

	if (::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, file.c_str(), RENAME_NOREPLACE) != 0) {
		const int number = errno;

		if (number == EEXIST)
			return failure(EEXIST, fmt::format("{} has come to be meanwhile: move it "
							   "away.",
							   file));
		if (number != ENOENT || ::lstat(file.c_str(), &status) != 0) {
			errno = number;
			return failed(file);
		}
	}
	if (!folder || ::fsync(folder.get()) != 0)
		return failed(folder_of(file));
	return {};
}

} /* namespace */

jobs::JobKind backup_job(std::string state)
{
	return {.name = backup_kind,
		.steps = {{.name = "name", .run = name},
			  {.name = "copy",
			   .run = [state = std::move(state)](
					  Work &work) { return copy(work, state); },
			   .undo = remove},
			  {.name = "verify", .run = verify},
			  {.name = "publish", .run = publish}},
		.commit = 3,
		.check = check};
}

} /* namespace corbel::daemon */
