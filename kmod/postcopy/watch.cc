// SPDX-License-Identifier: GPL-2.0
/*
 * watch.cc - tracking and sealing of a memory object, and its page tables.
 *
 * What touches memory of the caller does so with nothing held: that memory can be the object.
 */
#include "watch.hh"

#include "../rt/memory.hh"
#include "region.hh"

#include <corbel/memory.h>

namespace corbel::postcopy {
namespace {

using core::read_arguments;
using core::write_arguments;
using rt::Error;
using rt::Result;

constexpr u32 piece_pages = CORBEL_MEMORY_PIECE / CORBEL_MEMORY_PAGE;

/* One at a time. */
class Turn {
public:
	explicit Turn(Region &region) : node_(region.node), error_(corbel_node_begin(node_)) {}
	~Turn()
	{
		if (!error_)
			corbel_node_end(node_);
	}
	Turn(const Turn &) = delete;
	Turn &operator=(const Turn &) = delete;

	/* Error::interrupted: the caller is being killed. */
	[[nodiscard]] Result<void> taken() const { return rt::check_shim(error_); }

private:
	corbel_node *const node_;
	const int error_;
};

/* A bit for each page, zeroed. */
class Bits {
public:
	explicit Bits(size_t words)
		: words_(static_cast<u64 *>(corbel_store_table(words * sizeof(u64))))
	{}
	~Bits() { corbel_free_pages(words_); }
	Bits(const Bits &) = delete;

	explicit operator bool() const { return words_; }
	u64 *get() { return words_; }

private:
	u64 *words_;
};

/* The mappings as they are to be now. Has the turn. */
Result<void> adapt_mappings(Region &region)
{
	return rt::check_shim(corbel_node_watch(region.node, region.watch.watched()));
}

void mark_present(Region &region)
{
	for (u32 page = 0; page < region.states.size(); page++) {
		if (region.states.is_present(page))
			region.watch.written(page);
		if (page % 65536 == 0)
			corbel_reschedule();
	}
}

Result<long> track(Region &region, u64 user)
{
	const auto request =
		CORBEL_TRY(read_arguments<corbel_memory_track>(user, CORBEL_MEMORY_TRACK_OFF));
	const bool on = !(request.flags & CORBEL_MEMORY_TRACK_OFF);
	const Turn turn(region);

	CORBEL_TRY(turn.taken());
	if (region.watch.tracked() == on)
		return Error::already;
	if (!on) {
		region.watch.stop();
		CORBEL_TRY(adapt_mappings(region));
		return 0;
	}
	CORBEL_TRY(region.watch.start());
	mark_present(region);
	const auto adapted = adapt_mappings(region);
	if (!adapted) {
		region.watch.stop();
		corbel_node_unwatch(region.node, region.watch.watched());
		return adapted.error();
	}
	return 0;
}

/* What DirtyPages::collect() needs of the object. */
class Pages {
public:
	explicit Pages(Region &region) : region_(region) {}

