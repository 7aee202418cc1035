/* SPDX-License-Identifier: GPL-2.0-or-later */
/* alarms.hh - what of a pool somebody should look at. */
#pragma once

#include "target.hh"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::volumes {

/* Of what there is; the kernel is told where this is for data, and has it for metadata. */
inline constexpr std::uint64_t low_share = 16;

enum class Alarm : std::uint8_t { failed, data_full, data_low, meta_full, meta_low };

/* "data_low" */
[[nodiscard]] std::string_view name_of(Alarm alarm);
/* Of data and of metadata at most one each. */
[[nodiscard]] std::vector<Alarm> alarms_of(const PoolStatus &status);
/* What it means, and what to do. */
[[nodiscard]] std::string sentence_of(Alarm alarm, const std::string &pool,
				      const PoolStatus &status);

} /* namespace corbel::volumes */
