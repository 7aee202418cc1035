/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tree.hh - copy-on-write B-trees, of a 64-bit key and values of a fixed size.
 *
 * A tree is what its root leads to. Trees share nodes: to clone one is to raise the count of
 * its root. Whatever changes a tree first makes the nodes on the way its own (renew): one that
 * others refer to as well is copied, and what it refers to then has one more who does; for the
 * leaves of logical maps that are MBAs, which are counted in the middle map (Sharing).
 *
 * Nodes are split on the way down, so that nothing has to go up again. They are freed when
 * they are empty, and a leaf that has become small takes in a neighbour if both are small and
 * the neighbour is nobody else's. A split at the end of a node leaves it full, so that what is
 * filled in order fills its nodes.
 *
 * Every node that is read is held against what its parent says of it: level, kind and range of
 * keys. So no path is longer than max_levels, and no node is met twice on a walk of one tree,
 * whatever the device holds.
 *
 * A function that fails may have changed part of the way: its transaction is broken.
 */
#pragma once

#include "../rt/function_ref.hh"
#include "store.hh"

namespace corbel::block {

/* What the leaves of a tree refer to has a count, too. */
class Sharing {
public:
	/* One leaf more names it. Task. */
	virtual Result<void> raise_value(u64 value) = 0;

protected:
	~Sharing() = default;
};

class Tree {
public:
	/* @sharing: of values of one word, or nullptr: the tree is never cloned. */
	Tree(Store &store, Kind kind, Sharing *sharing = nullptr)
		: store_(store), kind_(kind), sharing_(sharing)
	{}

	struct Found {
		bool found = false;
		bool shared = false; /* the way there, with another tree */
	};
	/* @value: value_words_of(kind), set if it is found. Task. */
	Result<Found> find(Meta root, u64 key, u64 *value);

	/* All in order, @first to @last, until @visit says false. It changes nothing. Task. */
	using Visit = rt::FunctionRef<Result<bool>(u64 key, const u64 *value)>;
	Result<void> walk(Meta root, u64 first, u64 last, Visit visit);

	/*
	 * Where two trees differ from @first on, in order, until @visit says false: the value
	 * in each, nullptr where there is none. What both share is passed over unread. Task.
	 */
	using VisitDifference =
		rt::FunctionRef<Result<bool>(u64 key, const u64 *in_a, const u64 *in_b)>;
	Result<void> diff(Meta a, Meta b, u64 first, VisitDifference visit);

	/* True: @key is new. Takes up to for_insert() blocks. Task. */
	Result<bool> insert(Meta &root, u64 key, const u64 *value);
	/* Of a key that there is. Takes up to levels() blocks. Task; bad_message: there is none. */
	Result<void> update(Meta &root, u64 key, const u64 *value);
	/* False: there was none. Takes up to for_remove() blocks. Task. */
	Result<bool> remove(Meta &root, u64 key);

	/*
	 * The tree loses what comes first: what others refer to as well at once, else values
	 * of its first leaf, as long as @release takes them. For it takes up to levels() blocks
	 * and gives all of them back. @unshared is set if something lost one of several who
	 * refer to it. True: it is empty. Task.
	 */
	using Release = rt::FunctionRef<Result<bool>(u64 value)>;
	Result<bool> drop_front(Meta &root, Release release, bool &unshared);

	/* 0 of an empty tree. Task. */
	Result<u32> levels(Meta root);
	static constexpr u64 for_insert(u32 levels) { return 2 * u64{levels} + 1; }
	static constexpr u64 for_remove(u32 levels) { return u64{levels} + 1; }

private:
	struct Range {
		u64 low = 0, last = ~u64{0};
	};
	struct Step {
		NodeRef node;
		Range range;
		u32 at = 0; /* which child comes next */
	};
	class Cursor;
	struct Path {
		Step steps[max_levels];
		u32 depth = 0; /* of the last step */

		Step &end() { return steps[depth]; }
	};

	static Range range_of(const NodeV1 &node, u32 child, Range range);
	Result<NodeRef> read_child(const NodeRef &node, u32 child, Range range);
	Result<NodeRef> renew(NodeRef node);
	Result<NodeRef> renew_root(Meta &root);
	Result<NodeRef> renew_child(NodeRef &node, u32 child, Range range);
	Result<void> descend(Meta &root, u64 key, Path &path);
	Result<NodeRef> split(NodeRef &parent, u32 at, NodeRef node, u64 key);
	Result<void> grow(Meta &root, NodeRef &node);
	Result<void> join(Path &path);
	Result<void> prune(Meta &root, Path &path);

	Store &store_;
	Kind kind_;
	Sharing *sharing_;
};

} /* namespace corbel::block */
