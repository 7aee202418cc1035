// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/guest.hh>

#include <libcorbel/number.hh>
#include <libcorbel/text_file.hh>

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace corbel {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view vm_link = "anon_inode:kvm-vm";
constexpr std::string_view vcpu_link = "anon_inode:kvm-vcpu:";

/* False also where the kernel does not tell. */
bool same_open_file(pid_t pid, int one, int other)
{
	return ::syscall(SYS_kcmp, pid, pid, KCMP_FILE, one, other) == 0;
}

struct KvmDescriptors {
	std::vector<int> vms;
	std::map<std::string, std::vector<int>> vcpus; /* by link text */
};

/*
 * Of each open file one descriptor, the lowest: a program may have duplicated
 * some. Two VMs of a process have vCPU links of the same text, so the text alone
 * does not tell either.
 */
void keep_distinct(pid_t pid, std::vector<int> &fds)
{
	std::vector<int> distinct;

	std::ranges::sort(fds);
	for (int fd : fds)
		if (std::ranges::none_of(distinct,
					 [&](int kept) { return same_open_file(pid, kept, fd); }))
			distinct.push_back(fd);
	fds = std::move(distinct);
}

/* Descriptors come and go while we look: one that is gone is not an error. */
std::error_code collect(const fs::path &folder, KvmDescriptors &found)
{
	std::error_code error;

	for (fs::directory_iterator at(folder, error), end; !error && at != end;
	     at.increment(error)) {
		std::error_code gone;
		auto link = fs::read_symlink(at->path(), gone).string();
		auto fd = number_of<int>(at->path().filename().string());

		if (gone || !fd)
			continue;
		if (link == vm_link)
			found.vms.push_back(*fd);
		else if (link.starts_with(vcpu_link))
			found.vcpus[link].push_back(*fd);
	}
	return error;
}

bool is_qemu(const fs::path &folder, std::string_view command_line)
{
	std::error_code ignored;
	auto called = fs::path(command_line.substr(0, command_line.find('\0'))).filename().string();
	auto program = fs::read_symlink(folder / "exe", ignored).filename().string();

	return called.find("qemu") != called.npos || program.find("qemu") != program.npos ||
	       called == "kvm";
}

/* A process without a VM gives a guest without vm_fds. */
std::error_code inspect(const fs::path &folder, pid_t pid, Guest &guest)
{
	KvmDescriptors found;

	if (auto error = collect(folder / "fd", found))
		return error;
	if (found.vms.empty())
		return {};

	keep_distinct(pid, found.vms);
	guest.pid = pid;
	guest.vm_fds = std::move(found.vms);
	for (auto &[link, fds] : found.vcpus) {
		if (guest.vm_fds.size() > 1)
			keep_distinct(pid, fds);
		guest.vcpus += guest.vm_fds.size() > 1 ? fds.size() : 1;
	}

	guest.process = first_line_of(folder / "comm").value_or("");
	auto command_line = text_of_file(folder / "cmdline").value_or("");
	if (is_qemu(folder, command_line))
		guest.name = qemu_guest_name(command_line);
	if (guest.name.empty())
		guest.name = guest.process;
	return {};
}

} /* namespace */

Result<GuestSearch> GuestFinder::find() const
{
	GuestSearch search;
	std::error_code error;

	for (fs::directory_iterator at(proc_, error), end; !error && at != end;
	     at.increment(error)) {
		auto pid = number_of<pid_t>(at->path().filename().string());
		Guest guest;

		if (!pid || *pid == ::getpid())
			continue;
		if (auto refused = inspect(at->path(), *pid, guest);
		    refused == std::errc::permission_denied)
			search.unreadable++;
		if (!guest.vm_fds.empty())
			search.guests.push_back(std::move(guest));
	}
	if (error)
		return failure(error.value(),
			       fmt::format("Guests are looked for in {}, which cannot be read: {}.",
					   proc_.string(), error.message()));
	std::ranges::sort(search.guests, {}, &Guest::pid);
	return search;
}

Result<Guest> GuestFinder::look_at(pid_t pid) const
{
	Guest guest;
	auto error = inspect(proc_ / std::to_string(pid), pid, guest);

	if (error == std::errc::no_such_file_or_directory)
		return failure(ESRCH, fmt::format("There is no process {}: `corbel vm list` shows "
						  "the guests that run.",
						  pid));
	if (error)
		return failure(error.value(),
			       fmt::format("The descriptors of process {} cannot be read: {}; run "
					   "this as root.",
					   pid, error.message()));
	if (guest.vm_fds.empty())
		return failure(ENOENT, fmt::format("Process {} runs no KVM guest (it has no "
						   "descriptor {}): `corbel vm list` shows those "
						   "that do.",
						   pid, vm_link));
	return guest;
}

} /* namespace corbel */
