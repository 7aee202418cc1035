/* SPDX-License-Identifier: GPL-2.0 */
#include "check.hh"
#include "tally.hh"

namespace corbel::block {
namespace {

class Checker {
public:
	Checker(Pool *pool, Report report) : pool_(*pool), store_(pool->store()), report_(report) {}

	Result<u64> run();

private:
	struct Seen {
		u64 entries; /* of leaves beneath */
		u32 times;
		u32 reserved;
	};
	struct Step {
		NodeRef node;
		u64 low = 0, last = ~u64{0}; /* keys that it can have */
		u32 at = 0;
	};
	struct Path {
		Step steps[max_levels];
	};

	[[nodiscard]] const SuperblockV1 &super() const { return store_.super(); }
	[[nodiscard]] Meta root(Kind kind) const
	{
		return {super().roots[static_cast<unsigned>(kind)]};
	}
	void say(Wrong what, Meta node, u64 key, u64 expected, u64 found)
	{
		violations_++;
		report_({what, node, key, expected, found});
	}
	/* Where @block has been told of; nullptr: it cannot be one, which is reported. */
	Seen *seen_of(Meta block)
	{
		if (store_.space().contains(block))
			return &seen_[block.value - store_.space().first().value];
		say(Wrong::unreadable, block, 0, 0, 0);
		return nullptr;
	}

	Result<bool> refer(Kind kind, Meta block, u32 level, Step &step);
	Result<u64> visit_tree(Kind kind, Meta root);
	Result<void> visit_leaf(Kind kind, const NodeRef &leaf);
	Result<void> visit_volume(Meta leaf, u64 id, const VolumeV1 &volume);
	Result<void> visit_middle(Meta leaf, u64 mba, const MiddleV1 &middle);
	Result<void> visit_reverse(Meta leaf, u64 pba, u64 mba);
	Result<void> check_named();
	Result<void> check_ends();
	void check_counts();
	void check_totals();

