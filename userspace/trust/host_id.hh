/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host_id.hh - which host: a UUID that it keeps for life, and the name people use. */
#pragma once

#include <libcorbel/error.hh>

#include <chrono>
#include <compare>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace corbel::trust {

using Time = std::chrono::sys_seconds;
using Clock = std::function<Time()>;

/* This host's clock. */
[[nodiscard]] Time now_here();
/* "2026-11-23 19:05 UTC" */
[[nodiscard]] std::string text_of(Time time);

/* Lower case, 36 characters. */
struct HostId {
	std::string uuid;

	auto operator<=>(const HostId &) const = default;
};

/* Nothing if @text is not a UUID as above. */
[[nodiscard]] std::optional<HostId> host_id_of(std::string_view text);
/* A new one, of random bytes. EIO: there are none. */
[[nodiscard]] Result<HostId> random_host_id();

/*
 * 1 to 64 letters, digits, dots, hyphens and underscores: what can be a host's name, and
 * nothing that a terminal or a log would take for something else.
 */
[[nodiscard]] bool is_host_name(std::string_view name);

/* @bytes as lower case hexadecimal digits. */
[[nodiscard]] std::string hex_of(std::string_view bytes);

} /* namespace corbel::trust */
