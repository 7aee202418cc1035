// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory objects as libcorbel names them, where there is no module. */
#include <libcorbel/memory.hh>

#include "result.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace corbel::test {

namespace {

TEST(memory, is_named_by_its_node)
{
	EXPECT_EQ(memory_number("/dev/corbel-ram0"), 0U);
	EXPECT_EQ(memory_number("/dev/corbel-ram1023"), 1023U);
	for (const char *wrong : {"", "/dev/corbel-ram", "/dev/corbel-ram-1", "/dev/corbel-ram1x",
				  "/dev/corbel", "/dev/shm/ram1", "/dev/corbel-ram99999999999"})
		EXPECT_FALSE(memory_number(wrong)) << wrong;
	EXPECT_EQ(Memory(ScopedFd(), 7, 4096).node(), "/dev/corbel-ram7");
}

TEST(memory, says_what_is_not_there)
{
	const auto none = Memory::open(4000000000U);

	ASSERT_FALSE(none);
	EXPECT_EQ(none.error().number, ENOENT);
	EXPECT_THAT(none.error().sentence, testing::HasSubstr("/dev/corbel-ram4000000000"));
}

TEST(memory, says_what_was_refused)
{
	const Memory no_memory(ScopedFd(), 3, 4096);
	const Pager no_pager{ScopedFd()};

	EXPECT_EQ(error_of(no_memory.info()), EBADF);
	EXPECT_EQ(error_of(no_memory.seal(true)), EBADF);
	EXPECT_EQ(error_of(no_memory.pager(CORBEL_PAGER_SERVE, 0, 1, {})), EBADF);
	EXPECT_EQ(error_of(no_pager.go()), EBADF);
	EXPECT_THAT(no_memory.fail().error().sentence, testing::HasSubstr("corbel-ram3"));
}

} /* namespace */

} /* namespace corbel::test */
