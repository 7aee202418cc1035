/* SPDX-License-Identifier: GPL-2.0 */
#include "crc32c.hh"

namespace corbel::block {
namespace {

/* Eight bytes a step: table n is of a byte that n more bytes follow. */
struct Tables {
	u32 of[8][256];
};

constexpr Tables make_tables()
{
	Tables tables{};

	for (u32 byte = 0; byte < 256; byte++) {
		u32 crc = byte;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
		tables.of[0][byte] = crc;
	}
	for (u32 byte = 0; byte < 256; byte++)
		for (int n = 1; n < 8; n++) {
			const u32 before = tables.of[n - 1][byte];

			tables.of[n][byte] = before >> 8 ^ tables.of[0][before & 255];
		}
	return tables;
}

constexpr Tables tables = make_tables();

} /* namespace */

u32 crc32c(const void *data, std::size_t bytes)
{
	const auto *at = static_cast<const u8 *>(data);
	u32 crc = ~u32{0};

	for (; bytes >= 8; bytes -= 8, at += 8) {
		u64 word;

		__builtin_memcpy(&word, at, sizeof(word));
		word ^= crc;
		crc = tables.of[7][word & 255] ^ tables.of[6][word >> 8 & 255] ^
		      tables.of[5][word >> 16 & 255] ^ tables.of[4][word >> 24 & 255] ^
		      tables.of[3][word >> 32 & 255] ^ tables.of[2][word >> 40 & 255] ^
		      tables.of[1][word >> 48 & 255] ^ tables.of[0][word >> 56];
	}
	for (; bytes; bytes--, at++)
		crc = crc >> 8 ^ tables.of[0][(crc ^ *at) & 255];
	return ~crc;
}

} /* namespace corbel::block */
