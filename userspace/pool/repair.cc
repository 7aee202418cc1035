// SPDX-License-Identifier: GPL-2.0-or-later
#include "repair.hh"

#include "census.hh"
#include "overlay.hh"
#include "rebuild.hh"

#include "../../kmod/block/superblock.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace corbel::pool {

namespace {

using block::CountsV1;
using block::Kind;
using block::Meta;
using block::SuperblockV1;

std::unexpected<Error> cannot(const std::string &path, std::string_view why)
{
	return failure(
		EUCLEAN,
		fmt::format("{} was not changed, as it cannot be repaired safely. {}", path, why));
}

/*
 * What the device says of each node; nothing where its block of counts is damaged, but for
 * what was found of a reverse map that is to be made anew.
 */
Result<std::vector<std::uint32_t>> counts_of(block::BlockDevice &device, const Survey &survey,
					     const Census &census, const std::string &path)
{
	const auto &super = survey.super;
	std::vector<std::uint32_t> counts(super.meta_blocks -
					  block::first_node_of(super.meta_blocks).value);

	for (std::uint64_t i = 0; i < block::count_blocks_of(super.meta_blocks); i++) {
		const auto from = i * block::counts_per_block;
		CountsV1 block;

		if (std::ranges::find(survey.damaged_counts, i) != survey.damaged_counts.end())
			continue;
		CORBEL_EXPECT(
			told(device.read(counts_place(i, is_second(super, i)), &block), path));
		std::copy_n(block.counts,
			    std::min<std::size_t>(block::counts_per_block, counts.size() - from),
			    counts.begin() + static_cast<std::ptrdiff_t>(from));
	}
	for (const auto at : census.abandoned())
		counts[at] = std::max(counts[at], 1U);
	return counts;
}

/*
 * The state that the device has, as it would be if all counts and totals were right. What they
 * say to be in use without being it stays so until the next commit gives it back, so that nothing
 * is written over that the state before might lead to.
 */
void assume_right(Overlay &overlay, const Survey &survey, const Census &census,
		  const std::vector<std::uint32_t> &counts)
{
	SuperblockV1 super = survey.super;

	for (std::uint64_t i = 0; i < block::count_blocks_of(super.meta_blocks); i++) {
		const auto place = counts_place(i, is_second(super, i));
		CountsV1 block{};

		block.header = {.magic = block::counts_magic,
				.crc = 0,
				.block = place.value,
				.generation = super.header.generation,
				.pool = super.header.pool};
		for (std::size_t j = 0; j < block::counts_per_block; j++) {
			const auto at = i * block::counts_per_block + j;

			if (at < counts.size())
				block.counts[j] =
					std::max(census.references()[at], std::min(counts[at], 1U));
		}
		block::seal(block.header);
		overlay.assume(place, &block);
	}
	for (const auto kind : {Kind::volumes, Kind::middle, Kind::reverse, Kind::logical})
		super.nodes[static_cast<unsigned>(kind)] = census.nodes(kind);
	if (census.is_reverse_damaged())
		super.roots[static_cast<unsigned>(Kind::reverse)] = 0;
	super.volumes = census.volumes().size();
	super.mapped = census.middle_entries();
	for (std::size_t i = 0; i < block::max_devices; i++)
		super.devices[i].used = census.used()[i];
	block::seal(super.header);
	overlay.assume({super.header.block}, &super);
}

/* Nothing of what is to be written lies where the state before has anything. */
bool spares_what_is_there(const Overlay &overlay, const Survey &survey, const Census &census,
			  const std::vector<std::uint32_t> &counts)
{
	const auto &super = survey.super;
	const auto first = block::first_node_of(super.meta_blocks).value;

	for (const auto &[block, data] : overlay.written()) {
		if (block >= first) {
			if (counts[block - first] || census.references()[block - first])
				return false;
		} else if (block >= block::first_counts.value) {
			const auto number = (block - block::first_counts.value) / 2;

			if (counts_place(number, is_second(super, number)).value == block)
				return false;
		} else if (block == super.header.block) {
			return false;
		}
	}
	return true;
}

/* As a superblock says, of one that it is in place of. */
void tell_totals(const SuperblockV1 &before, const SuperblockV1 &after,
		 std::vector<std::string> &done)
{
	bool used = before.mapped != after.mapped || before.volumes != after.volumes ||
		    std::memcmp(before.nodes, after.nodes, sizeof(before.nodes)) != 0;

	for (std::size_t i = 0; i < block::max_devices; i++)
		used |= before.devices[i].used != after.devices[i].used;
	if (used)
		done.emplace_back("Totals in the superblock are counted anew.");
}

Result<void> fits_together(const Findings &after, const std::string &path)
{
	if (after.total == 0)
		return {};
	return cannot(path, fmt::format("{} of what is wrong would remain, such as: {}",
					after.total, after.first.front().sentence));
}

Result<Repair> rebuild_all(block::BlockDevice &device, const Findings &before,
			   const std::string &path, bool dry_run)
{
	const auto &survey = before.survey;
	const auto meta_blocks = survey.super.meta_blocks;
	Census census(device, survey.super, path);
	Overlay overlay(device);
	Repair repair;

	repair.changed = true;
	repair.found = before.total;
	if (survey.later)
		return cannot(path,
			      fmt::format("Its last superblock is lost: the one that is left is of "
					  "generation {}, and something was written since. What it "
					  "leads to may hold the data of others by now.",
					  survey.super.header.generation));
	CORBEL_EXPECT(census.take());
	if (!census.damage().empty())
		return cannot(path, fmt::format("{}", fmt::join(census.damage(), " ")));
	const auto counts = CORBEL_EXPECT(counts_of(device, survey, census, path));
	assume_right(overlay, survey, census, counts);
	if (survey.lacks_copy())
		repair.done.push_back(fmt::format(
			"The superblock in block {} is written anew; if what was there was that of "
			"generation {}, what that one had changed is lost.",
			survey.missing_copy(), survey.super.header.generation + 1));
	CORBEL_EXPECT(rebuild(overlay, meta_blocks, census, counts, path, repair.done));

	const auto after = CORBEL_EXPECT(check(overlay, meta_blocks, path));
	CORBEL_EXPECT(fits_together(after, path));
	if (!spares_what_is_there(overlay, survey, census, counts))
		return cannot(path, "What is to be written would lie where something is.");
	tell_totals(survey.super, after.survey.super, repair.done);
	repair.generation = after.survey.super.header.generation;
	repair.blocks = overlay.written().size();
	if (dry_run)
		return repair;
	CORBEL_EXPECT(told(overlay.store(), path));
	/* Whether the device has kept it. */
	CORBEL_EXPECT(fits_together(CORBEL_EXPECT(check(device, meta_blocks, path)), path));
	return repair;
}

} /* namespace */

Result<Repair> repair(block::BlockDevice &device, std::uint64_t blocks, const std::string &path,
		      bool dry_run)
{
	const auto before = CORBEL_EXPECT(check(device, blocks, path));

	if (before.total == 0) {
		Repair nothing;

		nothing.generation = before.survey.super.header.generation;
		return nothing;
	}
	return rebuild_all(device, before, path, dry_run);
}

} /* namespace corbel::pool */
