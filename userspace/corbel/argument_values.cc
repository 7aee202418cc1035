// SPDX-License-Identifier: GPL-2.0-or-later
#include "argument_values.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

std::unexpected<Error> wrong(const Argument &argument, std::string_view what)
{
	return failure(EINVAL, fmt::format("{}: {}", argument.long_name(), what));
}

/* @word is what it would be on the command line. */
Result<void> check_word(const Argument &argument, const std::string &word)
{
	if (word.find('\0') != word.npos)
		return wrong(argument, "A zero byte is in it.");
	if (!argument.words.empty() &&
	    std::ranges::find(argument.words, word) == argument.words.end())
		return wrong(argument,
			     fmt::format("It is one of: {}.", fmt::join(argument.words, ", ")));
	if (!argument.check)
		return {};
	auto checked = argument.check(word);
	return checked ? Result<void>() : wrong(argument, checked.error().sentence);
}

Result<void> check_number(const Argument &argument, const Json &value)
{
	const bool whole = !std::holds_alternative<double *>(argument.place);

	if (whole ? !value.is_number_unsigned() : !value.is_number())
		return wrong(argument, whole ? "It is a whole number." : "It is a number.");
	if (std::holds_alternative<std::uint64_t *>(argument.place))
		return check_word(argument, fmt::format("{}", value.get<std::uint64_t>()));
	const double number = value.get<double>();
	if (argument.least < argument.most && (number < argument.least || number > argument.most))
		return wrong(argument,
			     fmt::format("It is from {} to {}{}{}.", argument.least, argument.most,
					 argument.unit.empty() ? "" : " ", argument.unit));
	return {};
}

Result<void> check_value(const Argument &argument, const Json &value)
{
	if (argument.is_flag())
		return value.is_boolean() ? Result<void>()
					  : wrong(argument, "It is true or false.");
	if (std::holds_alternative<std::string *>(argument.place))
		return value.is_string() ? check_word(argument, value.get<std::string>())
					 : wrong(argument, "It is a text.");
	if (!argument.repeats())
		return check_number(argument, value);
	if (!value.is_array())
		return wrong(argument, "It is a list of texts.");
	for (const auto &word : value) {
		if (!word.is_string())
			return wrong(argument, "It is a list of texts.");
		CORBEL_EXPECT(check_word(argument, word.get<std::string>()));
	}
	return {};
}

/* Nothing is what an argument is that was not given: no verb has another default. */
Json value_of(const Argument &argument)
{
	return std::visit(
		[](const auto *place) -> Json {
			using T = std::remove_cvref_t<decltype(*place)>;

			if (*place == T())
				return nullptr;
			return *place;
		},
		argument.place);
}

} /* namespace */

std::string key_of(const Argument &argument)
{
	auto name = argument.long_name();

	return name.substr(std::min(name.find_first_not_of('-'), name.size()));
}

Json values_of(std::span<const Argument> arguments)
{
	auto values = Json::object();

	for (const auto &argument : arguments) {
		const auto key = key_of(argument);

		if (key == "json")
			continue;
		if (auto value = value_of(argument); !value.is_null())
			values[key] = std::move(value);
	}
	return values;
}

Result<void> check_values(std::span<const Argument> arguments, const Json &values)
{
	if (!values.is_object())
		return failure(EINVAL, "Arguments are a JSON object.");
	for (const auto &[key, value] : values.items()) {
		const auto known = std::ranges::find(arguments, key, key_of);

		if (known == arguments.end() || key == "json")
			return failure(EINVAL, fmt::format("There is no argument '{}'.", key));
		CORBEL_EXPECT(check_value(*known, value));
	}
	for (const auto &argument : arguments)
		if (argument.required && !values.contains(key_of(argument)))
			return wrong(argument, "It must be given.");
	const auto is_alternative = [](const Argument &argument) { return argument.one_of; };
	const auto given = std::ranges::count_if(arguments, [&](const Argument &argument) {
		return argument.one_of && values.contains(key_of(argument));
	});
	if (std::ranges::any_of(arguments, is_alternative) && given != 1)
		return failure(EINVAL, "Just one of the arguments that say on what must be given.");
	return {};
}

} /* namespace corbel::cli */
