/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * target.hh - how a virtual machine is named on the command line.
 *
 *   412        process 412        412:11    its descriptor 11
 *   web1       the guest's name   name:412  a name that looks like a number
 *   id:3       attachment 3
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/guest.hh>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace corbel::cli {

struct TargetProcess {
	pid_t pid;
	std::optional<int> vm_fd;
};
struct TargetName {
	std::string name;
};
struct TargetAttachment {
	std::uint64_t vm_id;
};
using Target = std::variant<TargetProcess, TargetName, TargetAttachment>;

[[nodiscard]] Result<Target> parse_target(std::string_view text);

/* One VM of one guest. */
struct Choice {
	Guest guest;
	int vm_fd;
};

/* Refuses a name that no guest has or that several have, and says which. */
[[nodiscard]] Result<Choice> choose_by_name(std::string_view name, std::span<const Guest> guests);

/* Refuses a process with several VMs unless one of them is named. */
[[nodiscard]] Result<Choice> choose_vm(const Guest &guest, std::optional<int> vm_fd);

} /* namespace corbel::cli */
