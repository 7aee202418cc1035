// SPDX-License-Identifier: GPL-2.0-or-later
#include "uart.hh"

namespace corbel::vmm {

Uart::Reason Uart::reason() const
{
	if (enabled_ & 1 && held_)
		return received;
	if (enabled_ & 2 && !told_sent_)
		return sent;
	return nothing;
}

/* Carrier, data set ready and clear to send; in loopback what the guest itself sets. */
std::uint8_t Uart::modem_status() const
{
	if (!loops())
		return 0xb0;
	return static_cast<std::uint8_t>((modem_control_ & 1) << 5 | (modem_control_ & 2) << 3 |
					 (modem_control_ & 4) << 4 | (modem_control_ & 8) << 4);
}

std::uint8_t Uart::next()
{
	if (!held_)
		return 0;
	const auto byte = fifo_[first_];

	first_ = (first_ + 1) % 16;
	held_--;
	return byte;
}

void Uart::receive(std::uint8_t byte)
{
	fifo_[(first_ + held_) % 16] = byte;
	held_++;
}

std::uint8_t Uart::read(unsigned offset)
{
	switch (offset) {
	case 0:
		return latch_access() ? divisor_low_ : next();
	case 1:
		return latch_access() ? divisor_high_ : enabled_;
	case 2: {
		const auto why = reason();

		if (why == sent)
			told_sent_ = 1;
		return static_cast<std::uint8_t>((fifo_control_ & 1 ? 0xc0 : 0) | why);
	}
	case 3:
		return line_control_;
	case 4:
		return modem_control_;
	case 5: /* nothing left to send, and whether something was received */
		return static_cast<std::uint8_t>(0x60 | (held_ ? 1 : 0));
	case 6:
		return modem_status();
	default:
		return scratch_;
	}
}

std::optional<std::uint8_t> Uart::write(unsigned offset, std::uint8_t value)
{
	switch (offset) {
	case 0:
		if (latch_access()) {
			divisor_low_ = value;
			break;
		}
		told_sent_ = 0;
		if (!loops())
			return value;
		if (room())
			receive(value);
		break;
	case 1:
		if (latch_access()) {
			divisor_high_ = value;
			break;
		}
		if (value & 2 && !(enabled_ & 2))
			told_sent_ = 0;
		enabled_ = value & 15;
		break;
	case 2:
		/* Switching it, or bit 1, empties what was received. */
		if ((value ^ fifo_control_) & 1 || value & 2)
			held_ = first_ = 0;
		fifo_control_ = value & 0xc9;
		break;
	case 3:
		line_control_ = value;
		break;
	case 4:
		modem_control_ = value & 0x1f;
		break;
	case 7:
		scratch_ = value;
		break;
	default:
		break;
	}
	return std::nullopt;
}

} /* namespace corbel::vmm */
