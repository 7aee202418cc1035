/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uart.hh - a 16550A: what is sent is out at once, what is received waits in its FIFO of 16
 * bytes (of one, while the guest has not switched the FIFO on).
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace corbel::vmm {

class Uart {
public:
	/* @offset: 0 to 7. */
	[[nodiscard]] std::uint8_t read(unsigned offset);
	/* A byte, if that sent one. */
	std::optional<std::uint8_t> write(unsigned offset, std::uint8_t value);

	/* How many bytes can be received now. */
	[[nodiscard]] std::size_t room() const { return (fifo_control_ & 1 ? 16U : 1U) - held_; }
	/* There is room for it. */
	void receive(std::uint8_t byte);

	[[nodiscard]] bool line() const { return reason() != nothing; }

private:
	enum Reason : std::uint8_t { nothing = 1, sent = 2, received = 4 };

	[[nodiscard]] Reason reason() const;
	[[nodiscard]] bool latch_access() const { return line_control_ & 0x80; }
	[[nodiscard]] bool loops() const { return modem_control_ & 0x10; }
	[[nodiscard]] std::uint8_t modem_status() const;
	[[nodiscard]] std::uint8_t next();

	std::array<std::uint8_t, 16> fifo_{};
	std::uint8_t first_ = 0, held_ = 0;
	std::uint8_t enabled_ = 0, fifo_control_ = 0, line_control_ = 0, modem_control_ = 0;
	std::uint8_t scratch_ = 0, divisor_low_ = 0, divisor_high_ = 0;
	std::uint8_t told_sent_ = 1; /* that the last byte is out has been seen */
};

static_assert(std::has_unique_object_representations_v<Uart>);

} /* namespace corbel::vmm */
