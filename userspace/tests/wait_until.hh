/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wait_until.hh - for what other threads bring about. */
#pragma once

#include <chrono>
#include <thread>

namespace corbel::test {

/* Whether @holds came to be true; a minute is only for those that never do. */
template <typename Condition>
bool wait_until(Condition holds)
{
	const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);

	while (!holds()) {
		if (std::chrono::steady_clock::now() > until)
			return false;
		std::this_thread::sleep_for(std::chrono::milliseconds(1));
	}
	return true;
}

} /* namespace corbel::test */
