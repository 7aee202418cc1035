/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_text.hh - the words for policies, and what the command line says of vectors. */
#pragma once

#include <libcorbel/error.hh>

#include <corbel/irq.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corbel::cli {

/* "0x50", "80". */
[[nodiscard]] Result<std::uint8_t> vector_of(const std::string &text);

/* "inherit", "off", "resident-first", "least-pending". */
[[nodiscard]] const char *name_of_policy(std::uint32_t policy);
[[nodiscard]] Result<std::uint8_t> policy_of(std::string_view word);

using VectorPolicies = std::vector<std::pair<std::uint8_t, std::uint8_t>>;

/* "0x50=off,0x51=least-pending"; empty text is an empty list. */
[[nodiscard]] Result<VectorPolicies> vector_policies_of(std::string_view text);

} /* namespace corbel::cli */
