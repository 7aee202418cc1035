// SPDX-License-Identifier: GPL-2.0-or-later
#include "instruction_clock.hh"
#include "file.hh"
#include "guest.hh"
#include "tap.hh"

#include <algorithm>

namespace corbel::selftest {

double ticks_of_an_instruction()
{
	constexpr uint64_t rounds = 200'000;
	double least = 1e9, most = 0;

	for (unsigned i = 0; i < 20; i++) {
		uint64_t count = rounds;
		const uint64_t begin = guest::read_tsc();

		asm volatile("1: dec %0; jnz 1b" : "+r"(count));
		const double ticks = static_cast<double>(guest::read_tsc() - begin) / (2 * rounds);
		least = std::min(least, ticks);
		most = std::max(most, ticks);
	}
	if (environment("CORBEL_LANE") != "count" && most > least * 1.02)
		skip("the time stamp counter does not count instructions here: {:.2f} to {:.2f} ticks each",
		     least, most);
	return least;
}

} // namespace corbel::selftest
