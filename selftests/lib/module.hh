/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading and unloading: KVM from the running system, ours from
 * $CORBEL_MODULES. Results are 0 or a negative error number.
 */
#pragma once

#include <string>

namespace corbel::selftest {

/* Loads the KVM vendor module of this CPU; skips the case where there is none. */
void ensure_kvm();

/* Name of the KVM vendor module: kvm_amd or kvm_intel. */
std::string kvm_vendor_module();

/*
 * KVM and all of our modules. Ours may be loaded already, on a host where the
 * tests run against what is installed; otherwise $CORBEL_MODULES says where they
 * are, and without it the case is skipped.
 */
void ensure_corbel();

int load_module(const std::string &name, const std::string &parameters = {});
int unload_module(const std::string &name);

bool module_loaded(const std::string &name);

/* Reference count as in /sys/module/NAME/refcnt, -1 if it is not loaded. */
int module_references(const std::string &name);

/* Unloads ours, corbel last, and fails the case if one refuses. */
void unload_corbel();

/*
 * Skips cases that unload the modules where those were not loaded by us but by
 * the owner of the host.
 */
void need_own_modules();

} // namespace corbel::selftest
