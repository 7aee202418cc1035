// SPDX-License-Identifier: GPL-2.0-or-later
// What all the tests use of nlohmann::json, for precompiled.hh.
#include <nlohmann/json.hpp>

template class nlohmann::basic_json<>;
template class nlohmann::basic_json<nlohmann::ordered_map>;
