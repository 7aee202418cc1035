/* SPDX-License-Identifier: GPL-2.0 */
/* crc32c.hh - the checksum of metadata blocks (Castagnoli), without special instructions. */
#pragma once

#include "types.hh"

namespace corbel::block {

/* Any context. */
[[nodiscard]] u32 crc32c(const void *data, std::size_t bytes);

} /* namespace corbel::block */
