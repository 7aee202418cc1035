/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guest_time.hh - nanoseconds since the guest was made, which is what its clocks count. */
#pragma once

#include <cstdint>

namespace corbel::vmm {

using GuestTime = std::uint64_t;

constexpr GuestTime never = ~GuestTime{0};
constexpr GuestTime second = 1000000000;

} /* namespace corbel::vmm */
