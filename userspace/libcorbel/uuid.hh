/* SPDX-License-Identifier: GPL-2.0-or-later */
/* uuid.hh - UUIDs made of random bytes (version 4, RFC 4122), and how all of them are written. */
#pragma once

#include "error.hh"

#include <array>
#include <cstdint>

namespace corbel {

using UuidBytes = std::array<std::uint8_t, 16>;

[[nodiscard]] Result<UuidBytes> random_uuid();

/* "12345678-9abc-...", of 16 bytes. */
[[nodiscard]] std::string uuid_text(const std::uint8_t *bytes);

} /* namespace corbel */
