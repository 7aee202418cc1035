/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qos_rates.hh - what happened between two answers of `qos show --histograms`. */
#pragma once

#include "irq_text.hh"
#include "json.hh"

#include <string_view>
#include <vector>

namespace corbel::cli {

/* An object that was not there before, or that counts anew, has done what it has counted. */
[[nodiscard]] Json rates_between(const Json &before, const Json &after, double seconds);
/* Of an object. */
[[nodiscard]] Json rates_schema();

/* The busiest first, as many as there is room for. */
[[nodiscard]] std::vector<Line> show_rates(const Json &rates, std::string_view headline,
					   Room room = {});

} /* namespace corbel::cli */
