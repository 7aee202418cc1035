/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bounded_json.hh - JSON that somebody else wrote.
 *
 * What is nested deeply would be copied and freed by as deep a recursion, and a key that
 * is there twice means two things to two readers: neither is read. Objects are sorted maps
 * here, as one that keeps its order takes quadratic time to read.
 */
#pragma once

#include <libcorbel/error.hh>

#include <nlohmann/json.hpp>

#include <string_view>

namespace corbel::qemu {

/* Of what others wrote. */
using ForeignJson = nlohmann::json;
/* Of what is written here. */
using Json = nlohmann::ordered_json;

inline constexpr int deepest_json = 64;

/* EBADMSG and what is wrong with it, without a full stop. */
[[nodiscard]] Result<ForeignJson> parse_bounded_json(std::string_view text);

/* Empty, 0 or false if there is no such member, or one of another type. */
[[nodiscard]] std::string string_in(const ForeignJson &object, const char *key);
[[nodiscard]] std::uint64_t number_in(const ForeignJson &object, const char *key);
[[nodiscard]] bool flag_in(const ForeignJson &object, const char *key);

} /* namespace corbel::qemu */
