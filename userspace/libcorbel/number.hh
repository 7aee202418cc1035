/* SPDX-License-Identifier: GPL-2.0-or-later */
/* number.hh - decimal numbers in texts that the kernel or others wrote. */
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace corbel {

/* What all of @text says; nothing: it says something else, or more than T holds. */
template <typename T>
[[nodiscard]] std::optional<T> number_of(std::string_view text)
{
	T number{};
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);

	if (error != std::errc() || end != text.data() + text.size())
		return std::nullopt;
	return number;
}

} /* namespace corbel */
