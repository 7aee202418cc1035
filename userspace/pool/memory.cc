// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory.cc - the memory that the block store's logic asks the kernel for: here, of the
 * process. Whole blocks are aligned for direct I/O.
 */
#include "../../kmod/rt/shim.h"

#include "../../kmod/block/format.hh"

#include <cstdlib>
#include <cstring>

extern "C" void *corbel_alloc(std::size_t bytes, bool)
{
	using corbel::block::meta_bytes;

	if (bytes < meta_bytes)
		return std::calloc(1, bytes);
	const std::size_t whole = (bytes + meta_bytes - 1) / meta_bytes * meta_bytes;
	void *memory = std::aligned_alloc(meta_bytes, whole);

	return memory ? std::memset(memory, 0, whole) : nullptr;
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

extern "C" void *corbel_alloc_mappable(std::size_t bytes)
{
	return corbel_alloc(bytes, true);
}
