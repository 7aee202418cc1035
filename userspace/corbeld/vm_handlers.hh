/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vm_handlers.hh - verbs of `corbel vm` about the VMs that Corbel runs. */
#pragma once

#include "arrivals.hh"
#include "dispatcher.hh"

#include "../jobs/engine.hh"
#include "../qemu/inventory.hh"
#include "../state/store.hh"

#include <filesystem>
#include <vector>

namespace corbel::daemon {

struct Vms {
	state::Store &store;
	jobs::Engine &engine;
	qemu::Inventory &inventory;
	Arrivals &arrivals;
	std::filesystem::path root; /* of the runtime folders */
};

/* What @vms refers to outlives @dispatcher. */
void add_vm_handlers(Dispatcher &dispatcher, const Vms &vms);

/* Those below @root that run, for the inventory. */
[[nodiscard]] std::vector<qemu::OwnGuest> own_guests(const std::filesystem::path &root);

} /* namespace corbel::daemon */
