/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main function of every unit test program: GoogleTest that prints TAP, one
 * point a case. A program that ran no case fails.
 */
#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>
#include <string>

namespace {

void print_comment(const std::string &text)
{
	std::istringstream lines(text);

	for (std::string line; std::getline(lines, line);)
		std::printf("# %s\n", line.c_str());
}

class TapPrinter : public testing::EmptyTestEventListener {
	void OnTestProgramStart(const testing::UnitTest &) override
	{
		std::printf("TAP version 13\n");
	}

	void OnTestIterationStart(const testing::UnitTest &program, int) override
	{
		std::printf("1..%d\n", program.test_to_run_count());
		std::fflush(stdout);
	}

	void OnTestPartResult(const testing::TestPartResult &part) override
	{
		if (part.skipped()) {
			skip_reason_ = part.message();
			return;
		}
		if (!part.failed())
			return;
		print_comment(std::string(part.file_name() ? part.file_name() : "?") + ":" +
			      std::to_string(part.line_number()) + ":");
		print_comment(part.message());
	}

	void OnTestEnd(const testing::TestInfo &test) override
	{
		const auto &result = *test.result();

		for (int i = 0; i < result.test_property_count(); i++)
			std::printf("# %s: %s\n", result.GetTestProperty(i).key(),
				    result.GetTestProperty(i).value());
		std::printf("%sok %d %s.%s%s%s\n", result.Failed() ? "not " : "", ++number_,
			    test.test_suite_name(), test.name(), result.Skipped() ? " # SKIP " : "",
			    result.Skipped() ? skip_reason_.c_str() : "");
		/* Whatever crashes next must not take this line with it. */
		std::fflush(stdout);
	}

	int number_ = 0;
	std::string skip_reason_;
};

} // namespace

int main(int argc, char **argv)
{
	testing::InitGoogleTest(&argc, argv);

	auto &listeners = testing::UnitTest::GetInstance()->listeners();
	delete listeners.Release(listeners.default_result_printer());
	listeners.Append(new TapPrinter);

	const int status = RUN_ALL_TESTS();
	if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
		std::printf("Bail out! no test ran\n");
		return 1;
	}
	return status;
}
