// SPDX-License-Identifier: GPL-2.0-or-later
#include "rtc.hh"

#include <chrono>

namespace corbel::vmm {

namespace {

enum Register : std::uint8_t {
	seconds = 0,
	minutes = 2,
	hours = 4,
	weekday = 6,
	day = 7,
	month = 8,
	year = 9,
	status_a = 10,
	status_b = 11,
	status_c = 12,
	status_d = 13,
	century = 0x32,
};

/* For so long before each second the datasheet has bit 7 of A say: do not read. */
constexpr GuestTime update = 244000 + 1984000;

constexpr std::uint8_t bcd(unsigned value)
{
	return static_cast<std::uint8_t>(value / 10 << 4 | value % 10);
}

} /* namespace */

std::uint8_t Rtc::read(std::uint16_t port, GuestTime now) const
{
	using namespace std::chrono;

	if (port == 0x70)
		return chosen_;
	const sys_seconds time{std::chrono::seconds(began_ + now / vmm::second)};
	const auto date = floor<days>(time);
	const year_month_day calendar(date);
	const hh_mm_ss clock(time - date);
	const auto full_year = static_cast<unsigned>(static_cast<int>(calendar.year()));

	switch (chosen_) {
	case Register::seconds:
		return bcd(static_cast<unsigned>(clock.seconds().count()));
	case Register::minutes:
		return bcd(static_cast<unsigned>(clock.minutes().count()));
	case Register::hours:
		return bcd(static_cast<unsigned>(clock.hours().count()));
	case Register::weekday:
		return bcd(std::chrono::weekday(date).c_encoding() + 1);
	case Register::day:
		return bcd(static_cast<unsigned>(calendar.day()));
	case Register::month:
		return bcd(static_cast<unsigned>(calendar.month()));
	case Register::year:
		return bcd(full_year % 100);
	case Register::century:
		return bcd(full_year / 100);
	case Register::status_a:
		return vmm::second - now % vmm::second <= update ? 0xa6 : 0x26;
	case Register::status_b:
		return 0x02; /* BCD, 24 hours */
	case Register::status_c:
		return 0;
	case Register::status_d:
		return 0x80; /* the battery is good */
	default:
		return memory_[chosen_];
	}
}

void Rtc::write(std::uint16_t port, std::uint8_t value)
{
	if (port == 0x70)
		chosen_ = (value & 0x7f) % memory_.size();
	else
		memory_[chosen_] = value;
}

} /* namespace corbel::vmm */
