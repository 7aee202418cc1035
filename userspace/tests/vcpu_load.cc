// SPDX-License-Identifier: GPL-2.0-or-later
#include "../corbel/vcpu_load.hh"

#include "result.hh"
#include "temporary_folder.hh"

#include <gtest/gtest.h>

#include <cerrno>

namespace {

using namespace corbel::cli;
using namespace std::chrono_literals;
using corbel::test::error_of;
using corbel::test::must;
using corbel::test::TemporaryFolder;

TEST(vcpu_load, finds_threads_in_debugfs)
{
	const TemporaryFolder folder;

	folder.write("kvm/41-9/vcpu0/pid", "7\n");
	folder.write("kvm/412-11/vcpu0/pid", "413\n");
	folder.write("kvm/412-11/vcpu4/pid", "414\n");
	folder.write("kvm/412-11/vcpux/pid", "9\n");
	folder.write("kvm/412-11/exits", "3\n");
	const VcpuThreads expected{{0, 413}, {4, 414}};
	EXPECT_EQ(must(vcpu_threads(412, 11, folder.path(), folder.path() / "kvm")), expected);
	EXPECT_EQ(must(vcpu_threads(412, -1, folder.path(), folder.path() / "kvm")), expected);
}

TEST(vcpu_load, finds_threads_by_name)
{
	const TemporaryFolder folder;

	folder.write("412/task/412/comm", "qemu\n");
	folder.write("412/task/420/comm", "CPU 0/KVM\n");
	folder.write("412/task/421/comm", "CPU 12/KVM\n");
	folder.write("412/task/422/comm", "CPU x/KVM\n");
	EXPECT_EQ(must(vcpu_threads(412, 11, folder.path(), folder.path() / "kvm")),
		  (VcpuThreads{{0, 420}, {12, 421}}));
	EXPECT_EQ(error_of(vcpu_threads(413, 11, folder.path(), folder.path() / "kvm")), ENOENT);
}

TEST(vcpu_load, reads_schedstat)
{
	EXPECT_EQ(parse_schedstat("12 345 6\n")->waited, 345ns);
	for (const char *wrong : {"", "12", "x y z", "12 x"})
		EXPECT_FALSE(parse_schedstat(wrong)) << wrong;
	EXPECT_EQ(error_of(times_of(0, 0)), ESRCH);
}

TEST(vcpu_load, is_a_share_of_the_interval)
{
	const auto half = shares_of({1s, 1s}, {1s + 300ms, 1s + 500ms}, 1s, false);

	EXPECT_DOUBLE_EQ(half.running, 0.3);
	EXPECT_DOUBLE_EQ(half.waiting, 0.5);
	/* A wait of several intervals that ended in this one. */
	EXPECT_DOUBLE_EQ(shares_of({1s, 1s}, {1s + 100ms, 9s}, 1s, false).waiting, 0.9);
	EXPECT_DOUBLE_EQ(shares_of({2s, 2s}, {1s, 1s}, 1s, false).waiting, 0);
}

TEST(vcpu_load, of_a_wait_that_is_not_over)
{
	EXPECT_DOUBLE_EQ(shares_of({1s, 1s}, {1s, 1s}, 1s, true).waiting, 1);
	EXPECT_DOUBLE_EQ(shares_of({1s, 1s}, {1s, 1s}, 1s, false).waiting, 0);
	EXPECT_DOUBLE_EQ(shares_of({1s, 1s}, {1s + 500ms, 1s}, 1s, true).waiting, 0);
}

} /* namespace */
