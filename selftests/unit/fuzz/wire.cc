/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: what comes from another host's pager. The input chooses an end and a
 * stream, then frames, of which a byte tells whether their head is given its right checksum;
 * what must hold is that nothing is taken outside of the object or longer than its place.
 */
#include "postcopy/receiver.hh"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace corbel::postcopy;
using corbel::rt::Result;

namespace {

constexpr std::uint64_t pages = 1000;

void require(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "a receiver broke its word: %s\n", what);
	std::abort();
}

std::uint32_t hash(const void *at, std::size_t bytes)
{
	return static_cast<std::uint32_t>(XXH64(at, bytes, 0));
}

/* Gives each payload memory of just its length, which the sanitizer guards. */
struct Handler {
	wire::Role from;
	wire::Stream stream;
	bool greeted = false;
	std::vector<std::uint8_t> room;

	Result<void *> begin(const wire::Head &head)
	{
		require(wire::expected(head.kind, from, stream), "who says what");
		require((head.kind == wire::Kind::hello) == !greeted, "a hello comes first");
		greeted = true;
		require(head.length <= wire::page_bytes, "no payload is longer than a page");
		room.assign(head.length, 0);
		room.shrink_to_fit();
		switch (head.kind) {
		case wire::Kind::page:
		case wire::Kind::request:
			require(head.page < pages && head.count == 1, "a page of the object");
			break;
		case wire::Kind::zeros:
			require(head.count && head.page + head.count > head.page &&
					head.page + head.count <= pages,
				"pages of the object");
			break;
		case wire::Kind::have:
		case wire::Kind::missing:
			require(head.page / 64 + head.length / 8 <= (pages + 63) / 64,
				"words of the object's map");
			break;
		default:
			break;
		}
		return static_cast<void *>(room.data());
	}
	Result<void> end(const wire::Head &head)
	{
		require(room.size() == head.length, "a payload is whole");
		return {};
	}
	static std::uint32_t hash(const void *at, std::size_t bytes) { return ::hash(at, bytes); }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	if (size < 2)
		return 0;
	Handler handler{data[0] & 1 ? wire::Role::fetch : wire::Role::serve,
			data[0] & 2 ? wire::Stream::demand : wire::Stream::push,
			false,
			{}};
	Receiver<Handler> receiver(handler, handler.from, handler.stream, pages);
	std::vector<std::uint8_t> bytes;

	for (data++, size--; size > sizeof(wire::Head);) {
		wire::Head head;
		const bool right = *data & 1;
		const std::uint8_t piece = *data;

		std::memcpy(&head, data + 1, sizeof(head));
		data += 1 + sizeof(head);
		size -= 1 + sizeof(head);
		if (right)
			head = wire::seal(head, hash);
		const std::size_t payload = head.length < size ? head.length : size;
		bytes.assign(reinterpret_cast<std::uint8_t *>(&head),
			     reinterpret_cast<std::uint8_t *>(&head + 1));
		bytes.insert(bytes.end(), data, data + payload);
		data += payload;
		size -= payload;
		for (std::size_t at = 0; at < bytes.size();) {
			const auto place = receiver.want();
			std::size_t now = bytes.size() - at;

			require(place.bytes > 0, "it wants something");
			if (now > place.bytes)
				now = place.bytes;
			if (now > piece / 2U + 1)
				now = piece / 2U + 1;
			std::memcpy(place.at, &bytes[at], now);
			at += now;
			if (!receiver.got(static_cast<std::uint32_t>(now)))
				return 0;
		}
	}
	return 0;
}
