/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: requests that change the interval map, one behind the other: two bytes of
 * length, then the request. What is accepted must be what the map then says, sector by sector
 * at each border; what is refused must have changed nothing.
 */
#include "../../lib/base64.hh"
#include "../block_shim.hh"

#include "block/base64.hh"
#include "block/qos/range_set.hh"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using namespace corbel::qos;

namespace {

void require(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "the map broke its word: %s\n", what);
	std::abort();
}

bool is_named(const Change &change, ObjectId object)
{
	return std::find(change.objects, change.objects + change.object_count, object) !=
	       change.objects + change.object_count;
}

/* That segments follow each other to the end, and are found from all of their sides. */
void check(const Snapshot &snapshot)
{
	std::uint64_t end = 0;
	ObjectId before{~0U};

	for (std::uint32_t i = 0; i < snapshot.segments(); i++) {
		const Range segment = snapshot.segment(i);

		require(segment.first.value == end && segment.sectors, "segments have no gaps");
		require(segment.object != before, "neighbours differ");
		end = segment.end();
		before = segment.object;
		for (const auto sector : {segment.first.value, end - 1}) {
			const auto found = snapshot.look_up({sector});
			require(found.object == segment.object && found.end.value == end,
				"look-up");
		}
	}
	require(end == sector_end, "segments reach the end");
}

void apply(IntervalMap &map, const Change &change)
{
	const Snapshot &old = map.current();
	Refusal refusal{};
	std::vector<Range> kept;

	for (std::uint32_t i = 0; i < old.segments(); i++)
		if (!is_named(change, old.segment(i).object))
			kept.push_back(old.segment(i));
	const auto retired = map.replace(change, refusal);
	if (!retired.ok()) {
		require(&map.current() == &old, "what is refused changes nothing");
		if (retired.error() == Error::exists)
			require(refusal.wanted.first.value < refusal.other.end() &&
					refusal.other.first.value < refusal.wanted.end(),
				"those named overlap");
		return;
	}
	check(map.current());
	for (std::uint32_t i = 0; i < change.range_count; i++) {
		const auto found = map.current().look_up(change.ranges[i].first);
		require(found.object == change.ranges[i].object &&
				found.end.value >= change.ranges[i].end(),
			"what was asked for is there");
	}
	for (const Range &range : kept)
		if (range.object != rest)
			require(map.current().look_up(range.first).object == range.object,
				"what others have stays");
}

/* What is base64 is so in one way only; what is not is refused. */
void check_text(const void *data, std::size_t length)
{
	using corbel::block::decode_base64;
	using corbel::selftest::encode_base64;
	const std::string given(static_cast<const char *>(data), length);
	std::string text = encode_base64(data, length);

	const auto back = decode_base64(text.data(), text.size());
	require(back.ok() && text.substr(0, back.value()) == given, "base64 of anything");
	text = given;
	const auto bytes = decode_base64(text.data(), text.size());
	if (bytes.ok())
		require(encode_base64(text.data(), bytes.value()) == given, "one base64 only");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	IntervalMap map;

	require(map.init().ok(), "there is memory");
	while (size >= 2) {
		const auto length = std::min<std::size_t>(data[0] | data[1] << 8, size - 2);
		std::vector<std::uint64_t> request((length + 7) / 8);

		if (length)
			std::memcpy(request.data(), data + 2, length);
		check_text(request.data(), length);
		const auto change = read_range_set(request.data(), length);
		if (change.ok())
			apply(map, change.value());
		data += 2 + length;
		size -= 2 + length;
	}
	return 0;
}
