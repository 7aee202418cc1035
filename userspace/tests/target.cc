// SPDX-License-Identifier: GPL-2.0-or-later
#include "../corbel/target.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace {

using namespace corbel;
using namespace corbel::cli;
using testing::HasSubstr;

const std::vector<Guest> guests{
	{.pid = 100, .process = "qemu", .name = "web1", .vcpus = 2, .vm_fds = {11}},
	{.pid = 200, .process = "qemu", .name = "db", .vcpus = 4, .vm_fds = {11}},
	{.pid = 300, .process = "qemu", .name = "db", .vcpus = 4, .vm_fds = {12}},
	{.pid = 400, .process = "vmm", .name = "many", .vcpus = 2, .vm_fds = {5, 9}},
};

TEST(parse_target, process)
{
	auto target = parse_target("412");
	ASSERT_TRUE(target);
	EXPECT_EQ(std::get<TargetProcess>(*target).pid, 412);
	EXPECT_FALSE(std::get<TargetProcess>(*target).vm_fd);

	target = parse_target("412:11");
	ASSERT_TRUE(target);
	EXPECT_EQ(std::get<TargetProcess>(*target).pid, 412);
	EXPECT_EQ(std::get<TargetProcess>(*target).vm_fd, 11);
}

TEST(parse_target, name)
{
	for (const char *text :
	     {"web1", "my first vm", "412x", "412:", "412:x", ":11", "-1", "name:", "a:b"}) {
		auto target = parse_target(text);

		ASSERT_TRUE(target) << text;
		EXPECT_EQ(std::get<TargetName>(*target).name, text);
	}
	EXPECT_EQ(std::get<TargetName>(*parse_target("name:412")).name, "412");
	EXPECT_EQ(std::get<TargetName>(*parse_target("name:id:3")).name, "id:3");
}

TEST(parse_target, attachment)
{
	auto target = parse_target("id:18446744073709551615");

	ASSERT_TRUE(target);
	EXPECT_EQ(std::get<TargetAttachment>(*target).vm_id, UINT64_MAX);
}

TEST(parse_target, refuses_what_names_nothing)
{
	for (const char *text : {"", "99999999999999", "1:99999999999999", "id:", "id:x", "id:-1",
				 "id:18446744073709551616"})
		EXPECT_FALSE(parse_target(text)) << text;
}

TEST(choose_by_name, the_one_of_that_name)
{
	auto choice = choose_by_name("web1", guests);

	ASSERT_TRUE(choice);
	EXPECT_EQ(choice->guest.pid, 100);
	EXPECT_EQ(choice->vm_fd, 11);
}

TEST(choose_by_name, refuses_an_ambiguous_name_with_the_candidates)
{
	auto choice = choose_by_name("db", guests);

	ASSERT_FALSE(choice);
	EXPECT_EQ(choice.error().number, ENOTUNIQ);
	EXPECT_THAT(choice.error().sentence, HasSubstr("pid 200"));
	EXPECT_THAT(choice.error().sentence, HasSubstr("pid 300"));
	EXPECT_THAT(choice.error().sentence, testing::Not(HasSubstr("pid 100")));
}

TEST(choose_by_name, says_what_there_is)
{
	auto choice = choose_by_name("web", guests);

	ASSERT_FALSE(choice);
	EXPECT_EQ(choice.error().number, ENOENT);
	EXPECT_THAT(choice.error().sentence, HasSubstr("'web1' (pid 100)"));
	EXPECT_THAT(choose_by_name("web", {}).error().sentence, HasSubstr("no process"));
}

TEST(choose_vm, of_several_one_must_be_named)
{
	const auto &many = guests[3];
	auto unnamed = choose_vm(many, {});

	ASSERT_FALSE(unnamed);
	EXPECT_EQ(unnamed.error().number, ENOTUNIQ);
	EXPECT_THAT(unnamed.error().sentence, HasSubstr("400:5, 400:9"));
	EXPECT_EQ(choose_vm(many, 9)->vm_fd, 9);
	EXPECT_EQ(choose_vm(many, 7).error().number, ENOENT);
}

} /* namespace */
