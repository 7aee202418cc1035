// SPDX-License-Identifier: GPL-2.0-or-later
#include "chunk.hh"

#include <bit>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <zstd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr char head_magic[8] = {'C', 'o', 'r', 'b', 'R', 'e', 'c', '\n'};
constexpr std::uint32_t chunk_magic = 0x6b436243; /* CbCk */
constexpr std::uint32_t version = 3;
constexpr std::size_t header_limit = std::size_t{1} << 20;
constexpr int level = 1;

struct Head {
	char magic[8];
	std::uint32_t version, bytes;
	std::uint64_t checksum; /* of the header's text */
};

struct ChunkHead {
	std::uint32_t magic, entries, bytes, reserved;
	std::uint64_t number;
	std::uint64_t checksum; /* of what is before it, and of the bytes behind it */
};

std::uint64_t checksum_of(const ChunkHead &head, std::string_view bytes)
{
	return XXH3_64bits_withSeed(bytes.data(), bytes.size(),
				    XXH3_64bits(&head, offsetof(ChunkHead, checksum)));
}

bool is_clock(const corbel_replay_entry &entry)
{
	return kind_of(entry) == Kind::tsc || kind_of(entry) == Kind::time;
}

constexpr std::size_t planes = sizeof(corbel_replay_entry);

/*
 * Clocks as differences, and then byte 0 of all entries, byte 1 of all entries, and so on:
 * most of them hardly change from one to the next, which compresses to a third of what the
 * entries as they are do.
 */
std::string spread(std::span<const corbel_replay_entry> entries)
{
	std::string bytes(entries.size() * planes, '\0');
	std::uint64_t before = 0;

	for (std::size_t i = 0; i < entries.size(); i++) {
		auto entry = entries[i];
		char raw[planes];

		if (is_clock(entry)) {
			entry.value -= before;
			before = entries[i].value;
		}
		std::memcpy(raw, &entry, planes);
		for (std::size_t plane = 0; plane < planes; plane++)
			bytes[plane * entries.size() + i] = raw[plane];
	}
	return bytes;
}

Entries gather(std::string_view bytes)
{
	Entries entries(bytes.size() / planes);
	std::uint64_t before = 0;

	for (std::size_t i = 0; i < entries.size(); i++) {
		char raw[planes];

		for (std::size_t plane = 0; plane < planes; plane++)
			raw[plane] = bytes[plane * entries.size() + i];
		std::memcpy(&entries[i], raw, planes);
		if (is_clock(entries[i]))
			before = entries[i].value += before;
	}
	return entries;
}

template <typename T>
T head_of(std::string_view bytes)
{
	T head;

	bytes.copy(reinterpret_cast<char *>(&head), sizeof(head));
	return head;
}

/* Of a chunk at the front; what is in it may be damaged. */
bool is_whole(std::string_view bytes)
{
	if (bytes.size() < sizeof(ChunkHead))
		return false;
	const auto head = head_of<ChunkHead>(bytes);

	return head.magic == chunk_magic && head.bytes <= bytes.size() - sizeof(ChunkHead);
}

std::size_t whole_size(std::string_view bytes)
{
	return sizeof(ChunkHead) + head_of<ChunkHead>(bytes).bytes;
}

} /* namespace */

std::string encode_head(std::string_view header)
{
	Head head{};

	std::memcpy(head.magic, head_magic, sizeof(head.magic));
	head.version = version;
	head.bytes = static_cast<std::uint32_t>(header.size());
	head.checksum = XXH3_64bits(header.data(), header.size());
	return std::string(reinterpret_cast<const char *>(&head), sizeof(head)) +
	       std::string(header);
}

