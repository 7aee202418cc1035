// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroup.hh"

#include <libcorbel/text_file.hh>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <system_error>

#include <libcorbel/scoped_fd.hh>

#include <fmt/format.h>

namespace corbel::qemu {

namespace fs = std::filesystem;

Result<void> put_into_cgroup(const fs::path &file, const std::string &text)
{
	const ScopedFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));

	if (!fd || ::write(fd.get(), text.data(), text.size()) < 0)
		return failure(errno, fmt::format("{} cannot be set to {}: {}.", file.string(),
						  text, describe_errno(errno)));
	return {};
}

fs::path cgroup_mount()
{
	std::istringstream mounts(text_of_file("/proc/self/mounts").value_or(""));

	for (std::string line; std::getline(mounts, line);) {
		std::istringstream words(line);
		std::string device, path, type;

		if (words >> device >> path >> type && type == "cgroup2")
			return path;
	}
	return {};
}

Cgroups::Cgroups(fs::path mount, std::string slice)
	: mount_(std::move(mount)),
	  slice_(std::move(slice)),
	  systemd_(mount_.empty() && fs::exists("/run/systemd/system"))
{
	if (mount_.empty())
		mount_ = cgroup_mount();
}

std::string scope_of(const std::string &slice, const std::string &name)
{
	return fmt::format("{}-vm-{}.scope", slice, name);
}

fs::path Cgroups::folder_of(const std::string &name) const
{
	return mount_ / fmt::format("{}.slice", slice_) / scope_of(slice_, name);
}

Result<std::string> Cgroups::enter(const Description &vm, pid_t pid,
				   std::vector<std::string> &missed) const
{
	std::error_code error;

	if (systemd_) {
		CORBEL_EXPECT(start_scope(vm, pid, slice_));
		return std::string();
	}
	if (mount_.empty())
		return failure(ENOENT, "No cgroup tree of version 2 is mounted here: the VM runs "
				       "without a cgroup and limits of its own.");
	const auto folder = folder_of(vm.name);
	fs::create_directories(folder, error);
	if (error)
		return failure(
			error.value(),
			fmt::format("{} cannot be made: {}: the VM runs without a cgroup and "
				    "limits of its own.",
				    folder.string(), error.message()));
	/* Limits are of use only where the controllers are passed down. */
	for (const auto &above : {mount_, folder.parent_path()})
		for (const char *controller : {"+cpu", "+memory"})
			(void)put_into_cgroup(above / "cgroup.subtree_control", controller);
	const auto limit = [&](const char *file, std::optional<std::uint64_t> value) {
		if (!value)
			return;
		if (const auto done = put_into_cgroup(folder / file, fmt::format("{}", *value));
		    !done)
			missed.push_back(done.error().sentence);
	};
	limit("cpu.weight", vm.cpu_weight);
	limit("memory.max", vm.memory_max);
	CORBEL_EXPECT(put_into_cgroup(folder / "cgroup.procs", fmt::format("{}", pid)));
	return folder.string();
}

Result<void> Cgroups::remove(const std::string &name) const
{
	if (systemd_ || mount_.empty())
		return {};
	return remove_cgroup(folder_of(name));
}

Result<void> remove_cgroup(const fs::path &folder)
{
	constexpr int most_attempts = 250;

	if (::access(folder.c_str(), F_OK) != 0)
		return {};
	(void)put_into_cgroup(folder / "cgroup.kill", "1");
	/* A process leaves it a moment after it has ended. */
	for (int attempt = 0; ::rmdir(folder.c_str()) != 0; attempt++) {
		if (errno == ENOENT)
			return {};
		if (errno != EBUSY || attempt >= most_attempts)
			return failure(errno, fmt::format("{} cannot be removed: {}.",
							  folder.string(), describe_errno(errno)));
		::poll(nullptr, 0, 20);
	}
	return {};
}

} /* namespace corbel::qemu */
