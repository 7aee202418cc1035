/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A frame of what pagers say to each other, for tests that are one end of it themselves.
 */
#pragma once

#include "postcopy/wire.hh"

#include <sys/socket.h>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::selftest {

namespace wire = postcopy::wire;

inline uint32_t wire_hash(const void *at, size_t bytes)
{
	return static_cast<uint32_t>(XXH64(at, bytes, 0));
}

inline bool receive_all(int fd, void *to, size_t bytes)
{
	return recv(fd, to, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
}

inline bool send_all(int fd, const void *from, size_t bytes)
{
	return send(fd, from, bytes, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes);
}

struct frame {
	wire::Head head{};
	std::vector<char> payload;

	frame() = default;
	/* Without a payload. */
	explicit frame(wire::Kind kind, uint16_t flags = 0)
	{
		head.kind = kind;
		head.flags = flags;
		seal();
	}
	static frame hello(wire::Role role, wire::Stream stream, uint64_t pages,
			   uint32_t window = 64)
	{
		wire::Hello hello{};
		frame made;

		hello.pages = pages;
		hello.role = role;
		hello.stream = stream;
		hello.window = role == wire::Role::fetch ? window : 0;
		made.head.kind = wire::Kind::hello;
		made.head.length = sizeof(hello);
		made.payload.assign(reinterpret_cast<char *>(&hello),
				    reinterpret_cast<char *>(&hello + 1));
		made.seal();
		return made;
	}

	void seal() { head = wire::seal(head, wire_hash); }
	bool receive(int fd)
	{
		if (!receive_all(fd, &head, sizeof(head)))
			return false;
		payload.resize(head.length);
		return payload.empty() || receive_all(fd, payload.data(), payload.size());
	}
	bool send(int fd) const
	{
		return send_all(fd, &head, sizeof(head)) &&
		       (payload.empty() || send_all(fd, payload.data(), payload.size()));
	}
};

} // namespace corbel::selftest
