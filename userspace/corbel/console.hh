/* SPDX-License-Identifier: GPL-2.0-or-later */
/* console.hh - the serial console of a guest on this terminal. */
#pragma once

#include <libcorbel/error.hh>

#include <string>
#include <string_view>

namespace corbel::cli {

/* What the operator types to leave, as `telnet` and `virsh console` have it: Ctrl-]. */
inline constexpr char leave_key = 0x1d;

/*
 * Joins standard input and output to the socket at @path until the leave_key is typed, a
 * signal comes or the guest ends. A terminal passes on each key, Ctrl-C too, and is as it
 * was afterwards; input that is no terminal may end, and output goes on. What the guest
 * has not taken is kept up to 64 KiB; then no more is read of the input that is no
 * terminal, and what is typed is lost.
 */
[[nodiscard]] Result<void> join_console(const std::string &path);

/* The last @lines lines of @text, whether or not the last of them has ended. */
[[nodiscard]] std::string_view last_lines(std::string_view text, std::size_t lines);

} /* namespace corbel::cli */
