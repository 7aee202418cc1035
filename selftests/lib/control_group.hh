/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A control group by which memory is limited, to see who is charged for it.
 */
#pragma once

#include "file.hh"
#include "tap.hh"

#include <fcntl.h>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>

namespace corbel::selftest {

/* A control group of its own for a child, with a limit. */
class control_group {
public:
	control_group()
	{
		mkdir(top, 0755);
		if (!file_exists(std::string(top) + "/cgroup.procs"))
			CHECK(mount("cgroup2", top, "cgroup2", 0, nullptr) == 0 || errno == EBUSY,
			      "mounting cgroup2: {}", error_name(errno));
		write_to(std::string(top) + "/cgroup.subtree_control", "+memory");
		mkdir(path.c_str(), 0755);
	}
	~control_group() { rmdir(path.c_str()); }
	void limit(uint64_t bytes) { write_to(path + "/memory.max", std::to_string(bytes)); }
	void enter() { write_to(path + "/cgroup.procs", "0"); }
	uint64_t current() const { return std::stoull(read_file(path + "/memory.current")); }
	std::string events() const { return read_file(path + "/memory.events"); }

private:
	static void write_to(const std::string &file, const std::string &text)
	{
		unique_fd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));

		CHECK(fd && write(fd.get(), text.data(), text.size()) ==
				      static_cast<ssize_t>(text.size()),
		      "writing {} to {}: {}", text, file, error_name(errno));
	}

	static constexpr const char *top = "/sys/fs/cgroup";
	const std::string path = std::string(top) + "/corbel-memory";
};

} // namespace corbel::selftest
