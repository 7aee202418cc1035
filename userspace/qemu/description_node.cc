// SPDX-License-Identifier: GPL-2.0-or-later
#include "description_node.hh"

#include "option.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace corbel::qemu {

namespace {

constexpr std::size_t longest_text = 4096;
constexpr std::size_t most_values = 256; /* of a list */

void put(toml::table &table, const std::string &key, const ForeignJson &value, bool &fits);

void put(toml::array &array, const ForeignJson &value, bool &fits)
{
	toml::table one;

	put(one, "value", value, fits);
	if (auto *node = one.get("value"))
		node->visit([&](auto &typed) { array.push_back(std::move(typed)); });
}

/* @fits becomes false where TOML has no such value. */
void put(toml::table &table, const std::string &key, const ForeignJson &value, bool &fits)
{
	if (value.is_object()) {
		toml::table inner;

		for (const auto &[name, member] : value.items())
			put(inner, name, member, fits);
		table.insert(key, std::move(inner));
	} else if (value.is_array()) {
		toml::array inner;

		for (const auto &member : value)
			put(inner, member, fits);
		table.insert(key, std::move(inner));
	} else if (value.is_string()) {
		table.insert(key, value.get<std::string>());
	} else if (value.is_boolean()) {
		table.insert(key, value.get<bool>());
	} else if (value.is_number_float()) {
		table.insert(key, value.get<double>());
	} else if (value.is_number_integer() &&
		   (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX)) {
		table.insert(key, value.get<std::int64_t>());
	} else {
		fits = false;
	}
}

} /* namespace */

Result<toml::table> table_of(std::string_view text, std::string_view source)
{
	const auto first = text.find_first_not_of(" \t\r\n");

	if (first != text.npos && text[first] == '{') {
		const auto json = parse_bounded_json(text);
		toml::table table;
		bool fits = true;

		if (!json)
			return failure(EINVAL,
				       fmt::format("{}: {}.", source, json.error().sentence));
		for (const auto &[key, value] : json->items())
			put(table, key, value, fits);
		if (!fits)
			return failure(EINVAL,
				       fmt::format("{}: a value is null, or a number beyond "
						   "64 bits: leave the key out.",
						   source));
		return table;
	}
	auto parsed = toml::parse(text);
	if (!parsed)
		return failure(EINVAL, fmt::format("{}:{}: it is no TOML: {}.", source,
						   parsed.error().source().begin.line,
						   parsed.error().description()));
	return std::move(parsed).table();
}

const toml::node *DescriptionNode::take(std::string_view key)
{
	known_.emplace(key);
	return table_.get().get(key);
}

std::unexpected<Error> DescriptionNode::wrong_at(const toml::node *node, std::string_view key,
						 std::string_view what) const
{
	auto line = node ? node->source().begin.line : 0;

	if (line == 0)
		line = table_.get().source().begin.line;
	return failure(EINVAL, fmt::format("{}{}: '{}{}' {}.", source_,
					   line ? fmt::format(":{}", line) : std::string(), prefix_,
					   key, what));
}

std::unexpected<Error> DescriptionNode::wrong(std::string_view key, std::string_view what) const
{
	return wrong_at(table_.get().get(key), key, what);
}

bool DescriptionNode::is_text(std::string_view key) const
{
	const auto *node = table_.get().get(key);

	return node && node->is_string();
}

Result<std::optional<std::string>> DescriptionNode::text(std::string_view key)
{
	const auto *node = take(key);

	if (!node)
		return std::nullopt;
	auto value = node->value_exact<std::string>();
	if (!value)
		return wrong_at(node, key, "must be a text in quotes");
	if (value->empty() || value->size() > longest_text)
		return wrong_at(node, key, fmt::format("must have 1 to {} bytes", longest_text));
	if (std::ranges::any_of(*value, [](unsigned char c) { return c < ' ' || c == 0x7f; }))
		return wrong_at(node, key, "must not have control characters");
	return value;
}

