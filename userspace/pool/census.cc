// SPDX-License-Identifier: GPL-2.0-or-later
#include "census.hh"

#include "../../kmod/block/crc32c.hh"

#include <cstring>
#include <memory>

#include <fmt/format.h>

namespace corbel::pool {

namespace {

using block::Kind;
using block::Meta;
using block::NodeV1;
using block::Pba;

constexpr std::size_t most_damage = 20; /* that is told */

bool is_whole(const NodeV1 &node, Meta block, const block::SuperblockV1 &super)
{
	const auto &header = node.header;

	return header.magic == block::node_magic && header.block == block.value &&
	       header.pool == super.header.pool && header.generation <= super.header.generation &&
	       header.crc == block::crc32c(&header.block, block::meta_bytes - block::crc_from) &&
	       block::well_formed(node);
}

const char *tree_of(Kind kind)
{
	switch (kind) {
	case Kind::volumes:
		return "the volume table";
	case Kind::middle:
		return "the middle map";
	case Kind::reverse:
		return "the reverse map";
	case Kind::logical:
		break;
	}
	return "a volume's map";
}

} /* namespace */

Census::Census(block::BlockDevice &device, const block::SuperblockV1 &super, std::string path)
	: device_(device),
	  super_(super),
	  path_(std::move(path)),
	  first_(block::first_node_of(super.meta_blocks)),
	  references_(super.meta_blocks - first_.value),
	  entries_(references_.size())
{}

void Census::lose(Kind kind, std::string sentence)
{
	if (kind == Kind::reverse)
		reverse_damaged_ = true;
	else if (damage_.size() < most_damage)
		damage_.push_back(std::move(sentence));
}

/* False: it is not what is expected, which is noted. */
Result<bool> Census::read(const Expected &expected, NodeV1 &node)
{
	const auto lost = [&] {
		lose(expected.kind, fmt::format("Node {}, of {}, is damaged, and nothing else says "
						"what it held.",
						expected.block.value, tree_of(expected.kind)));
		return false;
	};

	if (!contains(expected.block))
		return lost();
	const auto result = device_.read(expected.block, &node);
	if (!result.ok() && result.error() != block::Error::io)
		return std::unexpected(explain(result.error(), path_));
	if (!result.ok() || !is_whole(node, expected.block, super_) ||
	    node.kind != static_cast<std::uint8_t>(expected.kind) ||
	    (expected.level != any_level && node.level != expected.level) ||
	    !block::is_within(node, expected.low, expected.last))
		return lost();
	return true;
}

Result<std::uint64_t> Census::visit_root(Kind kind, std::uint64_t root)
{
	if (!root)
		return 0;
	CORBEL_EXPECT(visit({kind, {root}, any_level, 0, ~std::uint64_t{0}}));
	return contains({root}) ? entries_[root - first_.value] : 0;
}

/* No deeper than max_levels, as the level of a child is checked. */
Result<void> Census::visit(const Expected &expected)
{
	const auto node = std::make_unique<NodeV1>();

	if (!CORBEL_EXPECT(read(expected, *node)))
		return {};
	const auto at = expected.block.value - first_.value;
	if (references_[at]++)
		return {};
	nodes_[node->kind]++;
	if (node->level == 0) {
		entries_[at] = node->count;
		return visit_leaf(expected.kind, *node);
	}
	for (std::uint32_t i = 0; i < node->count; i++) {
		const Meta child = block::child_of(*node, i);

		CORBEL_EXPECT(visit(
			{expected.kind, child, node->level - 1U,
			 i ? block::keys_of(*node)[i] : expected.low,
			 i + 1U < node->count ? block::keys_of(*node)[i + 1] - 1 : expected.last}));
		if (contains(child))
			entries_[at] += entries_[child.value - first_.value];
	}
	return {};
}

Result<void> Census::visit_leaf(Kind kind, const NodeV1 &node)
{
	for (std::uint32_t i = 0; i < node.count; i++) {
		const auto key = block::keys_of(node)[i];
		const auto *value = block::value_of(node, i);

		if (kind == Kind::volumes) {
			VolumeFound found{key, 0, {}};

			std::memcpy(&found.volume, value, sizeof(found.volume));
			volumes_.push_back(found);
		} else if (kind == Kind::middle) {
			block::MiddleV1 middle;

			std::memcpy(&middle, value, sizeof(middle));
			visit_middle(key, middle);
		} else if (kind == Kind::logical) {
			if (*value >= super_.mba_end)
				lose(kind, fmt::format("Node {} has an entry for block {} that "
						       "leads nowhere.",
						       node.header.block, key));
			else
				CORBEL_EXPECT(told(named_.add(*value), path_));
		}
	}
	return {};
}

void Census::visit_middle(std::uint64_t mba, const block::MiddleV1 &middle)
{
	const auto pba = Pba::unpack(middle.pba);

	middle_entries_++;
	if (mba >= super_.mba_end || pba.device >= block::max_devices ||
	    pba.block >= super_.devices[pba.device].blocks)
		lose(Kind::middle,
		     fmt::format("Contents {} lie at block {} of device {}, which cannot be.", mba,
				 pba.block, pba.device));
	else
		used_[pba.device]++;
}

/* @before: references without those of the reverse map. */
void Census::abandon_reverse(std::vector<std::uint32_t> before)
{
	for (std::size_t at = 0; at < before.size(); at++)
		if (references_[at] && !before[at])
			abandoned_.push_back(at);
	references_ = std::move(before);
	nodes_[static_cast<unsigned>(Kind::reverse)] = 0;
}

Result<void> Census::take()
{
	(void)CORBEL_EXPECT(
		visit_root(Kind::volumes, super_.roots[static_cast<unsigned>(Kind::volumes)]));
	for (auto &found : volumes_)
		found.mapped = CORBEL_EXPECT(visit_root(Kind::logical, found.volume.root));
	(void)CORBEL_EXPECT(
		visit_root(Kind::middle, super_.roots[static_cast<unsigned>(Kind::middle)]));
	auto before = references_;
	(void)CORBEL_EXPECT(
		visit_root(Kind::reverse, super_.roots[static_cast<unsigned>(Kind::reverse)]));
	if (reverse_damaged_)
		abandon_reverse(std::move(before));
	return {};
}

} /* namespace corbel::pool */
