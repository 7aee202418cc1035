/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtc.hh - the clock and the CMOS memory of a PC, an MC146818. It shows the time of day as it
 * was when the guest was made plus the guest's own time, in BCD. It has no interrupts.
 */
#pragma once

#include "guest_time.hh"

#include <array>
#include <cstdint>
#include <type_traits>

namespace corbel::vmm {

class Rtc {
public:
	/* @began: seconds since 1970 at guest time 0. */
	explicit Rtc(std::uint64_t began) : began_(began) {}

	/* Ports 0x70 and 0x71. */
	[[nodiscard]] static bool has(std::uint16_t port) { return (port & ~1) == 0x70; }
	[[nodiscard]] std::uint8_t read(std::uint16_t port, GuestTime now) const;
	void write(std::uint16_t port, std::uint8_t value);

private:
	std::uint64_t began_;
	std::array<std::uint8_t, 127> memory_{};
	std::uint8_t chosen_ = 0;
};

static_assert(std::has_unique_object_representations_v<Rtc>);

} /* namespace corbel::vmm */