Result<void> DescriptionNode::text(std::string_view key, std::string &value,
				   const std::function<bool(const std::string &)> &fits,
				   std::string_view allowed)
{
	auto text = CORBEL_EXPECT(this->text(key));

	if (!text)
		return {};
	if (!fits(*text))
		return wrong(key,
			     fmt::format("is '{}': it must be {}", text->substr(0, 100), allowed));
	value = std::move(*text);
	return {};
}

Result<void> DescriptionNode::word(std::string_view key, std::string &value,
				   const std::vector<std::string_view> &allowed)
{
	return text(
		key, value,
		[&](const std::string &word) { return std::ranges::count(allowed, word) > 0; },
		fmt::format("one of {}", fmt::join(allowed, ", ")));
}

Result<void> DescriptionNode::flag(std::string_view key, bool &value)
{
	const auto *node = take(key);

	if (!node)
		return {};
	const auto flag = node->value_exact<bool>();
	if (!flag)
		return wrong_at(node, key, "must be true or false");
	value = *flag;
	return {};
}

Result<std::optional<std::uint64_t>>
DescriptionNode::number(std::string_view key, std::uint64_t least, std::uint64_t most)
{
	const auto *node = take(key);

	if (!node)
		return std::nullopt;
	const auto number = node->value_exact<std::int64_t>();
	if (!number || *number < 0 || static_cast<std::uint64_t>(*number) < least ||
	    static_cast<std::uint64_t>(*number) > most)
		return wrong_at(node, key,
				fmt::format("must be a number from {} to {}", least, most));
	return static_cast<std::uint64_t>(*number);
}

Result<std::optional<std::uint64_t>> DescriptionNode::size(std::string_view key,
							   std::uint64_t least, std::uint64_t most)
{
	const auto text = CORBEL_EXPECT(this->text(key));

	if (!text)
		return std::nullopt;
	const auto size = text->back() >= 'A' ? size_of(*text, 1) : 0;
	if (size < least || size > most || size % least != 0)
		return wrong(key, fmt::format("is '{}': it must be a size such as \"512M\" or "
					      "\"2G\", in whole MiB and at most {} GiB",
					      text->substr(0, 100), most >> 30));
	return size;
}

Result<void> DescriptionNode::texts(std::string_view key, std::vector<std::string> &values)
{
	const auto *node = take(key);

	if (!node)
		return {};
	const auto *array = node->as_array();
	if (!array || array->size() > most_values)
		return wrong_at(node, key,
				fmt::format("must be a list of at most {} texts", most_values));
	for (const auto &element : *array) {
		auto value = element.value_exact<std::string>();

		if (!value || value->size() > longest_text || value->find('\0') != value->npos)
			return wrong_at(&element, key,
					fmt::format("must be a list of texts of at most {} bytes",
						    longest_text));
		values.push_back(std::move(*value));
	}
	return {};
}

Result<std::vector<DescriptionNode>> DescriptionNode::tables(std::string_view key)
{
	const auto *node = take(key);
	std::vector<DescriptionNode> nodes;

	if (!node)
		return nodes;
	const auto *array = node->as_array();
	if (!array || array->size() > most_values)
		return wrong_at(node, key,
				fmt::format("must be a list of at most {} tables: [[{}]]",
					    most_values, key));
	for (const auto &element : *array) {
		const auto *table = element.as_table();

		if (!table)
			return wrong_at(&element, key, fmt::format("must be tables: [[{}]]", key));
		nodes.emplace_back(*table, source_,
				   fmt::format("{}{}[{}].", prefix_, key, nodes.size()));
	}
	return nodes;
}

Result<std::optional<DescriptionNode>> DescriptionNode::table(std::string_view key)
{
	const auto *node = take(key);

	if (!node)
		return std::nullopt;
	if (!node->is_table())
		return wrong_at(node, key, fmt::format("must be a table: [{}]", key));
	return DescriptionNode(*node->as_table(), source_, fmt::format("{}{}.", prefix_, key));
}

Result<void> DescriptionNode::finish() const
{
	for (const auto &[key, node] : table_.get())
		if (!known_.contains(key.str()))
			return wrong_at(&node, key.str().substr(0, 100),
					fmt::format("is no key here: there are {}",
						    fmt::join(known_, ", ")));
	return {};
}

} /* namespace corbel::qemu */
