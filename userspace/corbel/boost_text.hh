/* SPDX-License-Identifier: GPL-2.0-or-later */
/* boost_text.hh - the words for what may ask for a boost, and lists of vectors. */
#pragma once

#include <libcorbel/error.hh>

#include <corbel/irq.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace corbel::cli {

/* "device,ipi"; "off" for none. */
[[nodiscard]] std::string show_sources(std::uint32_t sources);
[[nodiscard]] Result<std::uint32_t> sources_of(std::string_view text);

using VectorSet = std::array<std::uint64_t, CORBEL_IRQ_WORDS>;

/* "all", or "0x50,0x60-0x6f" and the like. */
[[nodiscard]] std::string show_vectors(const VectorSet &vectors);
[[nodiscard]] Result<VectorSet> vectors_of(std::string_view text);

} /* namespace corbel::cli */
