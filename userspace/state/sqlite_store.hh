/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sqlite_store.hh - the state of one host, in a SQLite file.
 *
 * Write-ahead log, synchronous=FULL, foreign keys on. A commit is on stable storage when
 * it returns; a process or a host that dies in the middle of one leaves the state before
 * it. Several processes may have the file open.
 */
#pragma once

#include "store.hh"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace corbel::state {

struct SqliteOptions {
	std::string path;
	/* Versions whose changes are kept for changes(). */
	Version kept_versions = 10000;
	/* Time since @boot_id came to be; suspend counts. Leases do not outlast a boot. */
	std::function<std::chrono::milliseconds()> now;
	std::string boot_id;
};

/* The same with the clock and the id of this host. */
[[nodiscard]] Result<SqliteOptions> options_for(std::string path);

/*
 * Makes the file if there is none, and brings one of an older version up to date. Refused:
 * EUCLEAN for a damaged file, EINVAL for one of another program, EPROTO for one of a newer
 * version; none of them is touched.
 */
[[nodiscard]] Result<std::unique_ptr<Store>> open_sqlite_store(SqliteOptions options);

} /* namespace corbel::state */