std::string encode_chunk(std::span<const corbel_replay_entry> entries, std::uint64_t number)
{
	const auto bytes = spread(entries);
	std::string chunk(sizeof(ChunkHead) + ZSTD_compressBound(bytes.size()), '\0');
	const auto size =
		ZSTD_compress(chunk.data() + sizeof(ChunkHead), chunk.size() - sizeof(ChunkHead),
			      bytes.data(), bytes.size(), level);
	ChunkHead head{};

	/* It has room for the worst case, and no other way to fail. */
	chunk.resize(sizeof(ChunkHead) + (ZSTD_isError(size) ? 0 : size));
	head.magic = chunk_magic;
	head.entries = static_cast<std::uint32_t>(entries.size());
	head.bytes = static_cast<std::uint32_t>(chunk.size() - sizeof(ChunkHead));
	head.number = number;
	head.checksum = checksum_of(head, std::string_view(chunk).substr(sizeof(ChunkHead)));
	std::memcpy(chunk.data(), &head, sizeof(head));
	return chunk;
}

Result<ChunkReader> ChunkReader::open(std::string_view file)
{
	if (file.size() < sizeof(Head) ||
	    !file.starts_with(std::string_view(head_magic, sizeof(head_magic))))
		return failure(EBADMSG, "It is no recording of corbel-vmm.");
	const auto head = head_of<Head>(file);

	if (head.version != version)
		return failure(EPROTO, fmt::format("The recording is of format {}, and this "
						   "corbel-vmm reads format {}.",
						   head.version, version));
	if (head.bytes > header_limit || head.bytes > file.size() - sizeof(Head) ||
	    XXH3_64bits(file.data() + sizeof(Head), head.bytes) != head.checksum)
		return failure(EBADMSG, "The head of the recording is damaged or cut.");
	return ChunkReader(file.substr(sizeof(Head), head.bytes),
			   file.substr(sizeof(Head) + head.bytes), sizeof(Head) + head.bytes);
}

ChunkReader::Identity ChunkReader::identity() const
{
	XXH3_state_t state;

	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, header_.data(), header_.size());
	for (auto rest = chunks_; is_whole(rest); rest.remove_prefix(whole_size(rest)))
		XXH3_128bits_update(&state, rest.data(), sizeof(ChunkHead));
	const auto hash = XXH3_128bits_digest(&state);

	return {hash.low64, hash.high64};
}

Result<std::uint64_t> ChunkReader::seek(std::uint64_t entry)
{
	std::uint64_t first = 0;

	rest_ = chunks_;
	at_ = begin_;
	number_ = 0;
	cut_ = false;
	for (; is_whole(rest_); number_++) {
		const auto entries = head_of<ChunkHead>(rest_).entries;

		if (entry < first + entries)
			return first;
		first += entries;
		at_ += whole_size(rest_);
		rest_.remove_prefix(whole_size(rest_));
	}
	if (entry != first)
		return failure(EBADMSG,
			       fmt::format("The recording has no entry {}, it ends with {}.", entry,
					   first));
	return first;
}

Result<std::optional<Entries>> ChunkReader::next()
{
	const auto damaged = [&](const char *what) {
		return failure(EBADMSG, fmt::format("Chunk {} of the recording, at byte {}, is "
						    "damaged: {}.",
						    number_, at_, what));
	};

	if (cut_ || rest_.empty())
		return std::nullopt;
	if (rest_.size() < sizeof(ChunkHead)) {
		cut_ = true;
		return std::nullopt;
	}
	const auto head = head_of<ChunkHead>(rest_);

	if (head.magic != chunk_magic)
		return damaged("it does not begin as one");
	if (head.bytes > rest_.size() - sizeof(ChunkHead)) {
		cut_ = true;
		return std::nullopt;
	}
	const auto bytes = rest_.substr(sizeof(ChunkHead), head.bytes);

	if (checksum_of(head, bytes) != head.checksum) {
		/* The last one may have reached the disk in part. */
		if (bytes.size() + sizeof(ChunkHead) < rest_.size())
			return damaged("its checksum is another");
		cut_ = true;
		return std::nullopt;
	}
	if (head.entries == 0 || head.entries > most_in_chunk || head.number != number_)
		return damaged("it is not the one that comes next");
	std::string raw(head.entries * planes, '\0');

	if (ZSTD_decompress(raw.data(), raw.size(), bytes.data(), bytes.size()) != raw.size())
		return damaged("it does not unpack");
	rest_.remove_prefix(sizeof(ChunkHead) + bytes.size());
	at_ += sizeof(ChunkHead) + bytes.size();
	number_++;
	return gather(raw);
}

} /* namespace corbel::vmm */
