// SPDX-License-Identifier: GPL-2.0-or-later
#include "warnings.hh"

#include "log.hh"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>

#include <fmt/format.h>

namespace corbel::daemon {

namespace {

constexpr std::string_view prefix = "warning/";
constexpr std::size_t most_kinds = 1000;

/* Two texts of one hash take turns; that loses a count and no more. */
std::string key_of(jobs::Severity severity, const std::string &text)
{
	return fmt::format("{}{:016x}", prefix,
			   std::hash<std::string>()(fmt::format("{} {}", name_of(severity), text)));
}

jobs::Time now()
{
	return std::chrono::time_point_cast<std::chrono::milliseconds>(
		std::chrono::system_clock::now());
}

Result<jobs::Warning> read(const std::string &value)
{
	try {
		return jobs::warning_of(jobs::Json::parse(value));
	} catch (const std::exception &error) {
		return failure(EUCLEAN, fmt::format("A warning in the state cannot be read: {}.",
						    error.what()));
	}
}

} /* namespace */

void Warnings::add(jobs::Severity severity, const std::string &text)
{
	log(severity == jobs::Severity::error	  ? Level::error
	    : severity == jobs::Severity::warning ? Level::warning
						  : Level::notice,
	    text, {{"WARNING", std::string(name_of(severity))}});
	if (const auto kept = keep(severity, text); !kept)
		log(Level::error,
		    fmt::format("That warning is not remembered: {}", kept.error().sentence));
}

Result<void> Warnings::keep(jobs::Severity severity, const std::string &text)
{
	const auto key = key_of(severity, text);

	for (;;) {
		const auto entry = CORBEL_EXPECT(store_.get(key));
		jobs::Warning warning{severity, text, 0, now(), now()};

		if (entry) {
			const auto before = read(entry->value);
			if (before && before->text == text) {
				warning.count = before->count;
				warning.first = before->first;
			}
		} else if (CORBEL_EXPECT(store_.list(prefix, {}, most_kinds)).size() >=
			   most_kinds) {
			return failure(ENOSPC, "there are too many kinds of them");
		}
		warning.count++;
		const auto outcome = CORBEL_EXPECT(
			store_.commit({.conditions = {{key, entry ? entry->changed : 0}},
				       .changes = {state::Put{key, json_of(warning).dump()}}}));
		if (outcome.committed)
			return {};
	}
}

Result<std::vector<jobs::Warning>> Warnings::list()
{
	std::vector<jobs::Warning> warnings;

	for (const auto &entry : CORBEL_EXPECT(store_.list(prefix, {}, most_kinds)))
		warnings.push_back(CORBEL_EXPECT(read(entry.value)));
	std::ranges::sort(warnings, std::ranges::greater(), &jobs::Warning::last);
	return warnings;
}

} /* namespace corbel::daemon */
