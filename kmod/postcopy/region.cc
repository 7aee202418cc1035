// SPDX-License-Identifier: GPL-2.0
/*
 * region.cc - the states of a memory object, and its ioctls.
 */
#include "../core/arguments.hh"
#include "../core/feature.h"
#include "../rt/memory.hh"
#include "fetcher.hh"
#include "region.hh"

#include <corbel/memory.h>
#include <corbel/pager.h>

#include <iterator>

namespace corbel::postcopy {
namespace {

using core::Error;
using core::read_arguments;
using core::Result;
using core::write_arguments;

constexpr u64 page_size = CORBEL_MEMORY_PAGE;
constexpr u32 piece_pages = CORBEL_MEMORY_PIECE / CORBEL_MEMORY_PAGE;

void free_tables(const PageTables &tables)
{
	corbel_free_pages(tables.present);
	corbel_free_pages(tables.claimed);
	corbel_free_pages(tables.requested);
	corbel_free_pages(tables.queue);
}

Result<PageTables> make_tables(u32 pages)
{
	const size_t bytes = words_for(pages) * sizeof(u64);
	const PageTables tables{
		.present = static_cast<u64 *>(corbel_store_table(bytes)),
		.claimed = static_cast<u64 *>(corbel_store_table(bytes)),
		.requested = static_cast<u64 *>(corbel_store_table(bytes)),
		.queue = static_cast<u32 *>(corbel_store_table(pages * sizeof(u32))),
	};

	if (tables.present && tables.claimed && tables.requested && tables.queue)
		return tables;
	free_tables(tables);
	return Error::no_memory;
}

/* The region owns the tables; the store becomes the node's. */
Result<corbel_node *> make_node(u32 pages, u32 flags)
{
	corbel_store *store = nullptr;
	corbel_node *node = nullptr;

	CORBEL_TRY(rt::check_shim(
		corbel_store_new(pages, (flags & CORBEL_MEMORY_SMALL) != 0, &store)));
	const auto tables = make_tables(pages);
	if (!tables) {
		corbel_store_free(store);
		return tables.error();
	}
	void *memory = corbel_alloc(sizeof(Region), true);
	Region *region =
		memory ? ::new (memory) Region(tables.value(), store, pages, flags) : nullptr;
	if (region && !(flags & CORBEL_MEMORY_MISSING))
		region->states.all_present();
	const int error =
		region ? corbel_node_new(region->handle(), store, pages, &node) : -12 /* ENOMEM */;
	if (!error)
		return node;
	if (region)
		corbel_region_destroy(region->handle());
	else
		free_tables(tables.value());
	corbel_store_free(store);
	return rt::from_errno(error);
}

/* What is kept of each page is little beside it, but comes from the same memory. */
constexpr u64 with_tables(u64 bytes)
{
	return bytes + bytes / page_size * (sizeof(u32) + sizeof(void *) + 1);
}

Result<long> create(u64 user)
{
	auto request = CORBEL_TRY(read_arguments<corbel_memory_create>(
		user, CORBEL_MEMORY_MISSING | CORBEL_MEMORY_SMALL));

	if (request.pad || !request.bytes || request.bytes % page_size)
		return Error::invalid;
	if (request.bytes > CORBEL_MEMORY_MAX)
		return Error::too_big;
	request.number = 0;
	request.available = corbel_store_available();
	CORBEL_TRY(write_arguments(user, request));
	if (with_tables(request.bytes) > request.available)
		return Error::no_memory;
	corbel_node *node =
		CORBEL_TRY(make_node(static_cast<u32>(request.bytes / page_size), request.flags));
	request.number = corbel_node_number(node);
	const Result<void> told = write_arguments(user, request);
	const int fd = told ? corbel_node_descriptor(node) : told.to_errno();

	if (fd < 0) {
		corbel_node_put(node);
		return rt::from_errno(fd);
	}
	return fd;
}

long device_request(u32, u64 user)
{
	return create(user).value_or_errno();
}

constinit corbel_feature feature{
	.slot = CORBEL_SLOT_MEMORY,
	.module = nullptr,
	.request = device_request,
	.create = nullptr,
	.open = nullptr,
	.vcpus_changed = nullptr,
	.ended = nullptr,
	.destroy = nullptr,
};

Result<long> info(Region *region, u32 number, u64 user)
{
	auto info = CORBEL_TRY(read_arguments<corbel_memory_info>(user));
	const States &states = region->states;
	corbel_store_counts counts{};

	corbel_store_count(region->store, &counts);
	info.bytes = states.size() * page_size;
	info.present = states.count_present() * page_size;
	info.in_pieces = corbel_store_pieces(region->store) * CORBEL_MEMORY_PIECE;
	info.requested = states.count_requested();
	info.waiting = states.count_waiting();
	info.installed = region->installed.load(rt::Order::relaxed);
	info.duplicates = region->duplicates.load(rt::Order::relaxed);
	info.waits = counts.waits;
	info.piece_maps = counts.piece_maps;
	info.number = number;
	info.state = states.failed() ? CORBEL_MEMORY_FAILED : CORBEL_MEMORY_LIVE;
	info.tracked = region->watch.tracked();
	info.sealed = region->watch.seal.is_set();
	info.held = counts.held;
	info.tables = region->watch.tables.load(rt::Order::relaxed);
	CORBEL_TRY(write_arguments(user, info));
	return 0;
}

/* True: it is present now by this. False: it was, or another is just installing it. */
Result<bool> install_page(Region *region, u32 page, u64 source, bool zero)
{
	States &states = region->states;

	if (!states.claim(page)) {
		region->duplicates.fetch_add(1, rt::Order::relaxed);
		return false;
	}
	/* Nobody has written to it: it is as it was allocated, unless a copy broke off. */
	const int error = zero ? corbel_store_clear(region->store, page)
			       : corbel_store_fill(region->store, page, source);
	if (error) {
		states.given_up(page);
		return rt::from_errno(error);
	}
	region->publish(page);
	return true;
}

Result<long> install(Region *region, u64 user)
{
	auto request = CORBEL_TRY(read_arguments<corbel_memory_install>(user, CORBEL_MEMORY_ZERO));
	const bool zero = request.flags & CORBEL_MEMORY_ZERO;
	const u64 size = region->states.size() * page_size;
	const u32 first = static_cast<u32>(request.offset / page_size);
	Result<void> done{};

	if (request.offset % page_size || request.bytes % page_size || !request.bytes ||
	    request.bytes > size || request.offset > size - request.bytes ||
	    (zero && request.source))
		return Error::invalid;
	if (region->has_fetcher())
		return Error::busy;
	request.installed = 0;
	request.duplicates = 0;
	for (u32 i = 0; i < request.bytes / page_size && done; i++) {
		const auto one =
			install_page(region, first + i, request.source + i * page_size, zero);

		if (one)
			(one.value() ? request.installed : request.duplicates)++;
		else
			done = one.error();
		if (i % 256 == 255) {
			corbel_reschedule();
			if (corbel_killed())
				done = Error::interrupted;
		}
	}
	CORBEL_TRY(write_arguments(user, request));
	CORBEL_TRY(done);
	return 0;
}

Result<long> fail(Region *region, u64 user)
{
	CORBEL_TRY(read_arguments<corbel_memory_fail>(user));
	region->states.fail();
	corbel_store_wake_all(region->store);
	corbel_store_tell_readers(region->store);
	return 0;
}

Result<long> requeue(Region *region, u64 user)
{
	CORBEL_TRY(read_arguments<corbel_memory_requeue>(user));
	region->states.requeue();
	corbel_store_tell_readers(region->store);
	return 0;
}

/* The page that is the last may be in the midst of a word. */
u64 absent_bits(const States &states, u32 first, u64 present)
{
	const u32 left = states.size() - first;

	return ~present & (left < 64 ? (u64{1} << left) - 1 : ~u64{0});
}

Result<long> absent(Region *region, u64 user)
{
	auto request = CORBEL_TRY(read_arguments<corbel_memory_absent>(user));
	const States &states = region->states;
	u64 bits[piece_pages / 64];

	request.pages = 0;
	for (u32 first = 0; first < states.size(); first += piece_pages) {
		const auto left = static_cast<u32>(words_for(states.size() - first));
		const u32 words = left < std::size(bits) ? left : std::size(bits);

		(void)states.copy_present(first, bits, words);
		for (u32 i = 0; i < words; i++) {
			bits[i] = absent_bits(states, first + i * 64, bits[i]);
			request.pages += static_cast<u64>(std::popcount(bits[i]));
		}
		if (request.bitmap)
			CORBEL_TRY(rt::check_shim(corbel_copy_out(request.bitmap + first / 8, bits,
								  words * sizeof(u64))));
		corbel_reschedule();
		if (corbel_killed())
			return Error::interrupted;
	}
	CORBEL_TRY(write_arguments(user, request));
	return 0;
}

Result<long> request_of(Region *region, u32 number, u32 command, u64 user)
{
	switch (command) {
	case CORBEL_MEMORY_INFO:
		return info(region, number, user);
	case CORBEL_MEMORY_INSTALL:
		return install(region, user);
	case CORBEL_MEMORY_FAIL:
		return fail(region, user);
	case CORBEL_MEMORY_REQUEUE:
		return requeue(region, user);
	case CORBEL_MEMORY_ABSENT:
		return absent(region, user);
	case CORBEL_PAGER_NEW:
		return make_pager(*region, feature.module, user);
	default:
		return watch_request(*region, command, user);
	}
}

Result<s64> read_requests(Region *region, u64 user, u64 bytes)
{
	s64 done = 0;

	if (bytes < sizeof(u64))
		return Error::invalid;
	if (region->has_fetcher())
		return Error::busy;
	while (bytes - static_cast<u64>(done) >= sizeof(u64)) {
		const auto page = region->states.take_request();

		if (!page)
			break;
		const u64 offset = *page * page_size;
		if (corbel_copy_out(user + static_cast<u64>(done), &offset, sizeof(offset))) {
			/* Not told to anybody: it is to be told again. */
			region->states.requeue();
			return Error::bad_address;
		}
		done += sizeof(offset);
	}
	if (!done && !region->states.failed())
		return Error::again;
	return done;
}

} /* namespace */

void Region::set_fetcher(Fetcher *fetcher)
{
	const u64 flags = pager_lock_.lock();

	rt::atomic_store(&fetcher_, fetcher, rt::Order::relaxed);
	pager_lock_.unlock(flags);
}

void Region::clear_fetcher()
{
	set_fetcher(nullptr);
	while (rt::atomic_load(&telling_, rt::Order::acquire))
		corbel_pause();
}

void Region::tell_requests()
{
	u64 flags = pager_lock_.lock();
	Fetcher *fetcher = fetcher_;

	telling_ += fetcher != nullptr;
	pager_lock_.unlock(flags);
	if (!fetcher)
		return corbel_store_tell_readers(store);
	fetcher->send_requests();
	flags = pager_lock_.lock();
	rt::atomic_store(&telling_, telling_ - 1, rt::Order::release);
	pager_lock_.unlock(flags);
}

} /* namespace corbel::postcopy */

