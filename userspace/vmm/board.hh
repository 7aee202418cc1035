/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * board.hh - the devices of the machine and the ports they are at.
 *
 * All of it is state that can be copied, compared by its bytes, and follows from what the
 * guest did, what came from outside (receive()) and the times it is given: there is no clock,
 * no descriptor and no thread in here. So a copy is a checkpoint, and devices need no log of
 * their own.
 */
#pragma once

#include "guest_time.hh"
#include "pci_bus.hh"
#include "pic.hh"
#include "pit.hh"
#include "rtc.hh"
#include "uart.hh"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace corbel::vmm {

/* What leaves the machine while the guest does its port I/O. */
struct Effects {
	std::string console;
	std::optional<std::uint8_t> ended; /* a test guest's result, by port 0xf4 */
	bool reset = false;
};

class Board {
public:
	explicit Board(std::uint64_t began);

	/* @size: 1, 2 or 4 bytes. A port that nobody has reads as ones. */
	[[nodiscard]] std::uint32_t in(std::uint16_t port, unsigned size, GuestTime now);
	void out(std::uint16_t port, unsigned size, std::uint32_t value, GuestTime now,
		 Effects &effects);

	/* Time has passed, and lines follow. */
	void advance(GuestTime now);
	/* When advance() has something to do next. */
	[[nodiscard]] GuestTime deadline() const { return pit_.next_edge(); }

	[[nodiscard]] bool interrupts() const { return pic_.asks(); }
	[[nodiscard]] std::uint8_t acknowledge() { return pic_.acknowledge(); }

	/* Input for the console: how many bytes fit, and they. */
	[[nodiscard]] std::size_t console_room() const { return uart_.room(); }
	void receive(std::string_view bytes);

	[[nodiscard]] PciBus &pci() { return pci_; }

private:
	[[nodiscard]] std::uint8_t in_byte(std::uint16_t port, GuestTime now);
	void out_byte(std::uint16_t port, std::uint8_t value, GuestTime now, Effects &effects);

	Rtc rtc_;
	Pit pit_;
	PciBus pci_;
	Pic pic_;
	Uart uart_;
	std::uint8_t speaker_ = 0; /* port 0x61, what was written */
	[[maybe_unused]] std::uint8_t reserved_[3] = {};
};

static_assert(std::is_trivially_copyable_v<Board> &&
	      std::has_unique_object_representations_v<Board>);

} /* namespace corbel::vmm */
