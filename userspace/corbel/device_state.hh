/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * device_state.hh - what a distributor's ids are mapped to, as JSON: for migration.
 *
 *   {"distributor_state": 1, "ids": 256, "entries": [
 *     {"id": 5, "vcpu": 1, "vector": 80, "priority": 3, "masked": false, "pending": true}]}
 *
 * Ids that are not there are not mapped.
 */
#pragma once

#include "irq_json.hh"

#include <libcorbel/error.hh>

#include <corbel/dist.h>

#include <span>
#include <string>
#include <vector>

namespace corbel::cli {

[[nodiscard]] Json json_of(const corbel_dist_entry &entry);

/* @entries: of every id of the device. */
[[nodiscard]] Json state_of(std::span<const corbel_dist_entry> entries);

/*
 * An entry for each of the @ids of the device, fit for CORBEL_DIST_RESTORE. The text
 * may be of a device with fewer ids, or with more if those are not used.
 */
[[nodiscard]] Result<std::vector<corbel_dist_entry>> parse_state(const std::string &text,
								 std::uint32_t ids);

} /* namespace corbel::cli */
