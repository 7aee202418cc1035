/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's memory, which the block store asks for: here, and none when a test wants so. */
#include "block_shim.hh"

#include <cstdlib>

namespace corbel::unit {

std::int64_t allocations_left = -1;

} // namespace corbel::unit

using corbel::unit::allocations_left;

extern "C" void *corbel_alloc(std::size_t bytes, bool)
{
	if (allocations_left == 0)
		return nullptr;
	allocations_left -= allocations_left > 0;
	return std::calloc(1, bytes);
}

extern "C" void corbel_free(void *memory)
{
	std::free(memory);
}

extern "C" void *corbel_alloc_pages(std::size_t bytes)
{
	return corbel_alloc(bytes, true);
}

extern "C" void corbel_free_pages(void *memory)
{
	std::free(memory);
}
