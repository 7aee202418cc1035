// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.hh"

#include "../corbel/quantity.hh"
#include "../corbel/table.hh"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace corbel::daemon {

namespace {

/* What systemd says of the stderr that it gave. */
bool goes_to_journal()
{
	const char *stream = std::getenv("JOURNAL_STREAM");
	struct stat status{};

	return stream && ::fstat(STDERR_FILENO, &status) == 0 &&
	       fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

std::string_view name_of(Level level)
{
	switch (level) {
	case Level::error:
		return "error";
	case Level::warning:
		return "warning";
	case Level::notice:
		return "notice";
	case Level::info:
		return "info";
	}
	return "";
}

bool to_journal(Level level, const std::string &text, std::initializer_list<Field> fields)
{
	std::vector<std::string> lines{"MESSAGE=" + text,
				       fmt::format("PRIORITY={}", static_cast<int>(level)),
				       "SYSLOG_IDENTIFIER=corbeld"};
	std::vector<iovec> parts;

	lines.reserve(lines.size() + fields.size());
	for (const auto &[name, value] : fields)
		lines.push_back(fmt::format("CORBEL_{}={}", name, value));
	parts.reserve(lines.size());
	for (auto &line : lines)
		parts.push_back({line.data(), line.size()});
	return ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) == 0;
}

} /* namespace */

void log(Level level, const std::string &text, std::initializer_list<Field> fields)
{
	static const bool journal = goes_to_journal();

	if (journal && to_journal(level, text, fields))
		return;
	auto line =
		fmt::format("{} corbeld {}: {}", cli::show_time(std::chrono::system_clock::now()),
			    name_of(level), cli::printable(text));
	for (const auto &[name, value] : fields)
		line += fmt::format(" {}={}", name, cli::printable(value));
	fmt::print(stderr, "{}\n", line);
}

} /* namespace corbel::daemon */
