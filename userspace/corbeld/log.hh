/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.hh - what the daemon says.
 *
 * To the journal with its fields, if that is where stderr goes; else a line on stderr.
 * From any thread.
 */
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace corbel::daemon {

enum class Level : int { error = 3, warning = 4, notice = 5, info = 6 }; /* of syslog */

/* "JOB", "7": CORBEL_JOB=7 in the journal. */
struct Field {
	std::string_view name;
	std::string value;
};

void log(Level level, const std::string &text, std::initializer_list<Field> fields = {});

} /* namespace corbel::daemon */