	Pool &pool_;
	Store &store_;
	Report report_;
	rt::Pages memory_;
	Seen *seen_ = nullptr;
	u64 nodes_[kinds]{}, used_[max_devices]{};
	u64 middle_entries_ = 0, volumes_ = 0, violations_ = 0;
	Tally named_; /* MBAs, by logical leaves */
	Path trees_, maps_; /* of the volume table and others; of logical maps */
};

/* One more refers to @block. True: it is met for the first time, and @step has it. */
Result<bool> Checker::refer(Kind kind, Meta block, u32 level, Step &step)
{
	Seen *seen = seen_of(block);

	if (!seen)
		return false;
	const bool first = seen->times++ == 0;
	auto node = store_.read(block, kind, level);
	if (!node.ok()) {
		if (node.error() != Error::bad_message)
			return node.error();
		say(Wrong::unreadable, block, 0, level, 0);
		return false;
	}
	/* Here too when it was met before: other parents may say something else. */
	if (!well_formed(*node.value()) || !is_within(*node.value(), step.low, step.last)) {
		say(Wrong::unreadable, block, keys_of(*node.value())[0], step.low, level);
		return false;
	}
	if (!first)
		return false;
	nodes_[static_cast<unsigned>(kind)]++;
	step.node = std::move(node).value();
	step.at = 0;
	return true;
}

/* How many entries it has. */
Result<u64> Checker::visit_tree(Kind kind, Meta root)
{
	Path &path = kind == Kind::logical ? maps_ : trees_;
	u32 depth = 0;

	if (root == Meta{})
		return u64{0};
	path.steps[0] = {};
	if (CORBEL_TRY(refer(kind, root, Store::any_level, path.steps[0]))) {
		for (;;) {
			Step &step = path.steps[depth];
			const NodeV1 &node = *step.node;
			Seen *seen = seen_of(step.node.block());

			if (node.level == 0) {
				CORBEL_TRY(visit_leaf(kind, step.node));
				seen->entries = node.count;
			} else if (step.at < node.count) {
				Step &next = path.steps[depth + 1];

				next.low = step.at ? keys_of(node)[step.at] : step.low;
				next.last = step.at + 1U < node.count
						    ? keys_of(node)[step.at + 1] - 1
						    : step.last;
				const Meta child = child_of(node, step.at++);
				if (CORBEL_TRY(refer(kind, child, node.level - 1U, next)))
					depth++;
				else if (store_.space().contains(child))
					seen->entries += seen_of(child)->entries;
				continue;
			}
			const u64 entries = seen->entries;
			step.node.reset();
			if (!depth)
				break;
			depth--;
			seen_of(path.steps[depth].node.block())->entries += entries;
		}
	}
	return store_.space().contains(root) ? seen_of(root)->entries : 0;
}

Result<void> Checker::visit_leaf(Kind kind, const NodeRef &leaf)
{
	for (u32 at = 0; at < leaf->count; at++) {
		const u64 key = keys_of(*leaf)[at], *value = value_of(*leaf, at);
		VolumeV1 volume;
		MiddleV1 middle;

		switch (kind) {
		case Kind::volumes:
			__builtin_memcpy(&volume, value, sizeof(volume));
			CORBEL_TRY(visit_volume(leaf.block(), key, volume));
			break;
		case Kind::middle:
			__builtin_memcpy(&middle, value, sizeof(middle));
			CORBEL_TRY(visit_middle(leaf.block(), key, middle));
			break;
		case Kind::reverse:
			CORBEL_TRY(visit_reverse(leaf.block(), key, *value));
			break;
		case Kind::logical:
			if (*value >= super().mba_end)
				say(Wrong::mapping_outside, leaf.block(), key, super().mba_end,
				    *value);
			else
				CORBEL_TRY(named_.add(*value));
			break;
		}
	}
	return {};
}

Result<void> Checker::visit_volume(Meta leaf, u64 id, const VolumeV1 &volume)
{
	volumes_++;
	if (!id || id >= super().next_volume || volume.flags & ~volume_flags || volume.reserved ||
	    volume.origin >= super().next_volume || volume.created > store_.generation().value)
		say(Wrong::volume_entry, leaf, id, super().next_volume, volume.flags);
	const u64 mapped = CORBEL_TRY(visit_tree(Kind::logical, {volume.root}));
	if (!(volume.flags & volume_deleting) && mapped != volume.mapped)
		say(Wrong::volume_mapped, leaf, id, mapped, volume.mapped);
	return {};
}

Result<void> Checker::visit_middle(Meta leaf, u64 mba, const MiddleV1 &middle)
{
	const Pba pba = Pba::unpack(middle.pba);

	middle_entries_++;
	if (mba >= super().mba_end || pba.device >= max_devices ||
	    pba.block >= super().devices[pba.device].blocks || !middle.count)
		say(Wrong::middle_entry, leaf, mba, super().mba_end, middle.pba);
	if (const u32 named = named_.count(mba); named != middle.count)
		say(Wrong::middle_count, leaf, mba, named, middle.count);
	const auto back = pool_.mba_at(pba);
	if (!back.ok() && back.error() != Error::not_found && back.error() != Error::bad_message)
		return back.error();
	if (!back.ok() || back.value().value != mba)
		say(Wrong::reverse_missing, leaf, mba, middle.pba,
		    back.ok() ? back.value().value : ~u64{0});
	return {};
}

Result<void> Checker::visit_reverse(Meta leaf, u64 pba, u64 mba)
{
	if (const u16 device = Pba::unpack(pba).device; device < max_devices)
		used_[device]++;
	const auto middle = pool_.find_mba({mba});
	if (!middle.ok() && middle.error() != Error::not_found &&
	    middle.error() != Error::bad_message)
		return middle.error();
	if (!middle.ok() || middle.value().packed() != pba)
		say(Wrong::reverse_wrong, leaf, pba,
		    middle.ok() ? middle.value().packed() : ~u64{0}, mba);
	return {};
}

/* What logical maps name is there; how often is held against the entries. */
Result<void> Checker::check_named()
{
	return named_.for_each([&](u64 mba, u32 count) -> Result<void> {
		const auto middle = pool_.find_mba({mba});

		if (!middle.ok() && middle.error() == Error::not_found)
			say(Wrong::middle_missing, {}, mba, count, 0);
		else if (!middle.ok() && middle.error() != Error::bad_message)
			return middle.error();
		return {};
	});
}

/* Here and not at each leaf, which volumes of different sizes can share. */
Result<void> Checker::check_ends()
{
	VolumeId id;

	for (;;) {
		const auto next = pool_.next_volume(id);

		if (!next.ok())
			return next.error() == Error::not_found ||
					       next.error() == Error::bad_message
				       ? Result<void>()
				       : next.error();
		id = next.value(); /* it is ok */
		const auto behind = pool_.first_behind_end(id);
		if (behind.ok())
			say(Wrong::mapping_outside, {}, behind.value().value, id.value, 0);
		else if (behind.error() != Error::not_found && behind.error() != Error::bad_message)
			return behind.error();
	}
}

void Checker::check_counts()
{
	const Space &space = store_.space();

	for (u64 i = 0; i < space.size(); i++) {
		const Meta block{space.first().value + i};

		if (seen_[i].times != space.count(block))
			say(Wrong::node_count, block, 0, seen_[i].times, space.count(block));
	}
}

void Checker::check_totals()
{
	for (unsigned kind = 0; kind < kinds; kind++)
		if (nodes_[kind] != super().nodes[kind])
			say(Wrong::node_total, {}, kind, nodes_[kind], super().nodes[kind]);
	for (unsigned device = 0; device < max_devices; device++)
		if (used_[device] != super().devices[device].used)
			say(Wrong::device_used, {}, device, used_[device],
			    super().devices[device].used);
	if (middle_entries_ != super().mapped)
		say(Wrong::middle_total, {}, 0, middle_entries_, super().mapped);
	if (volumes_ != super().volumes)
		say(Wrong::volume_total, {}, 0, volumes_, super().volumes);
}

Result<u64> Checker::run()
{
	memory_ = CORBEL_TRY(
		rt::Pages::make(store_.space().size() * sizeof(Seen), rt::Pages::Use::kernel));
	seen_ = memory_.as<Seen>();
	/* Logical maps first, of which the middle map is to tell. */
	(void)CORBEL_TRY(visit_tree(Kind::volumes, root(Kind::volumes)));
	(void)CORBEL_TRY(visit_tree(Kind::middle, root(Kind::middle)));
	(void)CORBEL_TRY(visit_tree(Kind::reverse, root(Kind::reverse)));
	CORBEL_TRY(check_named());
	CORBEL_TRY(check_ends());
	check_counts();
	check_totals();
	return violations_;
}

} /* namespace */

rt::Text name_of(Wrong wrong)
{
	switch (wrong) {
	case Wrong::unreadable:
		return "unreadable node";
	case Wrong::node_count:
		return "count of a node";
	case Wrong::node_total:
		return "number of nodes";
	case Wrong::volume_entry:
		return "impossible volume";
	case Wrong::volume_mapped:
		return "mapped blocks of a volume";
	case Wrong::volume_total:
		return "number of volumes";
	case Wrong::mapping_outside:
		return "mapping outside";
	case Wrong::middle_entry:
		return "impossible middle entry";
	case Wrong::middle_count:
		return "count of a middle entry";
	case Wrong::middle_missing:
		return "missing middle entry";
	case Wrong::middle_total:
		return "number of middle entries";
	case Wrong::reverse_missing:
		return "missing reverse entry";
	case Wrong::reverse_wrong:
		return "wrong reverse entry";
	case Wrong::device_used:
		return "used blocks of a device";
	}
	return "?";
}

Result<u64> check(Pool &pool, Report report)
{
	auto checker = CORBEL_TRY(rt::Box<Checker>::make(rt::Context::task, &pool, report));

	return checker->run();
}

} /* namespace corbel::block */
