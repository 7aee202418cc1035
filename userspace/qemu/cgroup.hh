/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroup.hh - the cgroup of a VM: corbel.slice/corbel-vm-NAME.scope.
 *
 * Where systemd is process 1 it is asked for a scope, as it owns the tree; elsewhere the
 * folder is made in the tree of version 2. Where that cannot be written the VM runs without.
 */
#pragma once

#include "description.hh"

#include <sys/types.h>

namespace corbel::qemu {

class Cgroups {
public:
	/*
	 * @mount: of version 2; empty: as it is found. @slice: without its ending; two daemons on
	 * one machine have different ones, as a VM may go from one to the other.
	 */
	explicit Cgroups(std::filesystem::path mount = {}, std::string slice = "corbel");

	/*
	 * Puts @pid into the VM's cgroup. The cgroup's folder, empty where systemd keeps it; an
	 * error where there is none, which need not keep the VM from running. What limits
	 * could not be set goes to @missed.
	 */
	[[nodiscard]] Result<std::string> enter(const Description &vm, pid_t pid,
						std::vector<std::string> &missed) const;
	/* What is in it ends, and it is gone. None is no error. */
	[[nodiscard]] Result<void> remove(const std::string &name) const;

private:
	[[nodiscard]] std::filesystem::path folder_of(const std::string &name) const;

	std::filesystem::path mount_;
	std::string slice_;
	bool systemd_;
};

/* Where the tree of version 2 is mounted; empty: nowhere. */
[[nodiscard]] std::filesystem::path cgroup_mount();
/* Writes @text to one of a cgroup's files. */
[[nodiscard]] Result<void> put_into_cgroup(const std::filesystem::path &file,
					   const std::string &text);
/* What is in it ends, and it is gone. None is no error. */
[[nodiscard]] Result<void> remove_cgroup(const std::filesystem::path &folder);

[[nodiscard]] std::string scope_of(const std::string &slice, const std::string &name);

/* By systemd: a scope with @pid in it, with the limits of @vm. */
[[nodiscard]] Result<void> start_scope(const Description &vm, pid_t pid, const std::string &slice);

} /* namespace corbel::qemu */
