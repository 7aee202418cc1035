/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host_handlers.hh - `corbel host`. */
#pragma once

#include "dispatcher.hh"
#include "hosts.hh"

#include "../jobs/engine.hh"

namespace corbel::daemon {

/* Both outlive @dispatcher. */
void add_host_handlers(Dispatcher &dispatcher, Hosts &hosts, jobs::Engine &engine);

} /* namespace corbel::daemon */
