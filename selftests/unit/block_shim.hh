/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "rt/shim.h"

namespace corbel::unit {

/* How many allocations succeed before all fail; below 0: all do. */
extern std::int64_t allocations_left;

} // namespace corbel::unit
