/* SPDX-License-Identifier: GPL-2.0-or-later */
/* schema_check.hh - is what was printed what the schema says? */
#pragma once

#include <string>

namespace corbel::test {

/* What is wrong with @document, or with @schema itself, both JSON; empty: nothing. */
std::string find_fault(const std::string &schema, const std::string &document);

/* The same with @lines, one document each. */
std::string find_fault_in_lines(const std::string &schema, const std::string &lines);

} /* namespace corbel::test */
