/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checkpoint_format.hh - what is in front of checkpoints in their file, see Documentation/formats.md. */
#pragma once

#include "chunk.hh"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace corbel::vmm {

inline constexpr std::string_view checkpoints_magic{"CorbCkp\n", 8};
inline constexpr std::uint32_t checkpoints_version = 1;
inline constexpr std::uint32_t checkpoint_magic = 0x70436243; /* CbCp */
/* Of a checkpoint without its pages' bytes; a guest of 3 GiB of which all has changed needs 20 MiB. */
inline constexpr std::uint64_t most_text = std::uint64_t{1} << 28;

struct CheckpointsHead {
	char magic[8];
	std::uint32_t version, page_bytes;
	ChunkReader::Identity recording;
	std::uint64_t memory, every, disk;
	std::uint64_t checksum; /* of what is before it */
};

/* Behind it the bytes of pages, and then the checkpoint itself, compressed. */
struct CheckpointHead {
	std::uint32_t magic, reserved;
	std::uint64_t number;
	std::uint64_t data_bytes, text_bytes, unpacked_bytes;
	std::uint64_t checksum; /* of what is before it, and of the checkpoint behind it */
};

static_assert(std::has_unique_object_representations_v<CheckpointsHead> &&
	      std::has_unique_object_representations_v<CheckpointHead>);

[[nodiscard]] std::uint64_t checksum_of(const CheckpointsHead &head);
[[nodiscard]] std::uint64_t checksum_of(const CheckpointHead &head, std::string_view text);

} /* namespace corbel::vmm */