	void lock(u32 page) { corbel_store_lock_page(region_.store, page); }
	void unlock(u32 page) { corbel_store_unlock_page(region_.store, page); }
	void protect(u32 first, u32 count) { corbel_node_protect(region_.node, first, count); }
	bool in_use(u32 page) { return corbel_store_in_use(region_.store, page); }

private:
	Region &region_;
};

/* Has the turn. */
u64 collect(Region &region, u64 *told)
{
	const u32 size = region.states.size();
	Pages pages(region);
	u64 sum = 0;

	for (u32 first = 0; first < size; first += piece_pages) {
		const u32 count = size - first < piece_pages ? size - first : piece_pages;
		const u32 group = corbel_store_is_whole(region.store, first) ? count : 1;

		sum += region.watch.dirty.collect(pages, first, count, group, told + first / 64);
		corbel_reschedule();
	}
	return sum;
}

void rewrite(Region &region, const u64 *told)
{
	for (size_t i = 0; i < region.watch.dirty.words(); i++)
		region.watch.dirty.mark_word(i, told[i]);
}

Result<u64> collect_or_keep(Region &region, u64 *told, bool keep)
{
	const Turn turn(region);
	u64 sum = 0;

	CORBEL_TRY(turn.taken());
	if (!region.watch.tracked())
		return Error::invalid;
	if (!keep)
		return collect(region, told);
	for (size_t i = 0; i < region.watch.dirty.words(); i++) {
		told[i] = region.watch.dirty.word(i);
		sum += static_cast<u64>(std::popcount(told[i]));
	}
	return sum;
}

Result<long> dirty(Region &region, u64 user)
{
	auto request =
		CORBEL_TRY(read_arguments<corbel_memory_dirty>(user, CORBEL_MEMORY_DIRTY_KEEP));
	const bool keep = request.flags & CORBEL_MEMORY_DIRTY_KEEP;
	const size_t words = region.watch.dirty.words();
	Bits told(words);

	if (!told)
		return Error::no_memory;
	request.pages = CORBEL_TRY(collect_or_keep(region, told.get(), keep));
	Result<void> done{};
	if (request.bitmap)
		done = rt::check_shim(
			corbel_copy_out(request.bitmap, told.get(), words * sizeof(u64)));
	if (done)
		done = write_arguments(user, request);
	if (!done && !keep)
		rewrite(region, told.get());
	CORBEL_TRY(done);
	return 0;
}

Result<void> set_seal(Region &region)
{
	const Turn turn(region);

	CORBEL_TRY(turn.taken());
	if (region.watch.seal.is_set())
		return Error::already;
	if (region.states.count_present() != region.states.size())
		return Error::busy;
	if (!region.watch.seal.set())
		return Error::already;
	const auto adapted = adapt_mappings(region);
	if (!adapted) {
		(void)region.watch.seal.clear();
		corbel_store_wake_all(region.store);
		corbel_node_unwatch(region.node, region.watch.watched());
	}
	return adapted;
}

Result<void> clear_seal(Region &region)
{
	switch (region.watch.seal.clear()) {
	case Seal::Off::was_off:
		return Error::already;
	case Seal::Off::held:
		return Error::busy;
	case Seal::Off::done:
		break;
	}
	/* They may hold locks that the turn's owner waits for. */
	corbel_store_wake_all(region.store);
	const Turn turn(region);

	CORBEL_TRY(turn.taken());
	return adapt_mappings(region);
}

Result<long> seal(Region &region, u64 user)
{
	const auto request =
		CORBEL_TRY(read_arguments<corbel_memory_seal>(user, CORBEL_MEMORY_UNSEAL));

	if (request.flags & CORBEL_MEMORY_UNSEAL)
		CORBEL_TRY(clear_seal(region));
	else
		CORBEL_TRY(set_seal(region));
	return 0;
}

Result<u64> make_tables(Region &region)
{
	const Turn turn(region);
	u64 there = 0, made = 0;

	CORBEL_TRY(turn.taken());
	const auto done = rt::check_shim(corbel_node_prepare(region.node, &there, &made));

	region.watch.tables.fetch_add(made, rt::Order::relaxed);
	CORBEL_TRY(done);
	return there;
}

Result<long> prepare(Region &region, u64 user)
{
	auto request = CORBEL_TRY(read_arguments<corbel_memory_prepare>(user));

	request.tables = CORBEL_TRY(make_tables(region));
	CORBEL_TRY(write_arguments(user, request));
	return 0;
}

Result<u64> join_pieces(Region &region)
{
	const Turn turn(region);
	u64 pieces = 0;

	CORBEL_TRY(turn.taken());
	if (region.watch.watched())
		return Error::busy;
	/* Some may be watched still, if whoever stopped that was killed. */
	CORBEL_TRY(adapt_mappings(region));
	CORBEL_TRY(rt::check_shim(corbel_node_join(region.node, &pieces)));
	return pieces;
}

Result<long> join(Region &region, u64 user)
{
	auto request = CORBEL_TRY(read_arguments<corbel_memory_join>(user));

	request.pieces = CORBEL_TRY(join_pieces(region));
	CORBEL_TRY(write_arguments(user, request));
	return 0;
}

} /* namespace */

Result<void> Watch::start()
{
	if (!dirty.has_memory()) {
		memory_ = corbel_store_table(dirty.words() * sizeof(u64));
		if (!memory_)
			return Error::no_memory;
		dirty.give_memory(static_cast<DirtyPages::Word *>(memory_));
	}
	tracked_.store(true, rt::Order::seq_cst);
	return {};
}

Result<long> watch_request(Region &region, u32 command, u64 user)
{
	switch (command) {
	case CORBEL_MEMORY_TRACK:
		return track(region, user);
	case CORBEL_MEMORY_DIRTY:
		return dirty(region, user);
	case CORBEL_MEMORY_SEAL:
		return seal(region, user);
	case CORBEL_MEMORY_PREPARE:
		return prepare(region, user);
	case CORBEL_MEMORY_JOIN:
		return join(region, user);
	default:
		return Error::no_such_ioctl;
	}
}

} /* namespace corbel::postcopy */

using namespace corbel;
using namespace corbel::postcopy;

s64 corbel_region_collect(struct corbel_region *handle, u64 *bitmap)
{
	const auto collected = collect_or_keep(*Region::from(handle), bitmap, false);

	return collected ? static_cast<s64>(collected.value()) : collected.to_errno();
}

void corbel_region_rewrite(struct corbel_region *region, const u64 *bitmap)
{
	rewrite(*Region::from(region), bitmap);
}

int corbel_region_hold_seal(struct corbel_region *handle)
{
	/* Not one that is being set, which may fail yet. */
	const Turn turn(*Region::from(handle));

	if (!turn.taken())
		return turn.taken().to_errno();
	return Region::from(handle)->watch.seal.hold() ? 0 : -16 /* EBUSY */;
}

void corbel_region_release_seal(struct corbel_region *region)
{
	Region::from(region)->watch.seal.release();
}

void corbel_region_mark(struct corbel_region *region, u32 page)
{
	Region::from(region)->watch.written(page);
}
