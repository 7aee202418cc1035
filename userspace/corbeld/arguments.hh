/* SPDX-License-Identifier: GPL-2.0-or-later */
/* arguments.hh - what verbs give their handlers; options that nobody gave are not among it. */
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace corbel::daemon {

inline bool is_dry(const nlohmann::ordered_json &arguments)
{
	return arguments.value("dry-run", false);
}

/* Empty if it is not given. */
inline std::string text(const nlohmann::ordered_json &arguments, const char *key)
{
	return arguments.value(key, std::string());
}

} /* namespace corbel::daemon */
