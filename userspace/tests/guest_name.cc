// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/guest.hh>

#include <gtest/gtest.h>

#include <initializer_list>

namespace {

std::string name_in(std::initializer_list<std::string_view> arguments)
{
	std::string line;

	for (auto argument : arguments) {
		line += argument;
		line += '\0';
	}
	return corbel::qemu_guest_name(line);
}

TEST(guest_name, plain)
{
	EXPECT_EQ(name_in({"qemu-system-x86_64", "-m", "1G", "-name", "web1", "-smp", "2"}),
		  "web1");
}

TEST(guest_name, two_dashes)
{
	EXPECT_EQ(name_in({"qemu", "--name", "web1"}), "web1");
}

TEST(guest_name, guest_key)
{
	EXPECT_EQ(name_in({"qemu", "-name", "guest=web1,debug-threads=on"}), "web1");
	EXPECT_EQ(name_in({"qemu", "-name", "debug-threads=on,guest=web1"}), "web1");
}

TEST(guest_name, first_parameter_is_the_guest)
{
	EXPECT_EQ(name_in({"qemu", "-name", "web1,debug-threads=on,process=vm"}), "web1");
	/* A bare word later on is a flag of old, not a name. */
	EXPECT_EQ(name_in({"qemu", "-name", "debug-threads=on,web1"}), "");
}

TEST(guest_name, doubled_comma_is_one)
{
	EXPECT_EQ(name_in({"qemu", "-name", "a,,b,process=x"}), "a,b");
	EXPECT_EQ(name_in({"qemu", "-name", "guest=a,,,,b"}), "a,,b");
}

TEST(guest_name, spaces_and_equals_stay)
{
	EXPECT_EQ(name_in({"qemu", "-name", "guest=my first vm=2"}), "my first vm=2");
}

TEST(guest_name, the_last_one_counts)
{
	EXPECT_EQ(name_in({"qemu", "-name", "one", "-name", "two"}), "two");
	EXPECT_EQ(name_in({"qemu", "-name", "one", "-name", "debug-threads=on"}), "one");
}

TEST(guest_name, none)
{
	EXPECT_EQ(name_in({"qemu", "-m", "1G"}), "");
	EXPECT_EQ(name_in({"qemu", "-name"}), "");
	EXPECT_EQ(name_in({"-name", "web1"}), "") << "the program is not an option";
	EXPECT_EQ(name_in({"qemu", "-device", "x,name=web1"}), "");
	EXPECT_EQ(corbel::qemu_guest_name(""), "");
}

TEST(guest_name, no_nul_at_the_end)
{
	using namespace std::string_view_literals;
	EXPECT_EQ(corbel::qemu_guest_name("qemu\0-name\0web1"sv), "web1");
	EXPECT_EQ(corbel::qemu_guest_name("qemu\0-name\0,"sv), "");
}

} /* namespace */
