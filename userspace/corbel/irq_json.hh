/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * irq_json.hh - interrupts of a VM as JSON.
 *
 * Keys are stable: they may be added to, never renamed. A key says its unit:
 * _ns, _per_s; counts have none. What is not known is null.
 */
#pragma once

#include "sample.hh"
#include "json.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

[[nodiscard]] Json json_of(const corbel_vm_info &info);

/* Totals: counts. An interval: rates too. */
[[nodiscard]] Json json_of(const Activity &activity);

} /* namespace corbel::cli */
