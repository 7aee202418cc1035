// SPDX-License-Identifier: GPL-2.0-or-later
#include "sqlite_backup.hh"

#include "sqlite.hh"
#include "sqlite_store.hh"

#include <libcorbel/scoped_fd.hh>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace corbel::state {

namespace {

Result<void> check_there(const std::string &path)
{
	if (::access(path.c_str(), R_OK) == 0)
		return {};
	return failure(errno, fmt::format("{}: {}.", path, describe_errno(errno)));
}

} /* namespace */

Result<void>
copy_sqlite_state(const std::string &from, const std::string &to,
		  const std::function<bool(std::uint64_t done, std::uint64_t total)> &go_on)
{
	CORBEL_EXPECT(check_there(from));
	{
		const auto source = CORBEL_EXPECT(Database::open(from));
		const auto target = CORBEL_EXPECT(Database::open(to));

		CORBEL_EXPECT(source.copy_to(target, go_on));
	}
	return sync_sqlite_state(to);
}

Result<void> sync_sqlite_state(const std::string &path)
{
	CORBEL_EXPECT(CORBEL_EXPECT(Database::open(path)).execute("PRAGMA journal_mode = DELETE"));
	const ScopedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
	if (!file || ::fsync(file.get()) != 0)
		return failure(errno, fmt::format("{}: {}.", path, describe_errno(errno)));
	return {};
}

Result<void> check_sqlite_state(const std::string &path)
{
	CORBEL_EXPECT(check_there(path));
	const auto store = CORBEL_EXPECT(open_sqlite_store(CORBEL_EXPECT(options_for(path))));
	CORBEL_EXPECT(store->version());
	return {};
}

} /* namespace corbel::state */
