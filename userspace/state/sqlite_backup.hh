/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sqlite_backup.hh - copies of the state of a host, made while it is used. */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <functional>
#include <string>

namespace corbel::state {

/*
 * The state in file @from as it is at one moment; @to is made, or written over, and is on
 * stable storage then. @go_on: how many pages are done of how many; false: ECANCELED.
 */
[[nodiscard]] Result<void>
copy_sqlite_state(const std::string &from, const std::string &to,
		  const std::function<bool(std::uint64_t done, std::uint64_t total)> &go_on);

/* On stable storage and in one file, with nothing beside it; nobody has it open. */
[[nodiscard]] Result<void> sync_sqlite_state(const std::string &path);

/* EUCLEAN, EINVAL, ENOENT: @path is not a whole state that this version can take. */
[[nodiscard]] Result<void> check_sqlite_state(const std::string &path);

} /* namespace corbel::state */
