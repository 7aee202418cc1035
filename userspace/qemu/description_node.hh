/* SPDX-License-Identifier: GPL-2.0-or-later */
/* description_node.hh - a table of a description, and what is wrong with a key of it. */
#pragma once

#include "bounded_json.hh"
#include "toml.hh"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::qemu {

/* The root; EINVAL where @text is neither TOML nor JSON. */
[[nodiscard]] Result<toml::table> table_of(std::string_view text, std::string_view source);

/* Every function that takes a key makes it a known one. */
class DescriptionNode {
public:
	DescriptionNode(const toml::table &table, std::string_view source, std::string prefix = {})
		: table_(table), source_(source), prefix_(std::move(prefix))
	{}

	/* Text without control characters. Nothing: there is no such key. */
	[[nodiscard]] Result<std::optional<std::string>> text(std::string_view key);
	/* One that @fits, else an error that says what is @allowed. */
	[[nodiscard]] Result<void> text(std::string_view key, std::string &value,
					const std::function<bool(const std::string &)> &fits,
					std::string_view allowed);
	[[nodiscard]] Result<void> word(std::string_view key, std::string &value,
					const std::vector<std::string_view> &allowed);
	[[nodiscard]] Result<void> flag(std::string_view key, bool &value);
	[[nodiscard]] Result<std::optional<std::uint64_t>>
	number(std::string_view key, std::uint64_t least, std::uint64_t most);
	/* "512M", within @least and @most, and a multiple of @least. */
	[[nodiscard]] Result<std::optional<std::uint64_t>>
	size(std::string_view key, std::uint64_t least, std::uint64_t most);
	[[nodiscard]] Result<void> texts(std::string_view key, std::vector<std::string> &values);
	[[nodiscard]] Result<std::vector<DescriptionNode>> tables(std::string_view key);
	[[nodiscard]] Result<std::optional<DescriptionNode>> table(std::string_view key);
	[[nodiscard]] bool is_text(std::string_view key) const;

	/* That all keys are known. */
	[[nodiscard]] Result<void> finish() const;

	/* FILE:LINE: 'disks[0].format' @what */
	[[nodiscard]] std::unexpected<Error> wrong(std::string_view key,
						   std::string_view what) const;

private:
	[[nodiscard]] const toml::node *take(std::string_view key);
	[[nodiscard]] std::unexpected<Error> wrong_at(const toml::node *node, std::string_view key,
						      std::string_view what) const;

	std::reference_wrapper<const toml::table> table_;
	std::string_view source_;
	std::string prefix_;
	std::set<std::string, std::less<>> known_;
};

} /* namespace corbel::qemu */
