/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pit.hh - the 8254 timer of a PC: channel 0 interrupts, channel 2 is for the speaker and is
 * how kernels measure the CPU. Its counts are computed from the time whenever somebody looks.
 */
#pragma once

#include "guest_time.hh"

#include <array>
#include <cstdint>
#include <type_traits>

namespace corbel::vmm {

class Pit {
public:
	static constexpr std::uint64_t frequency = 1193182;

	/* Ports 0x40 to 0x43. */
	[[nodiscard]] static bool has(std::uint16_t port) { return (port & ~3) == 0x40; }
	[[nodiscard]] std::uint8_t read(std::uint16_t port, GuestTime now);
	void write(std::uint16_t port, std::uint8_t value, GuestTime now);

	/* When channel 0's output rises next; `never` if it does not. */
	[[nodiscard]] GuestTime next_edge() const;
	/* Whether it rose since this was last asked; ticks that were missed are one. */
	[[nodiscard]] bool take_edge(GuestTime now);

	/* Channel 2, by port 0x61. */
	void set_gate(bool high, GuestTime now);
	[[nodiscard]] bool output(GuestTime now) const;

private:
	struct Channel {
		GuestTime started; /* when counting began */
		std::uint64_t edges; /* of the output that were taken */
		std::uint32_t count; /* what it counts from, 1 to 65536 */
		std::uint16_t latch;
		std::uint8_t mode, access, counting, gate;
		std::uint8_t low_byte, second_write, second_read, latched;
		std::uint8_t status, status_latched;

		[[nodiscard]] bool periodic() const { return mode == 2 || mode == 3; }
		[[nodiscard]] std::uint64_t ticks(GuestTime now) const;
		[[nodiscard]] std::uint16_t value(GuestTime now) const;
		[[nodiscard]] bool output(GuestTime now) const;
		void hold(GuestTime now);
		void control(std::uint8_t value);
		void load(std::uint16_t value, GuestTime now);
		void write(std::uint8_t value, GuestTime now);
		std::uint8_t read(GuestTime now);
	};

	void read_back(std::uint8_t value, GuestTime now);

	std::array<Channel, 3> channels_{};
};

static_assert(std::has_unique_object_representations_v<Pit>);

} /* namespace corbel::vmm */
