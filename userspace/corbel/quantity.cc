// SPDX-License-Identifier: GPL-2.0-or-later
#include "quantity.hh"

#include <ctime>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

/* The bounds are where rounding would add a digit: 9.995 is shown as 10.0. */
std::string three_digits(double value)
{
	if (value < 9.995)
		return fmt::format("{:.2f}", value);
	if (value < 99.95)
		return fmt::format("{:.1f}", value);
	return fmt::format("{:.0f}", value);
}

} /* namespace */

std::string show_duration(std::uint64_t ns)
{
	auto value = static_cast<double>(ns);

	if (ns < 1000)
		return fmt::format("{} ns", ns);
	if (value < 999.5e3)
		return three_digits(value / 1e3) + " us";
	if (value < 999.5e6)
		return three_digits(value / 1e6) + " ms";
	return three_digits(value / 1e9) + " s";
}

std::string show_rate(double per_second)
{
	if (per_second < 0.05)
		return per_second > 0 ? "<0.1/s" : "0/s";
	if (per_second < 9.95)
		return fmt::format("{:.1f}/s", per_second);
	if (per_second < 999.5)
		return fmt::format("{:.0f}/s", per_second);
	if (per_second < 999.5e3)
		return three_digits(per_second / 1e3) + "k/s";
	return three_digits(per_second / 1e6) + "M/s";
}

std::string show_count(std::uint64_t count)
{
	auto value = static_cast<double>(count);

	if (count < 10'000'000)
		return fmt::format("{}", count);
	if (value < 999.5e6)
		return three_digits(value / 1e6) + "M";
	return three_digits(value / 1e9) + "G";
}

std::string show_number_of(std::uint64_t count, std::string_view noun)
{
	return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string show_vector(unsigned vector)
{
	return fmt::format("0x{:02x}", vector);
}

std::string show_time(std::chrono::system_clock::time_point time)
{
	auto seconds = std::chrono::system_clock::to_time_t(time);
	char text[sizeof("2024-05-01T12:00:00Z")];
	std::tm parts{};

	::gmtime_r(&seconds, &parts);
	return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

} /* namespace corbel::cli */
