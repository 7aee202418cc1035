// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap.hh"
#include "kernel_log.hh"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <vector>

namespace corbel::selftest {

namespace {

std::mutex output;

std::string one_line(std::string text)
{
	std::ranges::replace(text, '\n', ' ');
	return text;
}

struct tally {
	unsigned number = 0;
	unsigned failed = 0;
	unsigned skipped = 0;

	void report(bool passed, const std::string &rest)
	{
		std::lock_guard lock(output);

		fmt::print("{} {} {}\n", passed ? "ok" : "not ok", ++number, rest);
		std::fflush(stdout);
		if (!passed)
			failed++;
	}
};

void run_case(tally &results, const test_case &test)
{
	try {
		test.run();
		results.report(true, test.name);
	} catch (const skipped &reason) {
		results.skipped++;
		results.report(true,
			       fmt::format("{} # SKIP {}", test.name, one_line(reason.what())));
	} catch (const std::exception &error) {
		print_comment(error.what());
		results.report(false, test.name);
	}
}

} // namespace

void print_comment(const std::string &text)
{
	std::lock_guard lock(output);
	size_t start = 0;

	while (start <= text.size()) {
		size_t end = std::min(text.find('\n', start), text.size());

		fmt::print("# {}\n", text.substr(start, end - start));
		start = end + 1;
	}
	std::fflush(stdout);
}

int run_cases(int argc, char **argv, std::span<const test_case> cases)
{
	std::vector<test_case> chosen;
	kernel_log log;
	tally results;

	for (const test_case &test : cases) {
		bool wanted = argc < 2;

		for (int i = 1; i < argc; i++)
			wanted |= !std::strcmp(argv[i], test.name);
		if (wanted)
			chosen.push_back(test);
	}

	fmt::print("TAP version 13\n1..{}\n", chosen.size() + 1);
	if (chosen.empty()) {
		fmt::print("Bail out! no such case\n");
		return exit_fail;
	}
	for (const test_case &test : chosen)
		run_case(results, test);

	std::string splat = log.find_splat();
	if (!splat.empty())
		print_comment(splat);
	results.report(splat.empty(), "no splat in the kernel log");

	fmt::print("# Totals: pass:{} fail:{} xfail:0 xpass:0 skip:{} error:0\n",
		   results.number - results.failed - results.skipped, results.failed,
		   results.skipped);
	std::fflush(stdout);
	if (results.failed)
		return exit_fail;
	return results.skipped == chosen.size() ? exit_skip : exit_pass;
}

} // namespace corbel::selftest
