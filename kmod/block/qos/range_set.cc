/* SPDX-License-Identifier: GPL-2.0 */
#include "range_set.hh"

namespace corbel::qos {

Result<Change> read_range_set(const void *data, u64 bytes)
{
	RangeSetHeaderV1 header;

	if (bytes < sizeof(header))
		return Error::bad_message;
	__builtin_memcpy(&header, data, sizeof(header));
	if (header.version != range_set_version || header.flags)
		return Error::not_supported;
	if (header.object_count > max_objects || header.range_count > max_ranges)
		return Error::too_big;
	if (!header.object_count ||
	    bytes != range_set_bytes(header.object_count, header.range_count))
		return Error::bad_message;

	const auto *objects =
		reinterpret_cast<const ObjectId *>(static_cast<const u8 *>(data) + sizeof(header));
	const u32 words = header.object_count + header.object_count % 2;
	if (words != header.object_count && objects[words - 1].value)
		return Error::bad_message;
	return Change{objects, header.object_count,
		      reinterpret_cast<const Range *>(objects + words), header.range_count};
}

} /* namespace corbel::qos */
