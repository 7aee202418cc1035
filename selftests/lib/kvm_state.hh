/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of a VM in the kernel, by three independent witnesses: KVM's
 * module reference count (a VM holds one), KVM's debugfs (a VM is a folder), and
 * the slab allocator's own record of who allocated what.
 */
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::selftest {

/* Folders of VMs in /sys/kernel/debug/kvm, sorted; skips without debugfs. */
std::vector<std::string> list_debugfs_vms();

/* A counter of a VM that this process made, as KVM's debugfs has it. */
uint64_t read_kvm_stat(int vm, const char *name);

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
 * Live slab objects whose allocation had `word` in its call chain, by cache: known
 * in a boot with slub_debug=U. And vmalloc areas, known always. `ours` are
 * functions of our modules. Once these are unloaded, what they left has addresses
 * without a name: `orphaned`, of which other modules' init sections have some too.
 */
inline constexpr std::string_view ours = "[corbel", orphaned = "0xffffffff";

struct slab_usage {
	bool known = false;
	std::map<std::string, long> objects;

	bool operator==(const slab_usage &) const = default;
};

slab_usage read_slab_usage(std::string_view word);
/* The same when two readings agree: what was just let go is freed a little later. */
slab_usage read_settled_slab_usage(std::string_view word);
/*
 * What the kernel's network keeps aside for its own use would be counted: from now on it frees at
 * once what another CPU has allocated, and does not hand it to that one, which keeps some.
 */
void keep_no_packets();
/* Waits until no TCP connection is left that only the kernel has still to close. */
void wait_connections_closed();
/* Waits until there is no more than `before` of anything. */
void wait_slab_usage(const slab_usage &before, std::string_view word);
std::string print_usage(const slab_usage &usage);

} // namespace corbel::selftest
