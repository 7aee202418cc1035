// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.hh"

#include "target.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

constexpr std::size_t longest_key = 200;

Argument target_argument(std::string &value)
{
	return {.name = "vm",
		.type = "VM",
		.help = "pid, pid:fd, name of the guest, name:TEXT, or id:N of an attachment",
		.place = &value,
		.check = [](const std::string &text) -> Result<void> {
			CORBEL_EXPECT(parse_target(text));
			return {};
		}};
}

/* CLI11's own checks of that kind take 1e3 and say a range of 300 digits. */
Result<void> check_count(const std::string &word)
{
	const bool digits = std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });

	if (digits && word.find_first_not_of('0') != word.npos)
		return {};
	return failure(EINVAL, fmt::format("'{}' is not a whole number above 0.", word));
}

} /* namespace */

std::string Argument::long_name() const
{
	return name.substr(name.find(',') + 1);
}

std::string Argument::short_name() const
{
	const auto comma = name.find(',');

	return comma == name.npos ? std::string() : name.substr(0, comma);
}

Argument &OptionSet::add(Argument argument)
{
	return arguments_.emplace_back(std::move(argument));
}

void OptionSet::flag(const char *name, bool &value, const char *help)
{
	add({.name = name, .type = "", .help = help, .place = &value});
}

void OptionSet::text(const char *name, std::string &value, const char *type,
		     const std::string &help, const Check &check)
{
	add({.name = name, .type = type, .help = help, .place = &value, .check = check});
}

void OptionSet::texts(const char *name, std::vector<std::string> &values, const char *type,
		      const char *help, const Check &check)
{
	add({.name = name, .type = type, .help = help, .place = &values, .check = check});
}

void OptionSet::choice(const char *name, std::string &value, std::vector<std::string> words,
		       const char *type, const char *help)
{
	add({.name = name, .type = type, .help = help, .place = &value, .words = std::move(words)});
}

void OptionSet::number(const char *name, std::uint32_t &value, Bounds<std::uint32_t> bounds,
		       const char *type, const char *help)
{
	add({.name = name,
	     .type = type,
	     .help = help,
	     .place = &value,
	     .least = static_cast<double>(bounds.least),
	     .most = static_cast<double>(bounds.most),
	     .unit = bounds.unit});
}

void OptionSet::number(const char *name, double &value, Bounds<double> bounds, const char *type,
		       const char *help)
{
	add({.name = name,
	     .type = type,
	     .help = help,
	     .place = &value,
	     .least = bounds.least,
	     .most = bounds.most,
	     .unit = bounds.unit});
}

void OptionSet::count(const char *name, std::uint64_t &value, const char *type, const char *help)
{
	add({.name = name, .type = type, .help = help, .place = &value, .check = check_count});
}

void OptionSet::target(std::string &value)
{
	add(target_argument(value)).required = true;
}

void OptionSet::target_or_id(std::string &value, std::uint64_t &vm_id)
{
	add(target_argument(value));
	last_is_alternative();
	count("--id", vm_id, "N", "Number of the attachment");
	last_is_alternative();
}

void OptionSet::verb(std::vector<std::string> &words)
{
	texts("verb", words, "VERB", "Of this verb, such as `irq top`");
}

void OptionSet::key(std::string &value)
{
	text("--key", value, "TEXT", "Done once for each key: again it says what came of it",
	     [](const std::string &text) -> Result<void> {
		     if (!text.empty() && text.size() <= longest_key)
			     return {};
		     return failure(EINVAL, fmt::format("A key has 1 to {} bytes.", longest_key));
	     });
}

void OptionSet::host(std::string &value)
{
	text("host", value, "HOST", "Name or id of a host, as `corbel host list` shows it");
	last_is_required();
}

void OptionSet::job(std::uint64_t &value)
{
	count("job", value, "JOB", "Number of the job, as `corbel job list` shows it");
	last_is_required();
}

void OptionSet::json(bool &value)
{
	flag("--json", value, "JSON as `corbel schema` describes it, instead of text");
}

void OptionSet::dry_run(bool &value)
{
	flag("--dry-run", value, "Check everything and say what would change, but change nothing");
}

} /* namespace corbel::cli */
