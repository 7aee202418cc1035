// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest_disk.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

/* What the monitor says now, if it ever said something; else what it began with. */
const std::vector<qemu::DiskFacts> &disks_of(const qemu::GuestFacts &guest)
{
	return guest.monitor.seen ? guest.monitor.facts.disks : guest.arguments.facts.disks;
}

Result<const qemu::GuestFacts *> find_guest(const qemu::Snapshot &snapshot, const std::string &name)
{
	const qemu::GuestFacts *found = nullptr;

	for (const auto &guest : snapshot.guests) {
		if (guest->name != name && fmt::format("{}", guest->pid) != name)
			continue;
		if (found)
			return failure(EINVAL,
				       fmt::format("Several VMs are called '{}': name one by "
						   "its pid.",
						   name));
		found = guest.get();
	}
	return found;
}

} /* namespace */

Result<GuestDisk> find_guest_disk(const qemu::Snapshot &snapshot, const std::string &text)
{
	std::string name = text, id;
	const auto *guest = CORBEL_EXPECT(find_guest(snapshot, name));

	/* Names of VMs may have colons. */
	if (const auto colon = text.rfind(':'); !guest && colon != text.npos) {
		name = text.substr(0, colon);
		id = text.substr(colon + 1);
		guest = CORBEL_EXPECT(find_guest(snapshot, name));
	}
	if (!guest)
		return failure(ENOENT, fmt::format("No VM '{}' runs here: `corbel vm inventory` "
						   "shows those that do.",
						   name));
	const auto &disks = disks_of(*guest);
	std::vector<std::string> ids;
	for (const auto &disk : disks)
		ids.push_back(disk.id);
	const auto list =
		ids.empty() ? std::string("none") : fmt::format("{}", fmt::join(ids, ", "));
	if (id.empty() && disks.size() != 1)
		return failure(EINVAL, fmt::format("VM '{}' has {} disks ({}): say which, as "
						   "VM:DISK.",
						   name, disks.size(), list));
	const auto found =
		id.empty() ? disks.begin() : std::ranges::find(disks, id, &qemu::DiskFacts::id);
	if (found == disks.end())
		return failure(ENOENT, fmt::format("VM '{}' has no disk '{}'; it has: {}.", name,
						   id, list));
	if (!found->file.starts_with('/'))
		return failure(ENOTSUP,
			       fmt::format("Disk '{}' of VM '{}' is '{}', which is no path on this "
					   "host.",
					   found->id, name, found->file));
	const bool is_device = found->format == "host_device";
	if (!is_device && !found->format.empty() && found->format != "raw" &&
	    found->format != "qcow2")
		return failure(ENOTSUP,
			       fmt::format("Disk '{}' of VM '{}' is of format '{}': raw and qcow2 "
					   "are followed.",
					   found->id, name, found->format));
	return GuestDisk{name, found->id, found->file, is_device ? "raw" : found->format};
}

} /* namespace corbel::workloads */
