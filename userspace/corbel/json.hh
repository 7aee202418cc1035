/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json.hh - the kind of JSON used here: keys stay in the order they were put in. */
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace corbel::cli {

using Json = nlohmann::ordered_json;

/* For names that come from other programs and need not be UTF-8. */
[[nodiscard]] std::string dump(const Json &json, int indent = -1);

} /* namespace corbel::cli */
