/* SPDX-License-Identifier: GPL-2.0 */
/*
 * label.hh - what a data device begins with: of which pool it is, and which of its devices.
 *
 * The pool's metadata knows its devices by their UUIDs and says how much of each is given out;
 * the label is how the devices that somebody names are told apart, in whatever order, and how
 * one is recognised by who finds it. It is written once, before the pool knows the device.
 * Documentation/formats.md has this in a table.
 */
#pragma once

#include "format.hh"

namespace corbel::block {

inline constexpr u32 label_magic = 0x44506243; /* "CbPD" */
inline constexpr u32 label_version = 1;
/* Where data begins, as labels are made. */
inline constexpr u64 default_data_start = 1 << 20;

/* Bytes 0 to 4095 of a data device. */
struct DataLabelV1 {
	u32 magic;
	u32 crc; /* crc32c of the label from `version` on */
	u32 version;
	u32 reserved;
	u8 pool[16]; /* UUIDs */
	u8 device[16];
	char tier[tier_bytes]; /* padded with NUL */
	u64 data_start; /* in bytes: where block 0 of the device is */
	u8 unused[4024];
};
static_assert(sizeof(DataLabelV1) == meta_bytes && offsetof(DataLabelV1, unused) == 72);
inline constexpr u32 label_crc_from = offsetof(DataLabelV1, version);

/* Magic and crc32c into a label that is complete but for them. */
void seal(DataLabelV1 &label);

/*
 * Whether it can be believed. not_found: it is no label; not_supported: a later version;
 * bad_message: damaged, or it says what cannot be.
 */
[[nodiscard]] Result<void> check_label(const DataLabelV1 &label);

} /* namespace corbel::block */
