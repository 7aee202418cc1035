/* SPDX-License-Identifier: GPL-2.0 */
/*
 * wire.hh - what two pagers say to each other.
 *
 * Two streams of frames, each a head of 32 bytes and what it says follows; all numbers are
 * little-endian. Each end begins each stream with a hello.
 *
 *   fetching end                                serving end
 *     hello ------------------ both streams ------ hello
 *     have, ..., have (last) - push ------------->            what it has already
 *            <---------------- push -------------- page, zeros (staged)      before GO
 *            <---------------- push -------------- mark
 *     credit (mark) ---------- push ------------->
 *            <---------------- push -------------- missing, ..., go
 *            <---------------- push -------------- page, zeros
 *     credit ----------------- push ------------->            so that few are under way
 *     request ---------------- demand ----------->
 *            <---------------- demand ------------ page, zeros
 *            <---------------- push -------------- done
 *     bye -------------------- push ------------->            all pages are present
 *
 * A head that does not match its checksum ends the connection: where the next one begins is
 * not known. A page whose contents do not is asked for again.
 *
 * Whoever is at the other end is not trusted: a frame is checked by itself (well_formed) and
 * against who sends it on which stream (expected) before anything is done with it.
 */
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace corbel::postcopy::wire {

static_assert(std::endian::native == std::endian::little);

inline constexpr std::uint32_t magic = 0x50426243; /* "CbBP" */
inline constexpr std::uint8_t version = 1; /* CORBEL_PAGER_VERSION */
inline constexpr std::uint32_t page_bytes = 4096;
/* Of a bitmap in one frame. */
inline constexpr std::uint32_t map_bytes = 4096;
inline constexpr std::uint32_t map_pages = map_bytes * 8;

enum class Kind : std::uint8_t {
	hello = 1, /* struct Hello */
	have, /* bits of pages that are present, from @page on */
	request, /* @page */
	page, /* its contents, compressed if there are fewer than page_bytes */
	zeros, /* @count pages from @page on */
	mark, /* answer by a credit when all before has been taken */
	credit, /* @count pages of the push stream have been taken */
	missing, /* bits of pages that are still to come, from @page on */
	go, /* from now on pages are final */
	done, /* all have been sent */
	bye, /* all are present */
};

/* Of a page or zeros: it may be written to again before GO. */
inline constexpr std::uint16_t staged = 1 << 0;
/* Of the last have; of a request: the page came damaged; of a credit: for a mark. */
inline constexpr std::uint16_t last = 1 << 1, again = 1 << 2, marked = 1 << 3;
/* Of go: nothing has been staged, and no missing was sent. */
inline constexpr std::uint16_t everything = 1 << 4;

struct Head {
	std::uint32_t magic;
	std::uint8_t version;
	Kind kind;
	std::uint16_t flags;
	std::uint64_t page;
	std::uint32_t count;
	std::uint32_t length; /* bytes that follow */
	std::uint32_t contents; /* checksum of the page that follows, as it is */
	std::uint32_t check; /* checksum of the above */
};
static_assert(sizeof(Head) == 32);

enum class Stream : std::uint8_t { demand = 1, push = 2 };
enum class Role : std::uint8_t { fetch = 1, serve = 2 };

struct Hello {
	std::uint8_t session[16];
	std::uint64_t pages;
	Role role; /* of who sends it */
	Stream stream;
	std::uint16_t pad;
	std::uint32_t window; /* of the fetching end; else 0 */
};
static_assert(sizeof(Hello) == 32);

/* Hash: std::uint32_t(const void *, std::size_t bytes). */
template <typename Hash>
Head seal(Head head, Hash &&hash)
{
	head.magic = magic;
	head.version = version;
	head.check = hash(&head, offsetof(Head, check));
	return head;
}

template <typename Hash>
bool is_sealed(const Head &head, Hash &&hash)
{
	return head.magic == magic && head.version == version &&
	       head.check == hash(&head, offsetof(Head, check));
}

/* Of a frame that comes from @from on @stream. */
constexpr bool expected(Kind kind, Role from, Stream stream)
{
	const bool demand = stream == Stream::demand;

	switch (kind) {
	case Kind::hello:
		return true;
	case Kind::request:
		return from == Role::fetch && demand;
	case Kind::have:
	case Kind::credit:
	case Kind::bye:
		return from == Role::fetch && !demand;
	case Kind::page:
	case Kind::zeros:
		return from == Role::serve;
	case Kind::mark:
	case Kind::missing:
	case Kind::go:
	case Kind::done:
		return from == Role::serve && !demand;
	}
	return false;
}

constexpr bool has_range(const Head &head, std::uint64_t pages)
{
	return head.count > 0 && head.page < pages && head.count <= pages - head.page;
}

/* A bitmap of whole words, which may reach past the last page by what fills up its word. */
constexpr bool has_map(const Head &head, std::uint64_t pages)
{
	return head.length > 0 && head.length <= map_bytes && head.length % 8 == 0 &&
	       head.page % 64 == 0 && head.page < pages &&
	       head.length / 8 <= (pages - head.page + 63) / 64;
}

/* For objects of @pages pages. */
constexpr bool well_formed(const Head &head, std::uint64_t pages)
{
	switch (head.kind) {
	case Kind::hello:
		return head.length == sizeof(Hello);
	case Kind::have:
		return head.length == 0 ? head.flags == last && head.page == 0
					: has_map(head, pages) && !(head.flags & ~last);
	case Kind::missing:
		return has_map(head, pages) && head.flags == 0;
	case Kind::request:
		return head.length == 0 && head.count == 1 && head.page < pages &&
		       !(head.flags & ~again);
	case Kind::page:
		return head.length > 0 && head.length <= page_bytes && head.count == 1 &&
		       head.page < pages && !(head.flags & ~staged);
	case Kind::zeros:
		return head.length == 0 && has_range(head, pages) && !(head.flags & ~staged);
	case Kind::credit:
		return head.length == 0 && !(head.flags & ~marked);
	case Kind::go:
		return head.length == 0 && !(head.flags & ~everything);
	case Kind::mark:
	case Kind::done:
	case Kind::bye:
		return head.length == 0 && head.flags == 0;
	}
	return false;
}

} /* namespace corbel::postcopy::wire */
