/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * census.hh - all that the trees of a pool lead to, without belief in any count.
 *
 * Each node is read from the device and held against what its parent says. A node that
 * several refer to is looked into once.
 */
#pragma once

#include "survey.hh"

#include "../../kmod/block/node.hh"
#include "../../kmod/block/tally.hh"

#include <array>
#include <string>
#include <vector>

namespace corbel::pool {

struct VolumeFound {
	std::uint64_t id;
	std::uint64_t mapped; /* entries of its map */
	block::VolumeV1 volume;
};

class Census {
public:
	Census(block::BlockDevice &device, const block::SuperblockV1 &super, std::string path);

	/* EIO, ENOMEM. What is damaged is no error: it is in damage(). */
	[[nodiscard]] Result<void> take();

	/* Sentences: what cannot be rebuilt, as there is no second place that says it. */
	[[nodiscard]] const std::vector<std::string> &damage() const { return damage_; }
	/* The reverse map is not whole; it can be made of the middle map. */
	[[nodiscard]] bool is_reverse_damaged() const { return reverse_damaged_; }

	/*
	 * How many refer to each node; the first is that of first_node_of(). A reverse map that
	 * is damaged refers to none: its nodes, as far as they were found, are abandoned().
	 */
	[[nodiscard]] const std::vector<std::uint32_t> &references() const { return references_; }
	[[nodiscard]] const std::vector<std::uint64_t> &abandoned() const { return abandoned_; }
	[[nodiscard]] std::uint64_t nodes(block::Kind kind) const
	{
		return nodes_[static_cast<unsigned>(kind)];
	}
	[[nodiscard]] const std::vector<VolumeFound> &volumes() const { return volumes_; }
	/* How many entries of logical leaves name contents. */
	[[nodiscard]] block::Tally &named() { return named_; }
	/* Entries of the middle map, in all and by device. */
	[[nodiscard]] std::uint64_t middle_entries() const { return middle_entries_; }
	[[nodiscard]] const std::array<std::uint64_t, block::max_devices> &used() const
	{
		return used_;
	}

private:
	struct Expected {
		block::Kind kind;
		block::Meta block;
		std::uint32_t level;
		std::uint64_t low, last; /* of keys */
	};
	static constexpr std::uint32_t any_level = ~std::uint32_t{0};

	[[nodiscard]] Result<std::uint64_t> visit_root(block::Kind kind, std::uint64_t root);
	[[nodiscard]] Result<void> visit(const Expected &expected);
	[[nodiscard]] Result<bool> read(const Expected &expected, block::NodeV1 &node);
	[[nodiscard]] Result<void> visit_leaf(block::Kind kind, const block::NodeV1 &node);
	void visit_middle(std::uint64_t mba, const block::MiddleV1 &middle);
	void lose(block::Kind kind, std::string sentence);
	void abandon_reverse(std::vector<std::uint32_t> before);
	[[nodiscard]] bool contains(block::Meta block) const
	{
		return block >= first_ && block.value < super_.meta_blocks;
	}

	block::BlockDevice &device_;
	const block::SuperblockV1 &super_;
	std::string path_;
	block::Meta first_;
	std::vector<std::uint32_t> references_;
	std::vector<std::uint64_t> entries_; /* of leaves beneath a node */
	std::array<std::uint64_t, block::kinds> nodes_{};
	std::array<std::uint64_t, block::max_devices> used_{};
	std::vector<VolumeFound> volumes_;
	block::Tally named_;
	std::vector<std::uint64_t> abandoned_;
	std::uint64_t middle_entries_ = 0;
	bool reverse_damaged_ = false;
	std::vector<std::string> damage_;
};

} /* namespace corbel::pool */
