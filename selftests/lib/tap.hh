/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test Anything Protocol, as kselftest prints and reads it.
 *
 * A program is a table of cases. Each case is a function that returns when it
 * passed and throws when it did not: CHECK() throws `failure`, skip() throws
 * `skipped`. So a case reads top to bottom, its guards clean up on the way out,
 * and a program that ran no case cannot report success.
 *
 * Exit codes are kselftest's: 0 passed, 1 failed, 4 all skipped.
 */
#pragma once

#include <fmt/core.h>

#include <span>
#include <stdexcept>
#include <string>

namespace corbel::selftest {

inline constexpr int exit_pass = 0;
inline constexpr int exit_fail = 1;
inline constexpr int exit_skip = 4;

struct test_case {
	const char *name;
	void (*run)();
};

struct failure : std::runtime_error {
	using std::runtime_error::runtime_error;
};

struct skipped : std::runtime_error {
	using std::runtime_error::runtime_error;
};

/* One `# ...` line for each line of the text; safe from any thread. */
void print_comment(const std::string &text);

template <typename... Args>
void comment(fmt::format_string<Args...> format, Args &&...args)
{
	print_comment(fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
[[noreturn]] void skip(fmt::format_string<Args...> format, Args &&...args)
{
	throw skipped(fmt::format(format, std::forward<Args>(args)...));
}

/*
 * Runs the cases named on the command line, all if none is, then looks through
 * what the kernel logged meanwhile: a splat is a failed case of its own.
 */
int run_cases(int argc, char **argv, std::span<const test_case> cases);

} // namespace corbel::selftest

/* Fails the running case with the place and a sentence that holds the values. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			throw ::corbel::selftest::failure(                                         \
				fmt::format("{}:{}: {}: {}", __FILE_NAME__, __LINE__, #condition,  \
					    fmt::format(__VA_ARGS__)));                            \
	} while (0)

/* Integers only: prints both sides. */
#define CHECK_EQ(got, want, ...)                                                                   \
	do {                                                                                       \
		auto got_ = (got);                                                                 \
		auto want_ = static_cast<decltype(got_)>(want);                                    \
		if (got_ != want_)                                                                 \
			throw ::corbel::selftest::failure(fmt::format(                             \
				"{}:{}: {} is {}, not {}: {}", __FILE_NAME__, __LINE__, #got,      \
				got_, want_, fmt::format(__VA_ARGS__)));                           \
	} while (0)
