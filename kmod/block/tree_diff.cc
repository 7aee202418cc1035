/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tree_diff.cc - where two trees differ.
 *
 * A cursor stands at an entry, or at a node that has not been entered. The one that stands at
 * the lower key moves first; where both stand at the same key, at the same node, both pass it
 * by; else whoever is higher up enters its node. So only what is not shared is read, and
 * beside it, where the trees are not of one shape, the way back to what is.
 */
#include "tree.hh"

namespace corbel::block {

class Tree::Cursor {
public:
	Cursor(Tree &tree, Meta root) : tree_(tree), here_(root), ended_(root == Meta{}) {}

	[[nodiscard]] bool ended() const { return ended_; }
	[[nodiscard]] bool is_entry() const { return entry_; }
	/* Where it stands: the node, and the lowest key that it can have; or the entry. */
	[[nodiscard]] Meta node() const { return here_; }
	[[nodiscard]] u64 key() const
	{
		return entry_ ? keys_of(*path_.steps[path_.depth].node)[top().at] : range_.low;
	}
	[[nodiscard]] u64 last() const { return entry_ ? key() : range_.last; }
	[[nodiscard]] const u64 *value() const { return value_of(*top().node, top().at); }
	/* Of the node, as its parent says; more than any if that is not known. */
	[[nodiscard]] u32 level() const { return entered_ ? top().node->level - 1U : max_levels; }

	/* Stands at its first child or entry afterwards. */
	Result<void> enter()
	{
		auto node = CORBEL_TRY(
			entered_ ? tree_.read_child(top().node, top().at, range_)
				 : tree_.store_.read(here_, tree_.kind_, Store::any_level));

		path_.depth = entered_ ? path_.depth + 1 : 0;
		entered_ = true;
		path_.steps[path_.depth].range = range_;
		path_.steps[path_.depth].at = 0;
		path_.steps[path_.depth].node = std::move(node);
		stand();
		return {};
	}

	/* Past where it stands. */
	void pass()
	{
		if (!entered_) {
			ended_ = true;
			return;
		}
		while (++path_.end().at == path_.end().node->count) {
			path_.end().node.reset();
			if (!path_.depth) {
				ended_ = true;
				return;
			}
			path_.depth--;
		}
		stand();
	}

private:
	[[nodiscard]] const Step &top() const { return path_.steps[path_.depth]; }
	void stand()
	{
		entry_ = top().node->level == 0;
		if (entry_)
			return;
		range_ = range_of(*top().node, top().at, top().range);
		here_ = child_of(*top().node, top().at);
	}

	Tree &tree_;
	Path path_;
	Range range_;
	Meta here_;
	bool entered_ = false, entry_ = false, ended_;
};

Result<void> Tree::diff(Meta root_a, Meta root_b, u64 first, VisitDifference visit)
{
	Cursor a(*this, root_a), b(*this, root_b);

	while (!a.ended() || !b.ended()) {
		/* Who is to move: both only if they stand at the same. */
		const bool at_a = !a.ended() && (b.ended() || a.key() <= b.key());
		const bool at_b = !b.ended() && (a.ended() || b.key() <= a.key());

		if (at_a && at_b && !a.is_entry() && !b.is_entry() && a.node() == b.node()) {
			a.pass();
			b.pass();
			continue;
		}
		/* What ends before the start is not looked into. */
		if (at_a && a.last() < first) {
			a.pass();
			continue;
		}
		if (at_b && b.last() < first) {
			b.pass();
			continue;
		}
		if (at_a && !a.is_entry() && (!at_b || b.is_entry() || a.level() >= b.level())) {
			CORBEL_TRY(a.enter());
			continue;
		}
		if (at_b && !b.is_entry()) {
			CORBEL_TRY(b.enter());
			continue;
		}
		const u64 *in_a = at_a ? a.value() : nullptr, *in_b = at_b ? b.value() : nullptr;
		if (!(in_a && in_b && *in_a == *in_b) &&
		    !CORBEL_TRY(visit(at_a ? a.key() : b.key(), in_a, in_b)))
			return {};
		if (at_a)
			a.pass();
		if (at_b)
			b.pass();
	}
	return {};
}

} /* namespace corbel::block */