using namespace corbel;
using namespace corbel::postcopy;

void corbel_region_bind(struct corbel_region *handle, struct corbel_node *node)
{
	Region::from(handle)->node = node;
}

int corbel_region_look(struct corbel_region *handle, u32 page, u32 how)
{
	Region *region = Region::from(handle);
	const States::Page state = region->states.look(page);

	if (state == States::Page::present) {
		if (!(how & CORBEL_LOOK_WRITE) || !region->watch.seal.is_set())
			return CORBEL_PAGE_PRESENT;
		return region->states.failed() ? CORBEL_PAGE_FAILED : CORBEL_PAGE_SEALED;
	}
	if (state == States::Page::failed)
		return CORBEL_PAGE_FAILED;
	if (how & CORBEL_LOOK_REQUEST && region->states.request(page))
		region->tell_requests();
	return CORBEL_PAGE_MISSING;
}

bool corbel_region_has_piece(struct corbel_region *region, u32 first)
{
	return Region::from(region)->states.are_present(first, piece_pages);
}

long corbel_region_ioctl(struct corbel_region *region, u32 number, u32 command, u64 argument)
{
	return request_of(Region::from(region), number, command, argument).value_or_errno();
}

s64 corbel_region_read(struct corbel_region *region, u64 user, u64 bytes)
{
	return read_requests(Region::from(region), user, bytes).value_or_errno();
}

u32 corbel_region_poll(struct corbel_region *handle)
{
	const States &states = Region::from(handle)->states;

	return (states.has_requests() ? CORBEL_POLL_IN : 0) |
	       (states.failed() ? CORBEL_POLL_HUP : 0);
}

void corbel_region_destroy(struct corbel_region *handle)
{
	Region *region = Region::from(handle);

	region->~Region();
	corbel_free(region);
}

int corbel_postcopy_start(struct module *module)
{
	feature.module = module;
	return corbel_feature_register(&feature);
}

void corbel_postcopy_stop(void)
{
	corbel_feature_unregister(&feature);
}
