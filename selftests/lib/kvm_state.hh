/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of a VM in the kernel, by three independent witnesses: KVM's
 * module reference count (a VM holds one), KVM's debugfs (a VM is a folder), and
 * the slab allocator's own record of who allocated what.
 */
#pragma once

#include <map>
#include <string>
#include <vector>

namespace corbel::selftest
{

/* Folders of VMs in /sys/kernel/debug/kvm, sorted; skips without debugfs. */
std::vector<std::string> list_debugfs_vms();

/* References on the vendor module plus its VMs in debugfs. */
struct kvm_state {
	int references;
	std::vector<std::string> vms;

	bool operator==(const kvm_state &) const = default;
};

kvm_state read_kvm_state();
std::string print_state(const kvm_state &state);

/* Waits until KVM holds no more than it did in `before`. */
void wait_kvm_state(const kvm_state &before);

/*
 * Live slab objects that a function of our modules allocated, by cache: known in
 * a boot with slub_debug=U. And its vmalloc areas, known always.
 */
struct slab_usage {
	bool known = false;
	std::map<std::string, long> objects;

	bool operator==(const slab_usage &) const = default;
};

slab_usage read_slab_usage();
/* The same when two readings agree: what was just let go is freed a little later. */
slab_usage read_settled_slab_usage();
/* Waits until our modules hold no more than `before`: freeing waits for readers. */
void wait_slab_usage(const slab_usage &before);
std::string print_usage(const slab_usage &usage);

} // namespace corbel::selftest
