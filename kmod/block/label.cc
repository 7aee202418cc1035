/* SPDX-License-Identifier: GPL-2.0 */
#include "label.hh"
#include "crc32c.hh"
#include "zeros.hh"

namespace corbel::block {

static u32 crc_of(const DataLabelV1 &label)
{
	return crc32c(&label.version, sizeof(label) - label_crc_from);
}

void seal(DataLabelV1 &label)
{
	label.magic = label_magic;
	label.crc = crc_of(label);
}

/* Nothing behind the first NUL. */
static bool is_padded(const char *text, std::size_t bytes)
{
	std::size_t size = 0;

	while (size < bytes && text[size])
		size++;
	return is_zero(text + size, bytes - size);
}

Result<void> check_label(const DataLabelV1 &label)
{
	if (label.magic != label_magic)
		return Error::not_found;
	if (label.crc != crc_of(label))
		return Error::bad_message;
	if (label.version != label_version)
		return Error::not_supported;
	if (label.reserved || !is_zero(label.unused, sizeof(label.unused)) ||
	    !is_padded(label.tier, sizeof(label.tier)) || is_zero(label.pool, sizeof(label.pool)) ||
	    is_zero(label.device, sizeof(label.device)))
		return Error::bad_message;
	/* Aligned as any block may be, behind the label, and short of an overflow in sectors. */
	if (label.data_start < meta_bytes || label.data_start % meta_bytes ||
	    label.data_start >= u64{1} << 62)
		return Error::bad_message;
	return {};
}

} /* namespace corbel::block */
