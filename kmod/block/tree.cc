/* SPDX-License-Identifier: GPL-2.0 */
#include "tree.hh"

namespace corbel::block {

Tree::Range Tree::range_of(const NodeV1 &node, u32 child, Range range)
{
	if (child)
		range.low = keys_of(node)[child];
	if (child + 1 < node.count)
		range.last = keys_of(node)[child + 1] - 1;
	return range;
}

/* @range: of the child. */
Result<NodeRef> Tree::read_child(const NodeRef &node, u32 child, Range range)
{
	auto read = CORBEL_TRY(store_.read(child_of(*node, child), kind_, node->level - 1U));

	if (!is_within(*read, range.low, range.last))
		return Error::bad_message;
	return read;
}

/* ---- reading ------------------------------------------------------------------------- */

Result<u32> Tree::levels(Meta root)
{
	if (root == Meta{})
		return u32{0};
	const auto node = CORBEL_TRY(store_.read(root, kind_, Store::any_level));

	return node->level + 1U;
}

Result<Tree::Found> Tree::find(Meta root, u64 key, u64 *value)
{
	if (root == Meta{})
		return Found{};
	auto node = CORBEL_TRY(store_.read(root, kind_, Store::any_level));
	Range range;
	bool shared = store_.count(root) > 1;

	while (node->level) {
		const u32 at = child_index(*node, key);

		range = range_of(*node, at, range);
		node = CORBEL_TRY(read_child(node, at, range));
		shared |= store_.count(node.block()) > 1;
	}
	const u32 at = lower_bound(*node, key);
	if (at == node->count || keys_of(*node)[at] != key)
		return Found{false, shared};
	__builtin_memcpy(value, value_of(*node, at), node->value_words * sizeof(u64));
	return Found{true, shared};
}

Result<void> Tree::walk(Meta root, u64 first, u64 last, Visit visit)
{
	while (root != Meta{}) {
		auto node = CORBEL_TRY(store_.read(root, kind_, Store::any_level));
		Range range;

		while (node->level) {
			const u32 at = child_index(*node, first);

			range = range_of(*node, at, range);
			node = CORBEL_TRY(read_child(node, at, range));
		}
		for (u32 at = lower_bound(*node, first); at < node->count; at++) {
			const u64 key = keys_of(*node)[at];

			if (key > last || !CORBEL_TRY(visit(key, value_of(*node, at))))
				return {};
		}
		if (range.last >= last)
			break;
		first = range.last + 1;
	}
	return {};
}

/* ---- the way down, made the tree's own -------------------------------------------------- */

Result<NodeRef> Tree::renew(NodeRef node)
{
	if (store_.is_new(node))
		return node;
	auto copied = CORBEL_TRY(store_.copy(node));
	const Meta old = node.block();

	if (store_.count(old) > 1) {
		for (u32 at = 0; at < node->count; at++) {
			const u64 value = *value_of(*node, at);

			if (node->level)
				CORBEL_TRY(store_.raise({value}));
			else if (sharing_ && !sabotaged(Sabotage::copy_without_raise))
				CORBEL_TRY(sharing_->raise_value(value));
		}
	}
	node.reset();
	(void)CORBEL_TRY(store_.drop(old, kind_));
	return copied;
}

Result<NodeRef> Tree::renew_root(Meta &root)
{
	auto node = CORBEL_TRY(renew(CORBEL_TRY(store_.read(root, kind_, Store::any_level))));

	root = node.block();
	return node;
}

Result<NodeRef> Tree::renew_child(NodeRef &node, u32 child, Range range)
{
	auto found = CORBEL_TRY(renew(CORBEL_TRY(read_child(node, child, range))));

	*value_of(node.change(), child) = found.block().value;
	return found;
}

Result<void> Tree::descend(Meta &root, u64 key, Path &path)
{
	path.steps[0].node = CORBEL_TRY(renew_root(root));
	while (path.end().node->level) {
		Step &step = path.end(), &next = path.steps[path.depth + 1];

		step.at = child_index(*step.node, key);
		next.range = range_of(*step.node, step.at, step.range);
		next.node = CORBEL_TRY(renew_child(step.node, step.at, next.range));
		path.depth++;
	}
	return {};
}

/* ---- insert, update --------------------------------------------------------------------- */

/* The half of @node, full and a child of @parent, which has room, that @key belongs to. */
Result<NodeRef> Tree::split(NodeRef &parent, u32 at, NodeRef node, u64 key)
{
	auto right = CORBEL_TRY(store_.create(kind_, node->level));
	const u32 last = node->count - 1U;
	const u32 from = key > keys_of(*node)[last] ? last : node->count / 2U;

	move_tail(node.change(), from, right.change());
	const u64 separator = keys_of(*right)[0], block = right.block().value;
	insert_at(parent.change(), at + 1, separator, &block);
	return key < separator ? std::move(node) : std::move(right);
}

/* @node is the root and full; it becomes the only child of a new one. */
Result<void> Tree::grow(Meta &root, NodeRef &node)
{
	if (node->level + 1U == max_levels)
		return Error::overflow;
	auto above = CORBEL_TRY(store_.create(kind_, node->level + 1U));
	const u64 block = node.block().value;

	insert_at(above.change(), 0, keys_of(*node)[0], &block);
	root = above.block();
	node = std::move(above);
	return {};
}

Result<bool> Tree::insert(Meta &root, u64 key, const u64 *value)
{
	NodeRef node;
	Range range;

	if (root == Meta{}) {
		node = CORBEL_TRY(store_.create(kind_, 0));
		root = node.block();
	} else {
		node = CORBEL_TRY(renew_root(root));
	}
	if (node->count == capacity_of(*node)) {
		CORBEL_TRY(grow(root, node));
		auto child = CORBEL_TRY(renew_child(node, 0, range));
		node = CORBEL_TRY(split(node, 0, std::move(child), key));
		/* Which half it is, and so its range, is not looked at again but by its keys. */
		range = {};
	}
	while (node->level) {
		const u32 at = child_index(*node, key);

		/* Else a separator within the first child could come to stand before it. */
		if (key < keys_of(*node)[0])
			keys_of(node.change())[0] = key;
		range = range_of(*node, at, range);
		auto child = CORBEL_TRY(renew_child(node, at, range));
		if (child->count == capacity_of(*child))
			child = CORBEL_TRY(split(node, at, std::move(child), key));
		node = std::move(child);
	}
	const u32 at = lower_bound(*node, key);
	if (at < node->count && keys_of(*node)[at] == key) {
		__builtin_memcpy(value_of(node.change(), at), value,
				 node->value_words * sizeof(u64));
		return false;
	}
	insert_at(node.change(), at, key, value);
	return true;
}

Result<void> Tree::update(Meta &root, u64 key, const u64 *value)
{
	if (root == Meta{})
		return Error::bad_message;
	auto node = CORBEL_TRY(renew_root(root));
	Range range;

	while (node->level) {
		const u32 at = child_index(*node, key);

		range = range_of(*node, at, range);
		node = CORBEL_TRY(renew_child(node, at, range));
	}
	const u32 at = lower_bound(*node, key);
	if (at == node->count || keys_of(*node)[at] != key)
		return Error::bad_message;
	__builtin_memcpy(value_of(node.change(), at), value, node->value_words * sizeof(u64));
	return {};
}

/* ---- remove ------------------------------------------------------------------------------ */

/* The last step's leaf, if it has become small, takes in a neighbour or goes there. */
Result<void> Tree::join(Path &path)
{
	Step &leaf = path.end();
	const u32 capacity = capacity_of(*leaf.node);

	if (!path.depth || !leaf.node->count || leaf.node->count > capacity / 4)
		return {};
	Step &parent = path.steps[path.depth - 1];
	u32 other = 0;
	Range range;
	bool found = false;

	for (const bool behind : {true, false}) {
		if (found || (behind ? parent.at + 1U >= parent.node->count : !parent.at))
			continue;
		other = behind ? parent.at + 1 : parent.at - 1;
		range = range_of(*parent.node, other, parent.range);
		found = store_.count(child_of(*parent.node, other)) == 1 &&
			CORBEL_TRY(read_child(parent.node, other, range))->count <= capacity / 2;
	}
	if (!found)
		return {};
	const u32 left = other < parent.at ? other : parent.at;
	auto taken = CORBEL_TRY(renew_child(parent.node, other, range));
	NodeRef &low = left == parent.at ? leaf.node : taken;
	NodeRef &high = left == parent.at ? taken : leaf.node;
	move_tail(high.change(), 0, low.change());
	const Meta empty = high.block();
	high.reset();
	(void)CORBEL_TRY(store_.drop(empty, kind_));
	remove_at(parent.node.change(), left + 1);
	/* The step is of no more use. */
	leaf.node.reset();
	path.depth--;
	return {};
}

/* From the last step up, what is empty goes; a root with one child makes way for it. */
Result<void> Tree::prune(Meta &root, Path &path)
{
	while (path.end().node->count == 0) {
		const Meta empty = path.end().node.block();

		path.end().node.reset();
		(void)CORBEL_TRY(store_.drop(empty, kind_));
		if (path.depth == 0) {
			root = {};
			return {};
		}
		path.depth--;
		remove_at(path.end().node.change(), path.end().at);
	}
	for (u32 i = 1; i <= path.depth; i++)
		path.steps[i].node.reset();
	NodeRef node = std::move(path.steps[0].node);
	while (node->level && node->count == 1) {
		const Meta old = node.block();

		root = child_of(*node, 0);
		auto child = CORBEL_TRY(read_child(node, 0, {}));
		node = std::move(child);
		(void)CORBEL_TRY(store_.drop(old, kind_));
	}
	return {};
}

Result<bool> Tree::remove(Meta &root, u64 key)
{
	u64 value[sizeof(VolumeV1) / sizeof(u64)];
	Path path;

	if (!CORBEL_TRY(find(root, key, value)).found)
		return false;
	CORBEL_TRY(descend(root, key, path));
	NodeRef &leaf = path.end().node;
	remove_at(leaf.change(), lower_bound(*leaf, key));
	CORBEL_TRY(join(path));
	CORBEL_TRY(prune(root, path));
	return true;
}

Result<bool> Tree::drop_front(Meta &root, Release release, bool &unshared)
{
	Path path;

	if (root == Meta{})
		return true;
	if (store_.count(root) > 1) {
		(void)CORBEL_TRY(store_.drop(root, kind_));
		root = {};
		unshared = true;
		return true;
	}
	path.steps[0].node = CORBEL_TRY(renew_root(root));
	while (path.end().node->level) {
		Step &step = path.end(), &next = path.steps[path.depth + 1];
		const Meta child = child_of(*step.node, 0);

		if (store_.count(child) > 1) {
			(void)CORBEL_TRY(store_.drop(child, kind_));
			unshared = true;
			remove_at(step.node.change(), 0);
			CORBEL_TRY(prune(root, path));
			return root == Meta{};
		}
		next.range = range_of(*step.node, 0, step.range);
		next.node = CORBEL_TRY(renew_child(step.node, 0, next.range));
		path.depth++;
	}
	NodeRef &leaf = path.end().node;
	while (leaf->count && CORBEL_TRY(release(*value_of(*leaf, leaf->count - 1U))))
		remove_at(leaf.change(), leaf->count - 1U);
	CORBEL_TRY(prune(root, path));
	return root == Meta{};
}

} /* namespace corbel::block */
