/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qos_handlers.hh - verbs of `corbel qos`. */
#pragma once

#include "dispatcher.hh"

#include "../qemu/inventory.hh"
#include "../qos/objects.hh"
#include "../qos/policies.hh"

namespace corbel::daemon {

/* All of these outlive @dispatcher. */
void add_qos_handlers(Dispatcher &dispatcher, workloads::Luns &luns, workloads::Objects &objects,
		      qemu::Inventory &inventory);

} /* namespace corbel::daemon */
