// SPDX-License-Identifier: GPL-2.0-or-later
#include "uuid.hh"

#include <cerrno>

#include <sys/random.h>

#include <fmt/format.h>

namespace corbel {

Result<UuidBytes> random_uuid()
{
	UuidBytes bytes{};

	if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
		return failure(errno, fmt::format("There are no random numbers for a uuid: {}.",
						  describe_errno(errno)));
	/* Version 4, variant 1. */
	bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
	bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
	return bytes;
}

std::string uuid_text(const std::uint8_t *bytes)
{
	std::string text;

	for (int i = 0; i < 16; i++)
		text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				    bytes[i]);
	return text;
}

} /* namespace corbel */
