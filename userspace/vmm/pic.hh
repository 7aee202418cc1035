/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pic.hh - the pair of 8259A interrupt controllers of a PC: 16 lines, the second chip's
 * output being line 2 of the first.
 *
 * Edges are remembered until they are acknowledged or their line goes low again, as the
 * datasheet has it; lines that ELCR says are level-triggered ask for as long as they are high.
 */
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace corbel::vmm {

class Pic {
public:
	void set_line(unsigned irq, bool high);
	/* What the board is wired for, as ELCR would be set by its firmware. */
	void make_level_triggered(unsigned irq);

	/* The pin INTR of the first chip. */
	[[nodiscard]] bool asks() const { return chips_[0].best(slave_asks()).has_value(); }
	/* The cycle in which the CPU fetches a vector. Nothing to give: the spurious one. */
	[[nodiscard]] std::uint8_t acknowledge();

	/* Ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0 and 0x4d1. */
	[[nodiscard]] static bool has(std::uint16_t port);
	[[nodiscard]] std::uint8_t read(std::uint16_t port);
	void write(std::uint16_t port, std::uint8_t value);

private:
	struct Chip {
		std::uint8_t requests, mask, in_service, lines, levels;
		std::uint8_t base,
			command_word; /* the initialization word that comes next; 0: none */
		std::uint8_t wants_icw4, auto_eoi, reads_in_service, special_mask, polled;
		std::uint8_t top; /* the line of highest priority */

		void set_line(unsigned line, bool high);
		[[nodiscard]] std::optional<unsigned> best(std::uint8_t more) const;
		void begin(unsigned line);
		void end_highest(bool rotate);
		void command(std::uint8_t value);
		void data(std::uint8_t value);
	};

	[[nodiscard]] std::uint8_t slave_asks() const { return chips_[1].best(0) ? 1 << 2 : 0; }
	std::uint8_t poll(unsigned chip);

	std::array<Chip, 2> chips_{};
};

static_assert(std::has_unique_object_representations_v<Pic>);

} /* namespace corbel::vmm */
