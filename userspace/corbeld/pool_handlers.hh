/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool_handlers.hh - verbs of `corbel pool`, `corbel volume` and `corbel snapshot`. */
#pragma once

#include "dispatcher.hh"

#include "../jobs/engine.hh"
#include "../volumes/volumes.hh"

namespace corbel::daemon {

/* All of these outlive @dispatcher. */
void add_pool_handlers(Dispatcher &dispatcher, volumes::Pools &pools, jobs::Engine &engine);

} /* namespace corbel::daemon */
