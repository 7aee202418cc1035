/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * warnings.hh - what the daemon warns of beyond a job: kept until it is cleared.
 *
 * The same words again are counted. Called from any thread; blocks on the store.
 */
#pragma once

#include "../jobs/job.hh"
#include "../state/store.hh"

#include <functional>
#include <string>
#include <vector>

namespace corbel::daemon {

class Warnings {
public:
	explicit Warnings(state::Store &store) : store_(store) {}

	/* Is logged, too. What the store has no room for is logged only. */
	void add(jobs::Severity severity, const std::string &text);
	/* The last seen first. */
	[[nodiscard]] Result<std::vector<jobs::Warning>> list();

private:
	[[nodiscard]] Result<void> keep(jobs::Severity severity, const std::string &text);

	state::Store &store_;
};

} /* namespace corbel::daemon */
