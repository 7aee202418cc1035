/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text_file.hh - small files, of /proc and /sys above all, as a string. */
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace corbel {

/* The bytes of the file, at most @limit of them; nothing if it cannot be read. */
[[nodiscard]] std::optional<std::string> text_of_file(const std::filesystem::path &path,
						      std::size_t limit = std::size_t{1} << 26);

/* Without the end of line. */
[[nodiscard]] std::optional<std::string> first_line_of(const std::filesystem::path &path);

} /* namespace corbel */
