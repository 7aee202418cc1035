// SPDX-License-Identifier: GPL-2.0-or-later
#include "pit.hh"

namespace corbel::vmm {

namespace {

using Wide = unsigned __int128;

constexpr std::uint64_t ticks_of(GuestTime time)
{
	return static_cast<std::uint64_t>(Wide{time} * Pit::frequency / second);
}

/* The first time at which that many ticks have passed. */
constexpr GuestTime time_of(std::uint64_t ticks)
{
	return static_cast<GuestTime>((Wide{ticks} * second + Pit::frequency - 1) / Pit::frequency);
}

} /* namespace */

/* ---- a channel --------------------------------------------------------------------- */

std::uint64_t Pit::Channel::ticks(GuestTime now) const
{
	return counting && now > started ? ticks_of(now - started) : 0;
}

std::uint16_t Pit::Channel::value(GuestTime now) const
{
	const auto passed = ticks(now);

	switch (mode) {
	case 2:
		return static_cast<std::uint16_t>(count - passed % count);
	case 3: /* by twos */
		return static_cast<std::uint16_t>((count - 2 * passed % count) & ~1U);
	default: /* wraps, and goes on */
		return static_cast<std::uint16_t>(count - passed);
	}
}

bool Pit::Channel::output(GuestTime now) const
{
	const auto passed = ticks(now);

	switch (mode) {
	case 2:
		return !counting || passed % count != count - 1;
	case 3:
		return !counting || passed % count < (count + 1) / 2;
	case 4:
	case 5:
		return !counting || passed != count;
	default:
		return counting && passed >= count;
	}
}

void Pit::Channel::hold(GuestTime now)
{
	if (latched)
		return;
	latch = value(now);
	latched = 1;
}

void Pit::Channel::control(std::uint8_t value)
{
	access = value >> 4 & 3;
	mode = value >> 1 & 7;
	if (mode > 5)
		mode &= 3;
	second_write = second_read = latched = status_latched = 0;
	counting = 0;
	edges = 0;
}

void Pit::Channel::load(std::uint16_t value, GuestTime now)
{
	count = value ? value : 65536;
	started = now;
	edges = 0;
	counting = 1;
}

void Pit::Channel::write(std::uint8_t value, GuestTime now)
{
	switch (access) {
	case 1:
		load(value, now);
		break;
	case 2:
		load(static_cast<std::uint16_t>(value << 8), now);
		break;
	default:
		if (!second_write)
			low_byte = value;
		else
			load(static_cast<std::uint16_t>(value << 8 | low_byte), now);
		second_write ^= 1;
	}
}

std::uint8_t Pit::Channel::read(GuestTime now)
{
	if (status_latched) {
		status_latched = 0;
		return status;
	}
	const auto shown = latched ? latch : value(now);

	if (access == 1 || access == 2) {
		latched = 0;
		return static_cast<std::uint8_t>(access == 1 ? shown : shown >> 8);
	}
	if (second_read)
		latched = 0;
	second_read ^= 1;
	return static_cast<std::uint8_t>(second_read ? shown : shown >> 8);
}

/* ---- the chip ---------------------------------------------------------------------- */

void Pit::read_back(std::uint8_t value, GuestTime now)
{
	for (unsigned i = 0; i < 3; i++) {
		Channel &channel = channels_[i];

		if (!(value & 2U << i))
			continue;
		if (!(value & 0x20))
			channel.hold(now);
		if (!(value & 0x10) && !channel.status_latched) {
			channel.status = static_cast<std::uint8_t>(
				channel.output(now) << 7 | !channel.counting << 6 |
				channel.access << 4 | channel.mode << 1);
			channel.status_latched = 1;
		}
	}
}

std::uint8_t Pit::read(std::uint16_t port, GuestTime now)
{
	return port == 0x43 ? 0 : channels_[port & 3].read(now);
}

void Pit::write(std::uint16_t port, std::uint8_t value, GuestTime now)
{
	if (port != 0x43)
		channels_[port & 3].write(value, now);
	else if (value >> 6 == 3)
		read_back(value, now);
	else if (!(value & 0x30))
		channels_[value >> 6].hold(now);
	else
		channels_[value >> 6].control(value);
}

GuestTime Pit::next_edge() const
{
	const Channel &channel = channels_[0];

	if (!channel.counting || (channel.edges && !channel.periodic()))
		return never;
	const auto ticks = channel.count * (channel.edges + 1);

	return channel.started + time_of(ticks);
}

bool Pit::take_edge(GuestTime now)
{
	Channel &channel = channels_[0];

	if (now < next_edge())
		return false;
	channel.edges = channel.periodic() ? channel.ticks(now) / channel.count : 1;
	return true;
}

void Pit::set_gate(bool high, GuestTime now)
{
	Channel &channel = channels_[2];

	if (high && !channel.gate)
		channel.started = now;
	channel.gate = high;
}

bool Pit::output(GuestTime now) const
{
	return channels_[2].output(now);
}

} /* namespace corbel::vmm */
