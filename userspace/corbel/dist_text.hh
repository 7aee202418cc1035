/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dist_text.hh - distributors and their ledgers as text and as JSON. */
#pragma once

#include "irq_json.hh"
#include "table.hh"

#include <corbel/dist.h>

#include <cstdint>
#include <span>
#include <string>

namespace corbel::cli {

/* What was raised or restored and is not accounted for; 0 if all is. */
[[nodiscard]] std::int64_t balance_of(const corbel_dist_counts &counts);

/* "posted 3, restored 0, ..." with the balance last. */
[[nodiscard]] std::string show_counts(const corbel_dist_counts &counts);

[[nodiscard]] Json json_of(const corbel_dist_counts &counts);
[[nodiscard]] Json json_of(const corbel_irq_dist_get &dist);

/* A row each. */
[[nodiscard]] Table table_of(std::span<const corbel_irq_dist_get> distributors);

/* "delivered", "recorded", "coalesced", "refused" of CORBEL_DIST_WAS_*. */
[[nodiscard]] const char *name_of_outcome(unsigned outcome);

} /* namespace corbel::cli */
