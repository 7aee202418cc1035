// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.hh"

#include "target.hh"

#include <algorithm>

#include <CLI/CLI.hpp>

namespace corbel::cli {

namespace {

CLI::Option *add_target(CLI::App &app, std::string &value)
{
	return app
		.add_option("vm", value,
			    "pid, pid:fd, name of the guest, name:TEXT, or id:N of an attachment")
		->type_name("VM")
		->check([](const std::string &text) {
			auto parsed = parse_target(text);

			return parsed ? std::string() : parsed.error().sentence;
		});
}

/* CLI11's own checks of that kind take 1e3 and say a range of 300 digits. */
std::string check_count(const std::string &word)
{
	bool digits = std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });

	if (digits && word.find_first_not_of('0') != word.npos)
		return {};
	return "'" + word + "' is not a whole number above 0.";
}

} /* namespace */

void OptionSet::flag(const char *name, bool &value, const char *help)
{
	app_.add_flag(name, value, help);
}

void OptionSet::text(const char *name, std::string &value, const char *type,
		     const std::string &help, const Check &check)
{
	auto *option = app_.add_option(name, value, help)->type_name(type);

	if (check)
		option->check([check](const std::string &word) {
			auto checked = check(word);

			return checked ? std::string() : checked.error().sentence;
		});
}

void OptionSet::texts(const char *name, std::vector<std::string> &values, const char *type,
		      const char *help)
{
	app_.add_option(name, values, help)->type_name(type)->allow_extra_args(false);
}

void OptionSet::choice(const char *name, std::string &value, std::vector<std::string> words,
		       const char *type, const char *help)
{
	app_.add_option(name, value, help)->type_name(type)->check(CLI::IsMember(std::move(words)));
}

void OptionSet::number(const char *name, std::uint32_t &value, std::uint32_t least,
		       std::uint32_t most, const char *type, const char *help)
{
	app_.add_option(name, value, help)->type_name(type)->check(CLI::Range(least, most));
}

void OptionSet::number(const char *name, double &value, double least, double most, const char *type,
		       const char *help)
{
	app_.add_option(name, value, help)->type_name(type)->check(CLI::Range(least, most));
}

void OptionSet::count(const char *name, std::uint64_t &value, const char *type, const char *help)
{
	app_.add_option(name, value, help)->type_name(type)->check(check_count);
}

void OptionSet::target(std::string &value)
{
	add_target(app_, value)->required();
}

void OptionSet::target_or_id(std::string &value, std::uint64_t &vm_id)
{
	auto *either = app_.add_option_group("what");

	add_target(*either, value);
	either->add_option("--id", vm_id, "Number of the attachment")
		->type_name("N")
		->check(check_count);
	either->require_option(1);
}

} /* namespace corbel::cli */
