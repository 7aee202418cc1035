// SPDX-License-Identifier: GPL-2.0-or-later
#include "survey.hh"

#include "../../kmod/block/crc32c.hh"
#include "../../kmod/block/superblock.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::pool {

namespace {

using block::BlockHeaderV1;
using block::CountsV1;
using block::Meta;
using block::SuperblockV1;

Result<void> read_superblocks(block::BlockDevice &device, Survey &survey, const std::string &path)
{
	std::optional<std::uint64_t> newest;

	for (std::uint64_t place = 0; place < 2; place++) {
		SuperblockV1 super;

		CORBEL_EXPECT(told(device.read({place}, &super), path));
		if (!block::is_whole(super, {place}))
			continue;
		const auto generation = super.header.generation;
		survey.generations[place] = generation;
		if (newest && generation < *newest)
			continue;
		newest = generation;
		survey.super = super;
	}
	if (!newest)
		return std::unexpected(explain(block::Error::not_found, path));
	for (std::uint64_t place = 0; place < 2; place++)
		if (survey.generations[place] && *survey.generations[place] % 2 != place)
			return failure(EBADMSG,
				       fmt::format("Block {} of {} is the superblock of generation "
						   "{}, which does not belong there: it was not "
						   "Corbel that put it there.",
						   place, path, *survey.generations[place]));
	return {};
}

bool is_whole(const CountsV1 &counts, Meta place, const SuperblockV1 &super)
{
	const BlockHeaderV1 &header = counts.header;

	return header.magic == block::counts_magic && header.block == place.value &&
	       header.pool == super.header.pool &&
	       header.crc == block::crc32c(&header.block, block::meta_bytes - block::crc_from);
}

/* Counts of blocks behind the end of the device. */
bool has_excess(const CountsV1 &counts, std::uint64_t number, const SuperblockV1 &super)
{
	const auto nodes = super.meta_blocks - block::first_node_of(super.meta_blocks).value;

	for (std::uint64_t i = 0; i < block::counts_per_block; i++)
		if (number * block::counts_per_block + i >= nodes && counts.counts[i])
			return true;
	return false;
}

Result<void> read_counts(block::BlockDevice &device, Survey &survey, const std::string &path)
{
	const auto &super = survey.super;

	for (std::uint64_t i = 0; i < block::count_blocks_of(super.meta_blocks); i++) {
		const Meta place = counts_place(i, is_second(super, i));
		CountsV1 counts;
		const auto read = device.read(place, &counts);

		/* A bad sector is damage too. */
		if (!read.ok() && read.error() != block::Error::io)
			return std::unexpected(explain(read.error(), path));
		const bool whole = read.ok() && is_whole(counts, place, super);
		const bool later = whole && counts.header.generation > super.header.generation;
		survey.later |= later;
		if (!whole || later || has_excess(counts, i, super))
			survey.damaged_counts.push_back(i);
	}
	return {};
}

} /* namespace */

Meta counts_place(std::uint64_t number, bool second)
{
	return {block::first_counts.value + 2 * number + second};
}

bool is_second(const SuperblockV1 &super, std::uint64_t number)
{
	return super.homes[number / 64] >> (number % 64) & 1;
}

Result<Survey> survey(block::BlockDevice &device, std::uint64_t blocks, const std::string &path)
{
	Survey survey{};

	if (blocks < block::min_meta_blocks)
		return std::unexpected(explain(block::Error::not_found, path));
	CORBEL_EXPECT(read_superblocks(device, survey, path));
	if (const auto possible = block::check_superblock(survey.super, blocks); !possible.ok()) {
		if (possible.error() != block::Error::bad_message)
			return std::unexpected(explain(possible.error(), path));
		return failure(
			EBADMSG,
			fmt::format("The superblock of {} in block {} is whole, but says what "
				    "cannot be: nothing can be rebuilt from it. `corbel pool "
				    "dump` does not trust it either; a copy of the device "
				    "is what to take up with the developers.",
				    path, survey.super.header.block));
	}
	CORBEL_EXPECT(read_counts(device, survey, path));
	return survey;
}

} /* namespace corbel::pool */
