/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policies.hh - policies by name. A change of one is a change of all budgets that are of it, on
 * every LUN, at once.
 *
 * Answers are what `corbel qos policy` prints. Called from any thread.
 */
#pragma once

#include "luns.hh"

namespace corbel::workloads {

class Policies {
public:
	explicit Policies(Luns &luns) : luns_(luns) {}

	/* All of them if @name is empty. */
	[[nodiscard]] Result<Json> show(const std::string &name);
	[[nodiscard]] Result<Json> put(const PolicyRecord &policy, bool dry_run);
	/* EBUSY: objects have it. */
	[[nodiscard]] Result<Json> erase(const std::string &name, bool dry_run);

private:
	[[nodiscard]] Result<void> tell(const PolicyRecord &policy,
					const std::vector<ObjectRecord> &users);

	Luns &luns_;
};

} /* namespace corbel::workloads */
