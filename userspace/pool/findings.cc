// SPDX-License-Identifier: GPL-2.0-or-later
#include "findings.hh"

#include "../../kmod/block/check.hh"

#include <fmt/format.h>

namespace corbel::pool {

namespace {

using block::Pba;
using block::Violation;
using block::Wrong;

/* Nodes in memory: 16 MiB of them. */
constexpr std::uint32_t cache_nodes = 4096;

std::string place_text(std::uint64_t packed)
{
	const auto pba = Pba::unpack(packed);

	return fmt::format("block {} of device {}", pba.block, pba.device);
}

const char *tree_name(std::uint64_t kind)
{
	static constexpr const char *names[] = {"volume table", "middle map", "reverse map",
						"logical maps"};

	return kind < block::kinds ? names[kind] : "?";
}

std::string name_text(Wrong wrong)
{
	const auto name = block::name_of(wrong);

	return {name.data(), name.size()};
}

std::string sentence_of(const Violation &v)
{
	const auto node = v.node.value;

	switch (v.what) {
	case Wrong::unreadable:
		return fmt::format("Node {} is damaged, or not what its parent says it is.", node);
	case Wrong::node_count:
		return fmt::format("{} refer to node {}, whose count is {}.", v.expected, node,
				   v.found);
	case Wrong::node_total:
		return fmt::format("The {} has {} nodes and not {}.", tree_name(v.key), v.expected,
				   v.found);
	case Wrong::volume_entry:
		return fmt::format("What the table says of volume {} cannot be.", v.key);
	case Wrong::volume_mapped:
		return fmt::format("Volume {} has {} mapped blocks and not {}.", v.key, v.expected,
				   v.found);
	case Wrong::volume_total:
		return fmt::format("There are {} volumes and not {}.", v.expected, v.found);
	case Wrong::mapping_outside:
		return fmt::format("A map has an entry for block {} that leads nowhere, or lies "
				   "behind the end of its volume.",
				   v.key);
	case Wrong::middle_entry:
		return fmt::format("Contents {} lie at {}, which cannot be.", v.key,
				   place_text(v.found));
	case Wrong::middle_count:
		return fmt::format("{} refer to contents {}, whose count is {}.", v.expected, v.key,
				   v.found);
	case Wrong::middle_missing:
		return fmt::format("{} refer to contents {}, which are nowhere.", v.expected,
				   v.key);
	case Wrong::middle_total:
		return fmt::format("The middle map has {} entries and not {}.", v.expected,
				   v.found);
	case Wrong::reverse_missing:
		return v.found == ~std::uint64_t{0}
			       ? fmt::format("Contents {} lie at {}, of which the reverse map "
					     "knows nothing.",
					     v.key, place_text(v.expected))
			       : fmt::format("Contents {} lie at {}, which the reverse map gives "
					     "to contents {}.",
					     v.key, place_text(v.expected), v.found);
	case Wrong::reverse_wrong:
		return fmt::format("The reverse map gives {} to contents {}, which do not lie "
				   "there.",
				   place_text(v.key), v.found);
	case Wrong::device_used:
		return fmt::format("Device {} has {} blocks in use and not {}.", v.key, v.expected,
				   v.found);
	}
	return "Something that has no name is wrong.";
}

} /* namespace */

void Findings::add(const std::string &what, std::string sentence)
{
	total++;
	by_what[what]++;
	if (first.size() < most_told)
		first.push_back({what, std::move(sentence)});
}

Result<Findings> check(block::BlockDevice &device, std::uint64_t blocks, const std::string &path)
{
	Findings findings;

	findings.survey = CORBEL_EXPECT(survey(device, blocks, path));
	if (findings.survey.lacks_copy())
		findings.add("missing superblock",
			     fmt::format("Block {} is no superblock, so that of generation {} is "
					 "the only one; if that was torn by a crash, the next "
					 "commit mends it.",
					 findings.survey.missing_copy(),
					 findings.survey.super.header.generation));
	for (const auto number : findings.survey.damaged_counts)
		findings.add(
			"damaged counts",
			fmt::format("Block {} of counts is damaged, or of a later state.", number));
	/* Without its counts a pool is not opened. */
	if (!findings.survey.damaged_counts.empty()) {
		findings.complete = false;
		return findings;
	}
	const auto pool = std::make_unique<block::Pool>(device);
	CORBEL_EXPECT(told(pool->open(blocks, cache_nodes, block::Access::read_only), path));
	(void)CORBEL_EXPECT(told(block::check(*pool,
					      [&](const Violation &violation) {
						      findings.add(name_text(violation.what),
								   sentence_of(violation));
					      }),
				 path));
	findings.free_meta = pool->free_meta();
	return findings;
}

} /* namespace corbel::pool */
