/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * definitions.hh - the VMs that are Corbel's to run, kept in the store.
 *
 * A definition says how a VM is started the next time: another one while it runs changes
 * nothing of what runs. Several clients may define at once; each either does all or nothing.
 */
#pragma once

#include "description.hh"

#include "../state/store.hh"

namespace corbel::qemu {

struct Defined {
	Description description; /* with its uuid */
	bool changed; /* false: it was so already */
};

/*
 * Without a uuid it keeps the one that it has. EEXIST: the uuid is another VM's; EBUSY:
 * others changed it again and again meanwhile.
 */
[[nodiscard]] Result<Defined> define(state::Store &store, Description description);

/* What runs goes on, and can be stopped. ENOENT: there is none. */
[[nodiscard]] Result<void> undefine(state::Store &store, const std::string &name);

/* ENOENT: there is none. */
[[nodiscard]] Result<Description> definition(state::Store &store, const std::string &name);

/* By name. */
[[nodiscard]] Result<std::vector<Description>> definitions(state::Store &store);

} /* namespace corbel::qemu */
