/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qos_text.hh - what verbs of `corbel qos` take and show in the same way. */
#pragma once

#include "json.hh"
#include "options.hh"

#include <cstdint>
#include <string>

namespace corbel::cli {

/* All of these must be given. */
void declare_lun(OptionSet &set, std::string &value);
void declare_object(OptionSet &set, std::string &value);

/* Of a LUN, an object, a policy: errors say what is one. */
[[nodiscard]] Result<void> check_qos_name(const std::string &text);
/* FIRST+BYTES */
[[nodiscard]] Result<void> check_range(const std::string &text);

/* "remarks" of an answer, on stderr. */
void print_remarks(const Json &answer);

/* Schemas: of four counts of one kind of operation, and of an object of `qos show`. */
[[nodiscard]] Json qos_object_schema();

/* A quantile of buckets as `qos show --histograms` has them; "-" of none. */
[[nodiscard]] std::string show_quantile(const Json &buckets, unsigned per_mille);

} /* namespace corbel::cli */
