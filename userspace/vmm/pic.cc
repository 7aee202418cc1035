// SPDX-License-Identifier: GPL-2.0-or-later
#include "pic.hh"

namespace corbel::vmm {

namespace {

constexpr std::uint8_t bit(unsigned line)
{
	return static_cast<std::uint8_t>(1U << line);
}

} /* namespace */

/* ---- one chip ---------------------------------------------------------------------- */

void Pic::Chip::set_line(unsigned line, bool high)
{
	if (high && (!(lines & bit(line)) || levels & bit(line)))
		requests |= bit(line);
	else if (!high)
		requests &= static_cast<std::uint8_t>(~bit(line));
	lines = static_cast<std::uint8_t>(high ? lines | bit(line) : lines & ~bit(line));
}

/* The line that would interrupt the CPU now. @more: requests besides those remembered. */
std::optional<unsigned> Pic::Chip::best(std::uint8_t more) const
{
	const auto asking = static_cast<std::uint8_t>((requests | more) & ~mask);

	for (unsigned i = 0; i < 8; i++) {
		const unsigned line = (top + i) % 8;

		if (in_service & bit(line) && !special_mask)
			return std::nullopt;
		if (asking & bit(line) && !(in_service & bit(line)))
			return line;
	}
	return std::nullopt;
}

void Pic::Chip::begin(unsigned line)
{
	if (!auto_eoi)
		in_service |= bit(line);
	if (!(levels & bit(line)))
		requests &= static_cast<std::uint8_t>(~bit(line));
}

void Pic::Chip::end_highest(bool rotate)
{
	for (unsigned i = 0; i < 8; i++) {
		const unsigned line = (top + i) % 8;

		if (!(in_service & bit(line)))
			continue;
		in_service &= static_cast<std::uint8_t>(~bit(line));
		if (rotate)
			top = static_cast<std::uint8_t>((line + 1) % 8);
		return;
	}
}

void Pic::Chip::command(std::uint8_t value)
{
	const unsigned line = value & 7;

	if (value & 0x10) { /* ICW1 */
		const auto kept = levels, high = lines;

		*this = Chip{};
		levels = kept;
		lines = high;
		requests = lines & levels;
		wants_icw4 = value & 1;
		command_word = 2;
		return;
	}
	if (value & 0x08) { /* OCW3 */
		if (value & 0x40)
			special_mask = value >> 5 & 1;
		if (value & 0x04)
			polled = 1;
		else if (value & 0x02)
			reads_in_service = value & 1;
		return;
	}
	switch (value >> 5) { /* OCW2 */
	case 1:
	case 5:
		end_highest(value & 0x80);
		break;
	case 3:
	case 7:
		in_service &= static_cast<std::uint8_t>(~bit(line));
		if (value & 0x80)
			top = static_cast<std::uint8_t>((line + 1) % 8);
		break;
	case 6:
		top = static_cast<std::uint8_t>((line + 1) % 8);
		break;
	default:
		break;
	}
}

void Pic::Chip::data(std::uint8_t value)
{
	switch (command_word) {
	case 2:
		base = value & 0xf8;
		command_word = 3;
		break;
	case 3: /* how the chips are wired, which is known */
		command_word = wants_icw4 ? 4 : 0;
		break;
	case 4:
		auto_eoi = value >> 1 & 1;
		command_word = 0;
		break;
	default:
		mask = value;
	}
}

/* ---- the pair ---------------------------------------------------------------------- */

void Pic::set_line(unsigned irq, bool high)
{
	chips_[irq / 8].set_line(irq % 8, high);
}

void Pic::make_level_triggered(unsigned irq)
{
	chips_[irq / 8].levels |= bit(irq % 8);
}

std::uint8_t Pic::acknowledge()
{
	const auto line = chips_[0].best(slave_asks());

	if (!line)
		return chips_[0].base + 7;
	chips_[0].begin(*line);
	if (*line != 2)
		return static_cast<std::uint8_t>(chips_[0].base + *line);
	/* The chips agreed a moment ago, so there is one. */
	const unsigned second = *chips_[1].best(0);

	chips_[1].begin(second);
	return static_cast<std::uint8_t>(chips_[1].base + second);
}

/* Stands in for an acknowledge cycle: bit 7 and the line, or 0. */
std::uint8_t Pic::poll(unsigned chip)
{
	const auto line = chips_[chip].best(chip == 0 ? slave_asks() : std::uint8_t{0});

	chips_[chip].polled = 0;
	if (!line)
		return 0;
	chips_[chip].begin(*line);
	return static_cast<std::uint8_t>(0x80 | *line);
}

bool Pic::has(std::uint16_t port)
{
	return (port & ~0x81) == 0x20 || (port & ~1) == 0x4d0;
}

std::uint8_t Pic::read(std::uint16_t port)
{
	if ((port & ~1) == 0x4d0)
		return chips_[port & 1].levels;
	const unsigned number = port >> 7 & 1;
	const Chip &chip = chips_[number];

	if (chip.polled)
		return poll(number);
	if (port & 1)
		return chip.mask;
	return chip.reads_in_service ? chip.in_service : chip.requests;
}

void Pic::write(std::uint16_t port, std::uint8_t value)
{
	if ((port & ~1) == 0x4d0) {
		/* The timer, the keyboard, the cascade, the clock and the FPU have edges. */
		chips_[port & 1].levels = value & (port & 1 ? 0xde : 0xf8);
		return;
	}
	Chip &chip = chips_[port >> 7 & 1];

	if (port & 1)
		chip.data(value);
	else
		chip.command(value);
}

} /* namespace corbel::vmm */
