/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * irq_json.hh - interrupts of a VM as JSON.
 *
 * Keys are stable: they may be added to, never renamed. A key says its unit:
 * _ns, _per_s; counts have none. What is not known is null.
 */
#pragma once

#include "sample.hh"

#include <nlohmann/json.hpp>

namespace corbel::cli {

using Json = nlohmann::ordered_json;

[[nodiscard]] Json json_of(const corbel_vm_info &info);

/* Totals: counts. An interval: rates too. */
[[nodiscard]] Json json_of(const Activity &activity);

/* For names that come from other programs and need not be UTF-8. */
[[nodiscard]] std::string dump(const Json &json, int indent = -1);

} /* namespace corbel::cli */
