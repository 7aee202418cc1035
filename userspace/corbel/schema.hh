/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * schema.hh - JSON Schema (draft 7) of what verbs print, put together from parts.
 *
 * A key that is not said to be optional is always there, and there are no others: what
 * a later version adds is an addition here.
 */
#pragma once

#include "json.hh"

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace corbel::cli::schema {

[[nodiscard]] Json boolean(std::string_view meaning = {});
[[nodiscard]] Json string(std::string_view meaning = {});
/* Whole, and not negative. */
[[nodiscard]] Json count(std::string_view meaning = {});
/* Whole. */
[[nodiscard]] Json integer(std::string_view meaning = {});
/* Not negative. */
[[nodiscard]] Json real(std::string_view meaning = {});
[[nodiscard]] Json one_of_words(const std::vector<std::string_view> &words,
				std::string_view meaning = {});
[[nodiscard]] Json constant(std::string_view word);
[[nodiscard]] Json array(Json items, std::string_view meaning = {});
/* @schema, or null where it is not known or there is none. */
[[nodiscard]] Json nullable(Json schema);
[[nodiscard]] Json any_of(const std::vector<Json> &schemas);

struct Key {
	std::string_view name;
	Json value;
	bool optional = false;
};
[[nodiscard]] Json object(const std::vector<Key> &keys, std::string_view meaning = {});
/* Keys that are not known beforehand, all of one kind. */
[[nodiscard]] Json dictionary(Json values, std::string_view meaning = {});
/* @one and all the keys of @other. */
[[nodiscard]] Json joined(Json one, const Json &other);

/* Parts that several verbs have. */
[[nodiscard]] Json vm(); /* of json_of(corbel_vm_info) */
[[nodiscard]] Json activity(); /* of json_of(Activity) */
[[nodiscard]] Json dist_counts(); /* of json_of(corbel_dist_counts) */
[[nodiscard]] Json distributor(); /* of json_of(corbel_irq_dist_get) */
[[nodiscard]] Json self(); /* this host */
[[nodiscard]] Json peer(); /* another host */
[[nodiscard]] Json warning(); /* of the daemon or a job */
/* What every verb that changes something says. */
[[nodiscard]] std::vector<Key> change();

} /* namespace corbel::cli::schema */
