// SPDX-License-Identifier: GPL-2.0-or-later
/* That changes are told. Where the kernel does not let us hear of them, periods are left. */
#include "result.hh"
#include "temporary_folder.hh"
#include "wait_until.hh"

#include "../extents/source.hh"
#include "../extents/watch.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {

using namespace corbel;
using namespace corbel::extents;
using namespace corbel::test;
using namespace std::chrono_literals;

class ExtentsWatch : public testing::Test {
protected:
	void SetUp() override
	{
		append(64);
		/* tmpfs, overlayfs: the bench has a test on those that do (userspace/tests/extents). */
		if (!read_source(kernel_devices(), path(), true, Format::raw))
			GTEST_SKIP() << "the file system of " << folder.path()
				     << " does not tell where a file lies";
	}
	[[nodiscard]] std::string path() const { return folder.path() / "disk"; }
	void append(std::size_t blocks)
	{
		std::ofstream(path(), std::ios::binary | std::ios::app)
			<< std::string(blocks * 4096, 'x');
	}
	Watch::Changed count()
	{
		return [this](const std::string &which) {
			EXPECT_EQ(which, path());
			told++;
		};
	}
	/* It is told once more than before. */
	bool told_of(const std::function<void()> &change)
	{
		const int before = told;

		change();
		return wait_until([&] { return told > before; });
	}

	TemporaryFolder folder;
	std::atomic<int> told = 0;
};

TEST_F(ExtentsWatch, what_grows_shrinks_or_goes_is_told)
{
	Watch watch(50ms, count());

	must(watch.add(path()));
	must(watch.add(path()));
	EXPECT_TRUE(told_of([&] { append(64); }));
	EXPECT_TRUE(told_of([&] { std::filesystem::resize_file(path(), 8192); }));
	EXPECT_TRUE(told_of([&] { std::filesystem::remove(path()); }));
	EXPECT_TRUE(told_of([&] { append(8); }));
	/* What is the same, is not. */
	(void)must(read_source(kernel_devices(), path(), true, Format::raw));
	EXPECT_TRUE(wait_until([&, before = told.load()]() mutable {
		const auto began = std::chrono::steady_clock::now();
		while (std::chrono::steady_clock::now() < began + 300ms)
			std::this_thread::sleep_for(10ms);
		return std::exchange(before, told.load()) == told;
	}));
}

/* Without a period, so it is the kernel that tells. */
TEST_F(ExtentsWatch, the_kernel_tells_of_what_is_written)
{
	Watch watch(24h, count());

	must(watch.add(path()));
	EXPECT_TRUE(told_of([&] { append(64); }));
	EXPECT_TRUE(told_of([&] { std::filesystem::resize_file(path(), 4096); }));
}

TEST_F(ExtentsWatch, one_that_is_told_may_add_and_remove)
{
	std::unique_ptr<Watch> watch;
	std::atomic<int> again = 0;

	watch = std::make_unique<Watch>(20ms, [&](const std::string &which) {
		watch->remove(which);
		must(watch->add(which));
		again++;
	});
	must(watch->add(path()));
	append(8);
	EXPECT_TRUE(wait_until([&] { return again > 0; }));
	const int before = again;
	std::filesystem::resize_file(path(), 4096);
	EXPECT_TRUE(wait_until([&] { return again > before; }));
	/* It ends while there is something to tell. */
	append(8);
	watch.reset();
}

TEST_F(ExtentsWatch, nobody_is_told_of_what_was_removed)
{
	const auto other = folder.path() / "other";
	std::atomic<int> of_other = 0;
	Watch watch(20ms, [&](const std::string &which) {
		EXPECT_EQ(which, other.string());
		of_other++;
	});

	std::filesystem::copy_file(path(), other);
	must(watch.add(path()));
	must(watch.add(other));
	watch.remove(path());
	append(64);
	std::filesystem::resize_file(other, 4096);
	EXPECT_TRUE(wait_until([&] { return of_other > 0; }));
}

TEST_F(ExtentsWatch, what_is_not_there_is_refused)
{
	Watch watch(1h, count());

	EXPECT_EQ(error_of(watch.add("/none")), ENOENT);
	EXPECT_EQ(error_of(watch.add("/dev/null")), ENOTBLK);
	watch.remove("/none");
}

} /* namespace */
