/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chunk.hh - entries as they lie in the file: a chunk of them is compressed, and has its length
 * and its checksum in front, so that whatever end the recorder met, what was written before is
 * known to be whole. The format is in Documentation/formats.md.
 */
#pragma once

#include "entry.hh"

#include <libcorbel/error.hh>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::vmm {

using Entries = std::vector<corbel_replay_entry>;

constexpr std::size_t most_in_chunk = 65536;

/* @number: of the chunk, from 0. */
[[nodiscard]] std::string encode_chunk(std::span<const corbel_replay_entry> entries,
				       std::uint64_t number);

/* The head of a recording: magic, version and the text of its header. */
[[nodiscard]] std::string encode_head(std::string_view header);

/*
 * A recording's bytes, read from the front. Nothing in them is trusted.
 */
class ChunkReader {
public:
	/* EBADMSG: it is none, or its head is damaged; EPROTO: it is of another version. */
	[[nodiscard]] static Result<ChunkReader> open(std::string_view file);

	[[nodiscard]] std::string_view header() const { return header_; }

	/*
	 * The next chunk; nothing at the end. EBADMSG: a chunk is damaged that is not the last:
	 * the last one may be what its writer left of it, and was_cut() tells.
	 */
	[[nodiscard]] Result<std::optional<Entries>> next();
	[[nodiscard]] bool was_cut() const { return cut_; }

	/*
	 * Whose checkpoints are whose: a hash of the header and of all chunks' heads, which have the
	 * checksums of what is in them.
	 */
	using Identity = std::array<std::uint64_t, 2>;
	[[nodiscard]] Identity identity() const;

	/*
	 * Has next() give the chunk that has this entry, counted from the first of all, which may be
	 * the one behind the last. The number of entries before that chunk.
	 */
	[[nodiscard]] Result<std::uint64_t> seek(std::uint64_t entry);

private:
	ChunkReader(std::string_view header, std::string_view chunks, std::size_t at)
		: header_(header), chunks_(chunks), rest_(chunks), begin_(at), at_(at)
	{}

	std::string_view header_, chunks_, rest_;
	std::size_t begin_, at_; /* of chunks_ and rest_ in the file */
	std::uint64_t number_ = 0;
	bool cut_ = false;
};

} /* namespace corbel::vmm */
