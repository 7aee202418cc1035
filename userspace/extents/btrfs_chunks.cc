// SPDX-License-Identifier: GPL-2.0-or-later
#include "btrfs_chunks.hh"

#include <endian.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <tuple>

#include <fmt/format.h>

namespace corbel::extents {

namespace {

constexpr std::size_t answer_bytes = 65536;
constexpr auto spread_profiles =
	BTRFS_BLOCK_GROUP_RAID0 | BTRFS_BLOCK_GROUP_RAID10 | BTRFS_BLOCK_GROUP_RAID56_MASK;

struct Search {
	btrfs_ioctl_search_key key;
	std::uint64_t bytes;
	std::byte answer[answer_bytes];
};
static_assert(offsetof(Search, answer) == sizeof(btrfs_ioctl_search_args_v2));

} /* namespace */

Result<void> add_chunk(std::uint64_t logical, std::span<const std::byte> item, Chunks &chunks)
{
	btrfs_chunk chunk;
	constexpr auto head = offsetof(btrfs_chunk, stripe);
	const auto damaged = [&] {
		return failure(EBADMSG, fmt::format("The chunk of btrfs at {} does not make sense.",
						    logical));
	};

	if (item.size() < sizeof(chunk))
		return damaged();
	std::memcpy(&chunk, item.data(), sizeof(chunk));
	const std::uint64_t length = le64toh(chunk.length), type = le64toh(chunk.type);
	const std::size_t stripes = le16toh(chunk.num_stripes);
	if (!length || logical > INT64_MAX || length > INT64_MAX || !stripes ||
	    item.size() < head + stripes * sizeof(btrfs_stripe))
		return damaged();
	if (!(type & BTRFS_BLOCK_GROUP_DATA))
		return {};
	if (type & spread_profiles) {
		chunks.spread.push_back({logical, 0, length});
		return {};
	}
	for (std::size_t i = 0; i < stripes; i++) {
		btrfs_stripe stripe;

		std::memcpy(&stripe, item.data() + head + i * sizeof(stripe), sizeof(stripe));
		if (le64toh(stripe.offset) > INT64_MAX)
			return damaged();
		chunks.copies[le64toh(stripe.devid)].push_back(
			{logical, le64toh(stripe.offset), length});
	}
	return {};
}

Result<Chunks> read_chunks(int fd, const std::string &path)
{
	const auto search = std::make_unique<Search>();
	Chunks chunks;
	std::uint64_t next = 0;

	for (;;) {
		auto &key = search->key;

		key = {};
		key.tree_id = BTRFS_CHUNK_TREE_OBJECTID;
		key.min_objectid = key.max_objectid = BTRFS_FIRST_CHUNK_TREE_OBJECTID;
		key.min_type = key.max_type = BTRFS_CHUNK_ITEM_KEY;
		key.min_offset = next;
		key.max_offset = UINT64_MAX;
		key.max_transid = UINT64_MAX;
		key.nr_items = UINT32_MAX;
		search->bytes = answer_bytes;
		if (::ioctl(fd, BTRFS_IOC_TREE_SEARCH_V2, search.get()) != 0)
			return failure(errno, fmt::format("{}: btrfs does not tell its chunks: {}.",
							  path, describe_errno(errno)));
		std::size_t at = 0;
		for (std::uint32_t i = 0; i < key.nr_items; i++) {
			btrfs_ioctl_search_header header;

			std::memcpy(&header, search->answer + at, sizeof(header));
			at += sizeof(header);
			CORBEL_EXPECT(add_chunk(header.offset,
						std::span(search->answer).subspan(at, header.len),
						chunks));
			at += header.len;
			next = header.offset + 1;
		}
		if (!key.nr_items)
			break;
	}
	for (auto &[number, places] : chunks.copies)
		std::ranges::sort(places, {}, [](const Extent &each) {
			return std::tie(each.offset, each.at);
		});
	return chunks;
}

Result<dev_t> btrfs_device(int fd, const std::string &path, std::uint64_t number)
{
	const auto info = std::make_unique<btrfs_ioctl_dev_info_args>();
	struct stat status{};

	info->devid = number;
	if (::ioctl(fd, BTRFS_IOC_DEV_INFO, info.get()) != 0)
		return failure(errno,
			       fmt::format("{}: btrfs does not tell what its device {} is: {}.",
					   path, number, describe_errno(errno)));
	info->path[sizeof(info->path) - 1] = 0;
	const auto *name = reinterpret_cast<const char *>(info->path);
	if (::stat(name, &status) != 0 || !S_ISBLK(status.st_mode))
		return failure(
			ENODEV,
			fmt::format("{}: btrfs says that its device {} is '{}', which is no "
				    "block device here: `btrfs device scan` tells it the name.",
				    path, number, name));
	return status.st_rdev;
}

} /* namespace corbel::extents */
