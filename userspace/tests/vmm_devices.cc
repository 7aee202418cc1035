// SPDX-License-Identifier: GPL-2.0-or-later
//
// The monitor's devices against what their data sheets say.
#include <vmm/board.hh>

#include <gtest/gtest.h>

namespace {

using namespace corbel::vmm;

constexpr GuestTime ms = 1000000;

/* ---- 8259A ------------------------------------------------------------------------- */

Pic initialized()
{
	Pic pic;

	for (const std::uint16_t port : {0x20, 0xa0}) {
		const bool first = port == 0x20;

		pic.write(port, 0x11);
		pic.write(port + 1, first ? 0x30 : 0x38);
		pic.write(port + 1, first ? 4 : 2);
		pic.write(port + 1, 1);
		pic.write(port + 1, 0);
	}
	return pic;
}

TEST(vmm_pic, gives_the_vector_of_the_line_once)
{
	auto pic = initialized();

	EXPECT_FALSE(pic.asks());
	pic.set_line(4, true);
	EXPECT_TRUE(pic.asks());
	EXPECT_EQ(pic.acknowledge(), 0x34);
	EXPECT_FALSE(pic.asks());
	pic.write(0x20, 0x20);
	EXPECT_FALSE(pic.asks()) << "the edge is over, however high the line is";
	pic.set_line(4, false);
	pic.set_line(4, true);
	EXPECT_TRUE(pic.asks());
}

TEST(vmm_pic, serves_lower_numbers_first_and_nests_only_them)
{
	auto pic = initialized();

	pic.set_line(5, true);
	pic.set_line(3, true);
	EXPECT_EQ(pic.acknowledge(), 0x33);
	EXPECT_FALSE(pic.asks()) << "5 has to wait for the end of 3";
	pic.set_line(1, true);
	EXPECT_EQ(pic.acknowledge(), 0x31);
	pic.write(0x20, 0x20);
	EXPECT_FALSE(pic.asks());
	pic.write(0x20, 0x63);
	EXPECT_EQ(pic.acknowledge(), 0x35);
}

TEST(vmm_pic, has_the_second_chip_behind_line_2)
{
	auto pic = initialized();

	pic.set_line(11, true);
	pic.set_line(3, true);
	EXPECT_EQ(pic.acknowledge(), 0x3b) << "lines 8 to 15 come before line 3";
	EXPECT_FALSE(pic.asks());
	pic.write(0xa0, 0x20);
	pic.write(0x20, 0x20);
	EXPECT_EQ(pic.acknowledge(), 0x33);
}

TEST(vmm_pic, holds_back_masked_lines)
{
	auto pic = initialized();

	pic.write(0x21, 1 << 4);
	pic.set_line(4, true);
	EXPECT_FALSE(pic.asks());
	EXPECT_EQ(pic.read(0x21), 1 << 4);
	EXPECT_EQ(pic.read(0x20), 1 << 4) << "the request is remembered";
	pic.write(0x21, 0);
	EXPECT_TRUE(pic.asks());
}

TEST(vmm_pic, forgets_an_edge_whose_line_fell_and_has_a_spurious_vector_for_it)
{
	auto pic = initialized();

	pic.set_line(4, true);
	pic.set_line(4, false);
	EXPECT_FALSE(pic.asks());
	EXPECT_EQ(pic.acknowledge(), 0x37);
	pic.write(0x20, 0x0b);
	EXPECT_EQ(pic.read(0x20), 0) << "and nothing is in service";
}

TEST(vmm_pic, asks_for_as_long_as_a_level_is_high)
{
	auto pic = initialized();

	pic.make_level_triggered(10);
	EXPECT_EQ(pic.read(0x4d1), 1 << 2);
	pic.set_line(10, true);
	EXPECT_EQ(pic.acknowledge(), 0x3a);
	pic.write(0xa0, 0x20);
	pic.write(0x20, 0x20);
	EXPECT_TRUE(pic.asks());
	pic.set_line(10, false);
	EXPECT_FALSE(pic.asks());
}

TEST(vmm_pic, ends_by_itself_and_rotates_and_is_polled_if_told)
{
	auto pic = initialized();

	pic.write(0x20, 0xc3); /* line 3 is of lowest priority */
	pic.set_line(2 + 3, true);
	pic.set_line(1, true);
	EXPECT_EQ(pic.acknowledge(), 0x35) << "4, 5, 6, 7, 0, 1";
	pic.write(0x20, 0xa0);
	EXPECT_EQ(pic.acknowledge(), 0x31);
	pic.write(0x20, 0x20);
	pic.set_line(6, true);
	pic.write(0x20, 0x0c);
	EXPECT_EQ(pic.read(0x20), 0x86);
}

/* ---- 8254 -------------------------------------------------------------------------- */

void program(Pit &pit, unsigned channel, unsigned mode, std::uint16_t count, GuestTime now)
{
	pit.write(0x43, static_cast<std::uint8_t>(channel << 6 | 0x30 | mode << 1), now);
	pit.write(static_cast<std::uint16_t>(0x40 + channel), count & 0xff, now);
	pit.write(static_cast<std::uint16_t>(0x40 + channel), count >> 8, now);
}

TEST(vmm_pit, ticks_at_its_rate)
{
	Pit pit;

	EXPECT_EQ(pit.next_edge(), never);
	program(pit, 0, 2, 11932, 5 * ms);
	unsigned ticks = 0;
	for (GuestTime now = 5 * ms; now <= 1005 * ms; now += ms / 4)
		ticks += pit.take_edge(now);
	EXPECT_EQ(ticks, 99U) << "1193182 / 11932 Hz";
}

TEST(vmm_pit, has_an_edge_exactly_when_it_says)
{
	Pit pit;

	program(pit, 0, 2, 1193, 7);
	for (int i = 0; i < 1000; i++) {
		const auto next = pit.next_edge();

		ASSERT_FALSE(pit.take_edge(next - 1)) << i;
		ASSERT_TRUE(pit.take_edge(next)) << i;
		ASSERT_FALSE(pit.take_edge(next)) << i;
	}
}

TEST(vmm_pit, makes_one_tick_of_those_missed)
{
	Pit pit;

	program(pit, 0, 2, 1193, 0);
	EXPECT_TRUE(pit.take_edge(100 * ms));
	EXPECT_FALSE(pit.take_edge(100 * ms));
	EXPECT_GT(pit.next_edge(), 100 * ms);
	EXPECT_LE(pit.next_edge(), 101 * ms);
}

TEST(vmm_pit, ticks_once_in_modes_0_and_4)
{
	for (const unsigned mode : {0U, 4U}) {
		Pit pit;

		program(pit, 0, mode, 1193, 0);
		EXPECT_FALSE(pit.take_edge(ms / 2));
		EXPECT_TRUE(pit.take_edge(2 * ms));
		EXPECT_EQ(pit.next_edge(), never);
		program(pit, 0, mode, 1193, 2 * ms);
		EXPECT_NE(pit.next_edge(), never);
	}
}

TEST(vmm_pit, takes_0_for_65536)
{
	Pit pit;

	program(pit, 0, 2, 0, 0);
	EXPECT_GE(pit.next_edge(), 54 * ms);
	EXPECT_LE(pit.next_edge(), 55 * ms);
}

TEST(vmm_pit, counts_down_and_latches)
{
	Pit pit;

	program(pit, 0, 2, 11932, 0);
	pit.write(0x43, 0x00, 1 * ms); /* latch channel 0 */
	const unsigned low = pit.read(0x40, 3 * ms), high = pit.read(0x40, 4 * ms);
	EXPECT_EQ(high << 8 | low, 11932U - 1193);
	const unsigned later = pit.read(0x40, 4 * ms);
	EXPECT_EQ(later | pit.read(0x40, 4 * ms) << 8, 11932U - 4772) << "no longer latched";
}

TEST(vmm_pit, reads_its_status_back)
{
	Pit pit;

	pit.write(0x43, 0x34, 0);
	pit.write(0x43, 0xe2, 0);
	EXPECT_EQ(pit.read(0x40, 0), 0xf4) << "output high, no count yet, both bytes, mode 2";
	program(pit, 0, 2, 100, 0);
	pit.write(0x43, 0xe2, 0);
	EXPECT_EQ(pit.read(0x40, 0), 0xb4);
}

TEST(vmm_pit, has_the_gate_start_channel_2)
{
	Pit pit;

	program(pit, 2, 0, 1193, 0);
	pit.set_gate(true, 10 * ms);
	EXPECT_FALSE(pit.output(10 * ms + ms / 2));
	EXPECT_TRUE(pit.output(11 * ms));
}

/* ---- 16550A ------------------------------------------------------------------------ */

TEST(vmm_uart, sends_at_once_and_says_so)
{
	Uart uart;

	EXPECT_EQ(uart.read(5) & 0x60, 0x60);
	EXPECT_EQ(uart.write(0, 'x'), std::uint8_t{'x'});
	EXPECT_FALSE(uart.line());
	uart.write(1, 2);
	EXPECT_TRUE(uart.line());
	EXPECT_EQ(uart.read(2) & 0xf, 2);
	EXPECT_FALSE(uart.line()) << "reading the reason takes it back";
	EXPECT_EQ(uart.read(2) & 0xf, 1);
}

TEST(vmm_uart, keeps_what_is_received_in_order)
{
	Uart uart;

	EXPECT_EQ(uart.room(), 1U);
	uart.write(2, 1);
	EXPECT_EQ(uart.room(), 16U);
	uart.write(1, 1);
	for (unsigned round = 0; round < 3; round++) {
		for (std::uint8_t i = 0; i < 16; i++)
			uart.receive(i);
		EXPECT_EQ(uart.room(), 0U);
		EXPECT_TRUE(uart.line());
		EXPECT_EQ(uart.read(2), 0xc4);
		for (std::uint8_t i = 0; i < 16; i++) {
			EXPECT_EQ(uart.read(5) & 1, 1);
			EXPECT_EQ(uart.read(0), i);
		}
		EXPECT_EQ(uart.read(5) & 1, 0);
		EXPECT_FALSE(uart.line());
	}
}

TEST(vmm_uart, has_its_divisor_behind_the_latch_bit)
{
	Uart uart;

	uart.write(3, 0x83);
	EXPECT_EQ(uart.write(0, 12), std::nullopt);
	uart.write(1, 1);
	EXPECT_EQ(uart.read(0), 12);
	EXPECT_EQ(uart.read(1), 1);
	uart.write(3, 3);
	EXPECT_EQ(uart.read(1), 0) << "and the interrupts are untouched";
}

TEST(vmm_uart, loops_back)
{
	Uart uart;

	uart.write(4, 0x1a);
	EXPECT_EQ(uart.read(6), 0x90) << "as the kernel's probe wants it";
	EXPECT_EQ(uart.write(0, 'y'), std::nullopt);
	EXPECT_EQ(uart.read(0), 'y');
}

/* ---- MC146818 ---------------------------------------------------------------------- */

std::uint8_t cmos(Rtc &rtc, std::uint8_t which, GuestTime now)
{
	rtc.write(0x70, which);
	return rtc.read(0x71, now);
}

TEST(vmm_rtc, shows_the_time_of_day_in_bcd)
{
	Rtc rtc(1709251199); /* 2024-02-28 23:59:59 UTC was 1709164799; a day later the 29th */
	const std::uint8_t last[] = {0x59, 0x59, 0x23, 0x29, 0x02, 0x24, 0x20};
	const std::uint8_t next[] = {0x00, 0x00, 0x00, 0x01, 0x03, 0x24, 0x20};
	const std::uint8_t which[] = {0, 2, 4, 7, 8, 9, 0x32};

	for (unsigned i = 0; i < 7; i++) {
		EXPECT_EQ(cmos(rtc, which[i], 0), last[i]) << i;
		EXPECT_EQ(cmos(rtc, which[i], second), next[i]) << i;
	}
	EXPECT_EQ(cmos(rtc, 6, 0), 5) << "a Thursday";
	EXPECT_EQ(cmos(rtc, 11, 0), 2);
}

TEST(vmm_rtc, says_when_it_is_about_to_change_and_keeps_bytes)
{
	Rtc rtc(0);

	EXPECT_EQ(cmos(rtc, 10, ms) & 0x80, 0);
	EXPECT_EQ(cmos(rtc, 10, second - ms) & 0x80, 0x80);
	rtc.write(0x70, 0x40);
	rtc.write(0x71, 0x5a);
	EXPECT_EQ(cmos(rtc, 0x40, 0), 0x5a);
	EXPECT_EQ(cmos(rtc, 0x41, 0), 0);
	EXPECT_EQ(cmos(rtc, 0x7f, 0), rtc.read(0x71, 0)) << "the last register is no hole";
}

/* ---- the board --------------------------------------------------------------------- */

TEST(vmm_board, interrupts_by_the_timer_and_the_console)
{
	Board board(0);
	Effects effects;

	board.out(0x20, 1, 0x11, 0, effects);
	for (const std::uint32_t word : {0x30U, 4U, 1U, 0U})
		board.out(0x21, 1, word, 0, effects);
	board.out(0x43, 1, 0x34, 0, effects);
	board.out(0x40, 1, 0xa9, 0, effects);
	board.out(0x40, 1, 0x04, 0, effects);
	const auto deadline = board.deadline();
	board.advance(deadline - 1);
	EXPECT_FALSE(board.interrupts());
	board.advance(deadline);
	ASSERT_TRUE(board.interrupts());
	EXPECT_EQ(board.acknowledge(), 0x30);
	board.out(0x20, 1, 0x20, deadline, effects);
	board.out(0x3f9, 1, 1, deadline, effects);
	board.receive("a");
	board.advance(deadline);
	ASSERT_TRUE(board.interrupts());
	EXPECT_EQ(board.acknowledge(), 0x34);
	EXPECT_EQ(board.in(0x3f8, 1, deadline), 'a');
}

TEST(vmm_board, lets_the_guest_print_and_end)
{
	Board board(0);
	Effects effects;

	for (const char letter : std::string_view("hi"))
		board.out(0x3f8, 1, static_cast<std::uint8_t>(letter), 0, effects);
	EXPECT_EQ(effects.console, "hi");
	EXPECT_FALSE(effects.reset);
	board.out(0xcf8, 4, 0x80000000 | 6 << 8, 0, effects);
	EXPECT_FALSE(effects.reset) << "this is the address of PCI's configuration";
	board.out(0xcf9, 1, 6, 0, effects);
	EXPECT_TRUE(effects.reset);
	board.out(0xf4, 1, 9, 0, effects);
	EXPECT_EQ(effects.ended, 9);
}

TEST(vmm_board, reads_ones_where_nothing_is)
{
	Board board(0);

	EXPECT_EQ(board.in(0x1234, 1, 0), 0xffU);
	EXPECT_EQ(board.in(0x1234, 2, 0), 0xffffU);
	EXPECT_EQ(board.in(0x1234, 4, 0), 0xffffffffU);
}

} /* namespace */
