/* SPDX-License-Identifier: GPL-2.0 */
/* zeros.hh - whether what a format reserves is zero. */
#pragma once

#include "types.hh"

namespace corbel::block {

[[nodiscard]] inline bool is_zero(const void *data, std::size_t bytes)
{
	const auto *at = static_cast<const u8 *>(data);

	while (bytes && !*at)
		at++, bytes--;
	return bytes == 0;
}

} /* namespace corbel::block */
