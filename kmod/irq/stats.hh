/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stats.hh - stats descriptors of observers and distributors, see <corbel/stats.h>.
 */
#pragma once

#include "../rt/result.hh"
#include "../rt/shim.h"

struct corbel_dist_counts;
struct module;

namespace corbel::irq {

class Distributor;
class Observer;

/* Once, before any descriptor is made: they hold @module. */
void init_stats(module *module);

/* CORBEL_IRQ_STATS and CORBEL_DIST_STATS. Task. */
rt::Result<long> new_stats(Observer *observer, u64 user);
rt::Result<long> new_stats(Distributor *distributor, u64 user);

/* Of all ids; each of one moment. Task. */
corbel_dist_counts sum_of_counts(Distributor *distributor);

} /* namespace corbel::irq */
