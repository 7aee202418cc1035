// SPDX-License-Identifier: GPL-2.0-or-later
#include "inventory.hh"

#include "quantity.hh"
#include "table.hh"

#include <algorithm>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

/*
 * The attachment of one of several VMs of a process. Only the kernel can tell
 * them apart: attaching to what is attached gives the same number again, and an
 * attachment that was made by asking ends at once.
 */
std::optional<std::uint64_t> ask_for_id(const Device &device, const Inventory &inventory, pid_t pid,
					int fd)
{
	auto borrowed = borrow_descriptor(pid, fd);

	if (!borrowed)
		return std::nullopt;
	auto vm = device.attach(*borrowed);
	if (!vm || !inventory.attachment(vm->id()))
		return std::nullopt;
	return vm->id();
}

void match(const Device &device, Inventory &inventory)
{
	for (auto &[guest, vms] : inventory.guests) {
		std::vector<std::uint64_t> ids;

		for (const auto &attachment : inventory.attachments)
			if (static_cast<pid_t>(attachment.pid) == guest.pid &&
			    attachment.state == CORBEL_VM_LIVE)
				ids.push_back(attachment.vm_id);
		if (ids.empty())
			continue;
		if (vms.size() == 1 && ids.size() == 1) {
			vms.front().vm_id = ids.front();
			continue;
		}
		for (auto &vm : vms)
			vm.vm_id = ask_for_id(device, inventory, guest.pid, vm.fd);
	}
}

bool is_listed(const Inventory &inventory, std::uint64_t vm_id)
{
	return std::ranges::any_of(inventory.guests, [&](const ListedGuest &listed) {
		return std::ranges::any_of(listed.vms,
					   [&](const ListedVm &vm) { return vm.vm_id == vm_id; });
	});
}

std::string show_attachment(const corbel_vm_info &info)
{
	auto text = fmt::format("id:{}", info.vm_id);

	if (info.pinned)
		text += " pinned";
	if (info.features & CORBEL_FEATURE_IRQ)
		text += " irq";
	return text;
}

} /* namespace */

const corbel_vm_info *Inventory::attachment(std::uint64_t vm_id) const
{
	auto found = std::ranges::find(attachments, vm_id, &corbel_vm_info::vm_id);

	return found == attachments.end() ? nullptr : &*found;
}

Result<Inventory> take_inventory()
{
	auto search = CORBEL_EXPECT(GuestFinder().find());
	Inventory inventory;

	inventory.unreadable = search.unreadable;
	for (auto &guest : search.guests) {
		ListedGuest listed{std::move(guest), {}};

		for (int fd : listed.guest.vm_fds)
			listed.vms.push_back({fd, {}});
		inventory.guests.push_back(std::move(listed));
	}

	auto device = Device::open();
	if (!device) {
		inventory.no_module = device.error();
		return inventory;
	}
	inventory.attachments = CORBEL_EXPECT(device->attachments());
	match(*device, inventory);
	return inventory;
}

Json json_of(const Inventory &inventory)
{
	Json json{{"guests", Json::array()},
		  {"attachments", Json::array()},
		  {"unreadable_processes", inventory.unreadable}};

	for (const auto &[guest, vms] : inventory.guests) {
		Json entry{{"pid", guest.pid},
			   {"name", guest.name},
			   {"process", guest.process},
			   {"vcpus", guest.vcpus},
			   {"vms", Json::array()}};

		for (const auto &vm : vms)
			entry["vms"].push_back(
				{{"fd", vm.fd},
				 {"attached", vm.vm_id.has_value()},
				 {"vm_id", vm.vm_id ? Json(*vm.vm_id) : Json(nullptr)}});
		json["guests"].push_back(std::move(entry));
	}
	for (const auto &attachment : inventory.attachments)
		json["attachments"].push_back(json_of(attachment));
	if (inventory.no_module) {
		json["attachments"] = nullptr;
		json["error"] = inventory.no_module->sentence;
	}
	return json;
}

std::string show_inventory(const Inventory &inventory)
{
	using Align = Table::Align;
	Table table({{"PID"},
		     {"NAME", Align::left},
		     {"PROCESS", Align::left},
		     {"VCPUS"},
		     {"VM", Align::left},
		     {"ATTACHED", Align::left}});
	std::string text;

	for (const auto &[guest, vms] : inventory.guests)
		for (const auto &vm : vms) {
			const auto *info = vm.vm_id ? inventory.attachment(*vm.vm_id) : nullptr;
			auto vcpus = fmt::format("{}", guest.vcpus);

			/* /proc does not say which VM a vCPU belongs to. */
			if (vms.size() > 1)
				vcpus = info ? fmt::format("{}", info->nr_vcpus)
					     : fmt::format("{} in all", guest.vcpus);
			table.add({fmt::format("{}", guest.pid), printable(guest.name),
				   printable(guest.process), vcpus,
				   fmt::format("{}:{}", guest.pid, vm.fd),
				   info			 ? show_attachment(*info)
				   : inventory.no_module ? "unknown"
							 : "no"});
		}
	if (inventory.guests.empty())
		text = "No process here runs a KVM guest.\n";
	else
		for (const auto &line : table.lines())
			text += line + "\n";

	for (const auto &info : inventory.attachments)
		if (!is_listed(inventory, info.vm_id))
			text += fmt::format(
				"{}, {}: {}\n", show_attachment(info),
				show_number_of(info.nr_vcpus, "vCPU"),
				info.state == CORBEL_VM_LIVE
					? "its process is not visible here"
					: "the VM has ended, descriptors of it are still "
					  "open");
	return text;
}

} /* namespace corbel::cli */
