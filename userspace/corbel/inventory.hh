/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inventory.hh - guests that run, attachments there are, and which is whose. */
#pragma once

#include "irq_json.hh"

#include <libcorbel/device.hh>
#include <libcorbel/guest.hh>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace corbel::cli {

struct ListedVm {
	int fd; /* in the process's table */
	std::optional<std::uint64_t> vm_id; /* of its attachment */
};

struct ListedGuest {
	Guest guest;
	std::vector<ListedVm> vms;
};

struct Inventory {
	std::vector<ListedGuest> guests;
	std::vector<corbel_vm_info> attachments;
	unsigned unreadable = 0;
	std::optional<Error> no_module; /* why the attachments are not known */

	[[nodiscard]] bool complete() const { return !no_module && unreadable == 0; }
	[[nodiscard]] const corbel_vm_info *attachment(std::uint64_t vm_id) const;
};

[[nodiscard]] Result<Inventory> take_inventory();

[[nodiscard]] Json json_of(const Inventory &inventory);
[[nodiscard]] std::string show_inventory(const Inventory &inventory);

} /* namespace corbel::cli */
