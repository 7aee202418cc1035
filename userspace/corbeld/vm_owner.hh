/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vm_owner.hh - which host has a VM, as this one knows it: the fencing token of a migration. */
#pragma once

#include "../migrate/protocol.hh"
#include "../state/store.hh"

#include <optional>
#include <string>

namespace corbel::daemon {

struct Owner {
	migrate::Epoch epoch = 1; /* one more with each change of owner */
	bool here = true;
	std::string host{}; /* if it is not here: its name */
	std::string uuid{}; /* of the VM; empty: not known */
};

/* Nothing: it has never been elsewhere, or what has was another one of that name. */
[[nodiscard]] Result<std::optional<Owner>> owner_of(state::Store &store, const std::string &vm,
						    const std::string &uuid);
/* An older epoch changes nothing. */
[[nodiscard]] Result<void> set_owner(state::Store &store, const std::string &vm,
				     const Owner &owner);
/* An operator's word that it is this host's, whatever was heard of it. */
[[nodiscard]] Result<void> claim(state::Store &store, const std::string &vm);

} /* namespace corbel::daemon */
