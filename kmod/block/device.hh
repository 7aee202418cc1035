/* SPDX-License-Identifier: GPL-2.0 */
/*
 * device.hh - what the metadata lies on.
 *
 * Blocks are written whole or not at all or torn, in any order between two flushes; what was
 * written before a flush that succeeded is there after a loss of power. What was written is
 * read back at once.
 */
#pragma once

#include "format.hh"

namespace corbel::block {

class BlockDevice {
public:
	/* Each may sleep. @data: meta_bytes, aligned to 8. Error::io or what the device says. */
	virtual Result<void> read(Meta block, void *data) = 0;
	virtual Result<void> write(Meta block, const void *data) = 0;
	virtual Result<void> flush() = 0;

protected:
	/* Nobody deletes one by its base, and a virtual destructor would need operator delete. */
	~BlockDevice() = default;
};

} /* namespace corbel::block */
