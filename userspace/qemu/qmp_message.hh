/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qmp_message.hh - what QEMU says on a QMP socket: lines, and what is in them.
 *
 * Knows of no socket, so that every input can be tried. QEMU is not trusted here: a guest
 * may have taken it over.
 */
#pragma once

#include "bounded_json.hh"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace corbel::qemu {

inline constexpr std::size_t longest_qmp_line = std::size_t{4} << 20;

struct QmpGreeting {
	std::string version; /* "7.2.22" */
};

struct QmpReply {
	std::uint64_t id;
	Result<ForeignJson> value; /* ENOTSUP: no such command; else EREMOTEIO */
};

struct QmpEvent {
	std::string name;
	ForeignJson data;
	std::size_t size = 0; /* of its line */
};

/* Something else, such as a reply to nobody. */
struct QmpNoise {};

using QmpMessage = std::variant<QmpGreeting, QmpReply, QmpEvent, QmpNoise>;

/* Bytes as they come, and the lines they make up. */
class QmpLines {
public:
	/* EMSGSIZE: a line is longer than longest_qmp_line. */
	[[nodiscard]] Result<void> add(std::string_view bytes);
	[[nodiscard]] std::optional<std::string> next();

private:
	std::string bytes_;
	std::size_t searched_ = 0; /* up to there is no end of a line */
	std::size_t taken_ = 0;
};

/* EBADMSG and what is wrong, without a full stop. */
[[nodiscard]] Result<QmpMessage> parse_qmp(std::string_view line);

} /* namespace corbel::qemu */
