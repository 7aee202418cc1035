// SPDX-License-Identifier: GPL-2.0-or-later
//
// The headers that take the compiler longest. The build reads them once and shows them
// to each source, which includes what it needs as if they were not here.
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#ifdef CORBEL_UNIT_TESTS
#include <gmock/gmock.h>
#include <gtest/gtest.h>

// Compiled once, in tests/json.cc.
extern template class nlohmann::basic_json<>;
extern template class nlohmann::basic_json<nlohmann::ordered_map>;
#endif
