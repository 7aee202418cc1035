// SPDX-License-Identifier: GPL-2.0-or-later
#include "board.hh"

namespace corbel::vmm {

namespace {

constexpr unsigned timer_irq = 0, console_irq = 4;

enum Port : std::uint16_t {
	speaker = 0x61,
	keyboard_command = 0x64,
	test_result = 0xf4,
	console = 0x3f8,
	reset_control = 0xcf9,
};

constexpr bool is_console(std::uint16_t port)
{
	return (port & ~7) == Port::console;
}

} /* namespace */

Board::Board(std::uint64_t began) : rtc_(began)
{
	for (unsigned irq = 0; irq < 16; irq++)
		if (PciBus::wired() >> irq & 1)
			pic_.make_level_triggered(irq);
}

std::uint8_t Board::in_byte(std::uint16_t port, GuestTime now)
{
	if (is_console(port))
		return uart_.read(port & 7);
	if (Pic::has(port))
		return pic_.read(port);
	if (Pit::has(port))
		return pit_.read(port, now);
	if (Rtc::has(port))
		return rtc_.read(port, now);
	if (port == Port::speaker) /* bit 4 changes with each refresh of memory, every 15 us */
		return static_cast<std::uint8_t>(speaker_ | (now / 15000 & 1) << 4 |
						 pit_.output(now) << 5);
	return 0xff;
}

void Board::out_byte(std::uint16_t port, std::uint8_t value, GuestTime now, Effects &effects)
{
	if (is_console(port)) {
		if (const auto sent = uart_.write(port & 7, value))
			effects.console += static_cast<char>(*sent);
	} else if (Pic::has(port)) {
		pic_.write(port, value);
	} else if (Pit::has(port)) {
		pit_.write(port, value, now);
	} else if (Rtc::has(port)) {
		rtc_.write(port, value);
	} else if (port == Port::speaker) {
		speaker_ = value & 0xf;
		pit_.set_gate(value & 1, now);
	} else if (port == Port::test_result) {
		effects.ended = value;
	} else if ((port == Port::keyboard_command && value == 0xfe) ||
		   (port == Port::reset_control && value & 4)) {
		effects.reset = true;
	}
}

std::uint32_t Board::in(std::uint16_t port, unsigned size, GuestTime now)
{
	std::uint32_t value = 0;

	if (pci_.has(port))
		value = pci_.in(port, size);
	else
		for (unsigned i = 0; i < size; i++)
			value |= std::uint32_t{in_byte(static_cast<std::uint16_t>(port + i), now)}
				 << 8 * i;
	advance(now);
	return value;
}

void Board::out(std::uint16_t port, unsigned size, std::uint32_t value, GuestTime now,
		Effects &effects)
{
	/* The address of PCI's configuration is 4 bytes: alone, its second one resets. */
	if (pci_.has(port) && !(port == Port::reset_control && size == 1))
		pci_.out(port, size, value);
	else
		for (unsigned i = 0; i < size; i++)
			out_byte(static_cast<std::uint16_t>(port + i),
				 static_cast<std::uint8_t>(value >> 8 * i), now, effects);
	advance(now);
}

void Board::advance(GuestTime now)
{
	if (pit_.take_edge(now)) {
		pic_.set_line(timer_irq, false);
		pic_.set_line(timer_irq, true);
	}
	pic_.set_line(console_irq, uart_.line());
	const auto wired = PciBus::wired(), lines = pci_.lines();

	for (unsigned irq = 0; irq < 16; irq++)
		if (wired >> irq & 1)
			pic_.set_line(irq, lines >> irq & 1);
}

void Board::receive(std::string_view bytes)
{
	for (const char byte : bytes)
		uart_.receive(static_cast<std::uint8_t>(byte));
}

} /* namespace corbel::vmm */
