// SPDX-License-Identifier: GPL-2.0-or-later
//
// The console of a recorded guest at a socket.
#include "result.hh"
#include "temporary_folder.hh"
#include "vmm_program.hh"
#include "wait_until.hh"

#include <vmm/console_server.hh>

#include <unistd.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

namespace {

using namespace corbel;
using namespace corbel::vmm;
using corbel::test::connect_to;
using corbel::test::error_of;
using corbel::test::hear;
using corbel::test::must;
using corbel::test::TemporaryFolder;

struct vmm_console : testing::Test {
	[[nodiscard]] ScopedFd join() const { return connect_to(path); }
	static void say(const ScopedFd &fd, std::string_view text)
	{
		EXPECT_EQ(::write(fd.get(), text.data(), text.size()),
			  static_cast<ssize_t>(text.size()));
	}
	std::string typed(std::size_t bytes)
	{
		std::string all;

		EXPECT_TRUE(test::wait_until([&] {
			all += input.take(bytes - all.size());
			return all.size() == bytes;
		}));
		return all;
	}

	TemporaryFolder folder;
	std::string path = (folder.path() / "console").string();
	HostInput input{ScopedFd(), [] {}};
	std::unique_ptr<ConsoleServer> server = must(ConsoleServer::create(path, input));
};

TEST_F(vmm_console, shows_what_came_before_and_what_comes)
{
	EXPECT_FALSE(server->is_attended());
	server->print("before ");
	const auto fd = join();
	EXPECT_EQ(hear(fd, 7), "before ");
	EXPECT_TRUE(server->is_attended());
	server->print("after");
	EXPECT_EQ(hear(fd, 5), "after");
	say(fd, "typed");
	EXPECT_EQ(typed(5), "typed");
}

TEST_F(vmm_console, is_for_one_at_a_time_who_may_come_again)
{
	auto first = join();

	server->print("one ");
	EXPECT_EQ(hear(first, 4), "one ");
	const auto second = join();
	say(second, "2");
	say(first, "1");
	EXPECT_EQ(typed(1), "1");
	first = ScopedFd();
	EXPECT_EQ(typed(1), "2");
	EXPECT_EQ(hear(second, 4), "one ");
}

TEST_F(vmm_console, keeps_as_much_as_it_says)
{
	server->print(std::string(100000, 'x') + "end");
	const auto fd = join();
	const auto heard = hear(fd, ConsoleServer::history);
	EXPECT_TRUE(heard.ends_with("xend"));
	server->print("!");
	EXPECT_EQ(hear(fd, 1), "!");
}

/* The guest is not stopped by who does not read, and who reads at last gets the end. */
TEST_F(vmm_console, waits_for_nobody)
{
	const auto fd = join();

	server->print("a");
	EXPECT_EQ(hear(fd, 1), "a");
	for (int i = 0; i < 1000; i++)
		server->print(std::string(10000, 'x'));
	server->print("end");
	std::string heard;
	while (!heard.ends_with("end")) {
		const auto piece = hear(fd, 1);

		ASSERT_FALSE(piece.empty());
		heard += piece;
	}
	EXPECT_LT(heard.size(), 10000000U);
}

/* Nobody is waited for at its end, either; but who reads gets all of it. */
TEST_F(vmm_console, ends)
{
	const auto fd = join();

	server->print("a");
	EXPECT_EQ(hear(fd, 1), "a");
	server->print("last words");
	server.reset();
	EXPECT_EQ(hear(fd, 100), "last words");
	EXPECT_FALSE(std::filesystem::exists(path));
	server = must(ConsoleServer::create(path, input));
	const auto silent = join();
	server->print("a");
	EXPECT_EQ(hear(silent, 1), "a");
	for (int i = 0; i < 1000; i++)
		server->print(std::string(10000, 'x'));
	server.reset();
}

/* As much as the guest could take at some time, and no more. */
TEST_F(vmm_console, has_who_types_wait_for_room)
{
	const auto fd = join();
	const std::string much(1 << 20, 'x');
	std::thread typist([&] { say(fd, much); });

	EXPECT_TRUE(test::wait_until([&] { return !input.has_room(); }));
	EXPECT_EQ(typed(much.size()), much);
	typist.join();
}

TEST_F(vmm_console, takes_no_path_that_is_used)
{
	EXPECT_EQ(error_of(ConsoleServer::create(path, input)), EADDRINUSE);
	EXPECT_EQ(error_of(ConsoleServer::create("", input)), EINVAL);
	EXPECT_TRUE(std::filesystem::exists(path));
}

} /* namespace */
