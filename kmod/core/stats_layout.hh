/* SPDX-License-Identifier: GPL-2.0 */
/*
 * stats_layout.hh - what a stats descriptor reads as, see <corbel/stats.h>.
 */
#pragma once

#include <corbel/stats.h>

#include "../rt/result.hh"
#include "../rt/text.hh"

namespace corbel::core {

/* What a value is; but for instant, it only grows. */
enum class StatKind : std::uint8_t { count, instant, bytes, nanoseconds };

struct Stat {
	/* @values: how many stand under that name, as those of a histogram do. */
	template <std::size_t n>
		requires(n <= CORBEL_STATS_NAME_LEN)
	consteval Stat(const char (&literal)[n], StatKind kind = StatKind::count,
		       std::uint16_t values = 1)
		: name(literal), kind(kind), values(values)
	{}

	rt::Text name;
	StatKind kind;
	std::uint16_t values;
};

/* The descriptors of values that stand one behind the other. */
template <std::size_t n>
struct StatsTable {
	static constexpr std::uint32_t count = n;

	consteval explicit StatsTable(const Stat (&stats)[n])
	{
		for (std::size_t i = 0; i < n; i++) {
			const StatKind kind = stats[i].kind;

			if (kind == StatKind::instant)
				descriptors[i].flags = CORBEL_STATS_INSTANT;
			if (kind == StatKind::bytes)
				descriptors[i].flags |= CORBEL_STATS_BYTES;
			if (kind == StatKind::nanoseconds) {
				descriptors[i].flags |= CORBEL_STATS_SECONDS;
				descriptors[i].exponent = -9;
			}
			descriptors[i].size = stats[i].values;
			descriptors[i].offset = static_cast<__u32>(values * sizeof(__u64));
			for (std::size_t c = 0; c < stats[i].name.size(); c++)
				descriptors[i].name[c] = stats[i].name.data()[c];
			values += stats[i].values;
		}
	}

	corbel_stats_desc descriptors[n]{};
	std::uint32_t values = 0; /* of all */
};

/* The first bytes of the file: the header, and whose counts these are. */
struct StatsHead {
	corbel_stats_header header;
	char id[CORBEL_STATS_NAME_LEN];

	explicit constexpr StatsHead(__u32 count)
		: header{.flags = 0,
			 .name_size = CORBEL_STATS_NAME_LEN,
			 .num_desc = count,
			 .id_offset = sizeof(header),
			 .desc_offset = sizeof(StatsHead),
			 .data_offset = static_cast<__u32>(sizeof(StatsHead) +
							   count * sizeof(corbel_stats_desc))},
		  id{}
	{}

	/* At the end of the id; what finds no room before the last NUL is left out. */
	constexpr void append(rt::Text text)
	{
		for (const char c : text)
			append(c);
	}
	constexpr void append(std::uint64_t number)
	{
		char digits[20]{};
		std::size_t count = 0;

		do {
			digits[count++] = static_cast<char>('0' + number % 10);
			number /= 10;
		} while (number);
		while (count)
			append(digits[--count]);
	}

private:
	constexpr void append(char c)
	{
		std::size_t at = 0;

		while (at < CORBEL_STATS_NAME_LEN - 1 && id[at])
			at++;
		if (at < CORBEL_STATS_NAME_LEN - 1)
			id[at] = c;
	}
};

/* Consecutive in the file. */
struct StatsBlock {
	const void *data;
	std::uint64_t bytes;
};

/*
 * What lies in [@offset, @offset + @bytes) of @blocks goes to @copy(at, from, length),
 * where @at counts from @offset. Answers how many bytes that were.
 */
template <std::size_t n, typename Copy>
rt::Result<std::uint64_t> read_blocks(const StatsBlock (&blocks)[n], std::uint64_t offset,
				      std::uint64_t bytes, const Copy &copy)
{
	std::uint64_t start = 0;
	std::uint64_t done = 0;

	for (const StatsBlock &block : blocks) {
		const std::uint64_t end = start + block.bytes;
		const std::uint64_t from = offset + done;

		if (done < bytes && from >= start && from < end) {
			const std::uint64_t room = bytes - done;
			const std::uint64_t length = room < end - from ? room : end - from;

			CORBEL_TRY(copy(done,
					static_cast<const unsigned char *>(block.data) +
						(from - start),
					length));
			done += length;
		}
		start = end;
	}
	return done;
}

} /* namespace corbel::core */
