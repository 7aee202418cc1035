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
};

/* Nothing: it has never been elsewhere. */
[[nodiscard]] Result<std::optional<Owner>> owner_of(state::Store &store, const std::string &vm);
/* An older epoch changes nothing. */
[[nodiscard]] Result<void> set_owner(state::Store &store, const std::string &vm,
				     const Owner &owner);

} /* namespace corbel::daemon */
