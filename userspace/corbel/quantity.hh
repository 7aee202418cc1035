/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quantity.hh - numbers for people: three digits that matter, and the unit. */
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace corbel::cli {

/* 812 ns, 12.3 us, 4.05 ms, 1.20 s */
[[nodiscard]] std::string show_duration(std::uint64_t ns);

/* 0/s, 0.4/s, 37/s, 12.3k/s, 4.05M/s */
[[nodiscard]] std::string show_rate(double per_second);

/* Exact up to seven digits, then 12.3M, 4.05G. */
[[nodiscard]] std::string show_count(std::uint64_t count);

/* 2 vCPUs, 1 vCPU */
[[nodiscard]] std::string show_number_of(std::uint64_t count, std::string_view noun);

/* 0x41 */
[[nodiscard]] std::string show_vector(unsigned vector);

/* In UTC, to the second, as ISO 8601 says: 2024-05-01T12:00:00Z */
[[nodiscard]] std::string show_time(std::chrono::system_clock::time_point time);

} /* namespace corbel::cli */
