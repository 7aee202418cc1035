// SPDX-License-Identifier: GPL-2.0-or-later
#include "stock_guest.hh"
#include "tap.hh"

#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <sys/syscall.h>

namespace corbel::selftest {

std::string run_command(const std::string &command)
{
	FILE *pipe = popen(command.c_str(), "r");
	std::string text;
	char piece[4096];
	size_t length;

	CHECK(pipe, "popen: {}", error_name(errno));
	while ((length = fread(piece, 1, sizeof(piece), pipe)) > 0)
		text.append(piece, length);
	int status = pclose(pipe);
	CHECK(status == 0, "'{}' ended with status {:#x}: {}", command, status, text);
	return text;
}

stock_guest::stock_guest(const std::string &arguments)
{
	if (environment("CORBEL_L2").empty() || !file_exists("qemu-tests/guest"))
		skip("needs qemu-tests/guest and CORBEL_L2, the stock guest's kernel and initrd");
	pid = std::atoi(
		run_command("qemu-tests/guest start --name demo-guest " + arguments).c_str());
	CHECK(pid > 0, "qemu-tests/guest printed no pid");
}

stock_guest::~stock_guest()
{
	if (pid > 0 && ::kill(pid, SIGCONT) == 0 && std::system("qemu-tests/guest stop") != 0)
		comment("the guest did not stop");
}

void stock_guest::check_console() const
{
	for (const char *complaint : {"No irq handler for vector", "nobody cared",
				      "WARNING:", "BUG:", "Oops", "lost interrupt"})
		CHECK(console().find(complaint) == std::string::npos, "the guest says '{}':\n{}",
		      complaint, console());
}

unique_fd stock_guest::take_vm_fd() const
{
	std::string folder = fmt::format("/proc/{}/fd", pid);
	DIR *directory = opendir(folder.c_str());
	int found = -1;
	char target[64];

	CHECK(directory, "{}: {}", folder, error_name(errno));
	while (const dirent *entry = readdir(directory)) {
		ssize_t length =
			readlink((folder + "/" + entry->d_name).c_str(), target, sizeof(target));

		if (length > 0 && std::string_view(target, length) == "anon_inode:kvm-vm")
			found = std::atoi(entry->d_name);
	}
	closedir(directory);
	CHECK(found >= 0, "process {} has no kvm-vm descriptor", pid);
	unique_fd process(syscall(SYS_pidfd_open, pid, 0));
	unique_fd copy(syscall(SYS_pidfd_getfd, process.get(), found, 0));
	CHECK(copy, "pidfd_getfd: {}", error_name(errno));
	return copy;
}

} // namespace corbel::selftest
