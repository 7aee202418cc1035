// SPDX-License-Identifier: GPL-2.0-or-later
#include "finding.hh"

#include "../quantity.hh"
#include "../table.hh"

#include <corbel/version.h>

#include <algorithm>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

const char *name_of(Severity severity)
{
	switch (severity) {
	case Severity::ok:
		return "ok";
	case Severity::warning:
		return "warning";
	case Severity::problem:
		return "problem";
	}
	return "unknown";
}

} /* namespace */

Finding ok(std::string check, std::string summary)
{
	return {std::move(check), Severity::ok, std::move(summary), ""};
}

Finding warning(std::string check, std::string summary, std::string remedy)
{
	return {std::move(check), Severity::warning, std::move(summary), std::move(remedy)};
}

Finding problem(std::string check, std::string summary, std::string remedy)
{
	return {std::move(check), Severity::problem, std::move(summary), std::move(remedy)};
}

std::size_t count_of(const Findings &findings, Severity severity)
{
	return static_cast<std::size_t>(std::ranges::count(findings, severity, &Finding::severity));
}

Json json_of(const Findings &findings)
{
	Json json{{"tool_version", CORBEL_VERSION},
		  {"problems", count_of(findings, Severity::problem)},
		  {"warnings", count_of(findings, Severity::warning)},
		  {"findings", Json::array()}};

	for (const auto &finding : findings)
		json["findings"].push_back(
			{{"check", finding.check},
			 {"state", name_of(finding.severity)},
			 {"summary", finding.summary},
			 {"remedy",
			  finding.remedy.empty() ? Json(nullptr) : Json(finding.remedy)}});
	return json;
}

std::string show_findings(const Findings &findings)
{
	std::string text;

	for (const auto &[check, severity, summary, remedy] : findings) {
		text += fmt::format("{:<8} {}: {}\n", name_of(severity), check, printable(summary));
		if (!remedy.empty())
			text += fmt::format("{:<8} -> {}\n", "", printable(remedy));
	}
	return text + fmt::format("\n{}, {}\n",
				  show_number_of(count_of(findings, Severity::problem), "problem"),
				  show_number_of(count_of(findings, Severity::warning), "warning"));
}

} /* namespace corbel::cli */
