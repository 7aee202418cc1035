/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * option.hh - QEMU's command line, as it stands in /proc/PID/cmdline.
 *
 * `-name VALUE` or `--name VALUE`; parameters apart by commas, a doubled comma stands for
 * one; the first parameter without `=` belongs to a key that depends on the option. Where
 * QEMU takes JSON too, its members become parameters with dots (`file.filename`), which
 * is the other spelling of the same thing.
 */
#pragma once

#include <libcorbel/error.hh>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corbel::qemu {

struct Option {
	std::string name; /* without dashes */
	std::string value; /* empty: it has none */
};

inline constexpr std::size_t most_options = 16384;
inline constexpr std::size_t most_parameters = 1024; /* of an option */

/* E2BIG: more than most_options. What is neither an option nor its value is passed over. */
[[nodiscard]] Result<std::vector<Option>> options_of(std::string_view command_line);

class Parameters {
public:
	/* What is not understood gives no parameters. @first: the key of the first one. */
	explicit Parameters(std::string_view value, std::string_view first = {});

	/* The last one of @key; empty: there is none. */
	[[nodiscard]] const std::string &operator[](std::string_view key) const;
	/* As QEMU's switches are written, among them `server` and `noserver`. */
	[[nodiscard]] bool is_on(std::string_view key) const;
	[[nodiscard]] const std::vector<std::pair<std::string, std::string>> &all() const
	{
		return all_;
	}

private:
	std::vector<std::pair<std::string, std::string>> all_;
};

/* QEMU's sizes: digits with B, K, M, G, T; without one times @unit. 0: it is none. */
[[nodiscard]] std::uint64_t size_of(std::string_view text, std::uint64_t unit);

} /* namespace corbel::qemu */
