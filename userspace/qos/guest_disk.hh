/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guest_disk.hh - where the disk of a VM is, as an operator names it. */
#pragma once

#include "../qemu/inventory.hh"

#include <string>

namespace corbel::workloads {

struct GuestDisk {
	std::string vm, disk; /* as it is called there */
	std::string path;
	std::string format; /* raw, qcow2, or empty: it does not say */
};

/*
 * "VM" or "VM:DISK": a name or pid, and the id of a disk. ENOENT; EINVAL: several are meant;
 * ENOTSUP: that format is not followed.
 */
[[nodiscard]] Result<GuestDisk> find_guest_disk(const qemu::Snapshot &snapshot,
						const std::string &text);

} /* namespace corbel::workloads */
