// SPDX-License-Identifier: GPL-2.0-or-later
/* A folder of the shape of /proc, with links that say what those of KVM say. */
#include "temporary_folder.hh"

#include <libcorbel/guest.hh>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

namespace {

using namespace std::string_literals;

class GuestFinderTest : public testing::Test {
protected:
	/* No process has such a number, so that none of this machine is meant. */
	static constexpr pid_t first = 4'194'305;

	void process(pid_t pid, const std::string &comm, const std::string &command_line,
		     const std::vector<std::string> &links)
	{
		auto folder = std::to_string(pid);
		int fd = 0;

		proc.write(folder + "/comm", comm + "\n");
		proc.write(folder + "/cmdline", command_line);
		std::filesystem::create_directories(proc.path() / folder / "fd");
		for (const auto &link : links)
			proc.link(folder + "/fd/" + std::to_string(fd++), link);
	}

	corbel::test::TemporaryFolder proc;
	corbel::GuestFinder finder{proc.path()};
};

TEST_F(GuestFinderTest, finds_what_holds_a_vm)
{
	process(first, "qemu-system-x86", "qemu-system-x86_64\0-name\0guest=web 1,x=y\0"s,
		{"/dev/null", "/dev/kvm", "anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0",
		 "anon_inode:kvm-vcpu:1", "anon_inode:[eventfd]"});
	process(first + 1, "bash", "bash\0"s, {"/dev/null", "socket:[42]"});
	process(first + 2, "my vmm", "/opt/vmm\0-name\0not-qemu\0"s,
		{"anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0"});
	proc.write("uptime", "1 2\n");

	auto search = finder.find();

	ASSERT_TRUE(search);
	ASSERT_EQ(search->guests.size(), 2U);
	EXPECT_EQ(search->unreadable, 0U);
	EXPECT_EQ(search->guests[0].pid, first);
	EXPECT_EQ(search->guests[0].name, "web 1");
	EXPECT_EQ(search->guests[0].process, "qemu-system-x86");
	EXPECT_EQ(search->guests[0].vcpus, 2U);
	EXPECT_EQ(search->guests[0].vm_fds, std::vector{2});
	EXPECT_EQ(search->guests[1].name, "my vmm") << "only QEMU's command line is understood";
}

TEST_F(GuestFinderTest, a_vcpu_open_twice_is_one)
{
	process(first, "qemu", "qemu\0"s,
		{"anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0", "anon_inode:kvm-vcpu:0",
		 "anon_inode:kvm-vcpu:1"});

	auto guest = finder.look_at(first);

	ASSERT_TRUE(guest);
	EXPECT_EQ(guest->vcpus, 2U);
	EXPECT_EQ(guest->name, "qemu") << "without -name the process gives its name";
}

TEST_F(GuestFinderTest, several_vms_in_one_process)
{
	process(first, "vmm", "vmm\0"s,
		{"anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0", "anon_inode:kvm-vm",
		 "anon_inode:kvm-vcpu:0"});

	auto guest = finder.look_at(first);

	ASSERT_TRUE(guest);
	EXPECT_EQ(guest->vm_fds, (std::vector{0, 2}));
	EXPECT_EQ(guest->vcpus, 2U) << "vCPU 0 of each";
}

TEST_F(GuestFinderTest, says_why_there_is_none)
{
	process(first, "bash", "bash\0"s, {"/dev/null"});

	auto no_vm = finder.look_at(first);
	ASSERT_FALSE(no_vm);
	EXPECT_EQ(no_vm.error().number, ENOENT);
	EXPECT_NE(no_vm.error().sentence.find("runs no KVM guest"), std::string::npos);

	auto no_process = finder.look_at(first + 7);
	ASSERT_FALSE(no_process);
	EXPECT_EQ(no_process.error().number, ESRCH);
}

TEST_F(GuestFinderTest, no_proc_is_an_error)
{
	auto search = corbel::GuestFinder(proc.path() / "nowhere").find();

	ASSERT_FALSE(search);
	EXPECT_EQ(search.error().number, ENOENT);
}

TEST(borrow_descriptor, gives_the_same_file)
{
	int pipe[2];
	ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
	corbel::ScopedFd reader(pipe[0]), writer(pipe[1]);

	auto borrowed = corbel::borrow_descriptor(::getpid(), writer.get());
	ASSERT_TRUE(borrowed) << borrowed.error().sentence;
	ASSERT_NE(borrowed->get(), writer.get());
	ASSERT_EQ(::write(borrowed->get(), "x", 1), 1);

	char byte = 0;
	EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
	EXPECT_EQ(byte, 'x');
}

TEST(borrow_descriptor, says_what_is_gone)
{
	auto no_fd = corbel::borrow_descriptor(::getpid(), 1'000'000);
	ASSERT_FALSE(no_fd);
	EXPECT_EQ(no_fd.error().number, EBADF);

	auto no_process = corbel::borrow_descriptor(4'194'305, 0);
	ASSERT_FALSE(no_process);
	EXPECT_EQ(no_process.error().number, ESRCH);
}

} /* namespace */
