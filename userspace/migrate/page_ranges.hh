/* SPDX-License-Identifier: GPL-2.0-or-later */
/* page_ranges.hh - which pages of a memory object, in words. */
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace corbel::migrate {

/*
 * The pages whose bit is set, as "0-3,17,40-99"; at most @most ranges, then "and 5 more ranges".
 * Empty: none is.
 */
[[nodiscard]] std::string text_of_pages(std::span<const std::uint64_t> bits, std::size_t most);

} /* namespace corbel::migrate */
