// SPDX-License-Identifier: GPL-2.0
/*
 * dist_requests.cc - the ioctls of distributor descriptors.
 */
#include "../core/arguments.hh"
#include "distributor.hh"
#include "observer.hh"
#include "stats.hh"

namespace corbel::irq {
namespace {

using core::read_arguments;
using core::write_arguments;

/* What is copied at a time, of lists that user space hands in or gets. */
constexpr u32 piece = 256;

template <typename T>
u64 place_of(u64 user, u32 index)
{
	return user + u64{index} * sizeof(T);
}

Result<long> info(Distributor *distributor, u64 user)
{
	auto info = CORBEL_TRY(read_arguments<corbel_dist_info>(user));

	distributor->describe(&info);
	CORBEL_TRY(write_arguments(user, info));
	return 0;
}

/* A list that is looked at as a whole and then acted on must not change meanwhile. */
template <typename T>
Result<rt::Pages> copy_list(u64 user, u32 count)
{
	if (!count || count > CORBEL_DIST_MAX_IDS)
		return Error::invalid;
	rt::Pages pages = CORBEL_TRY(rt::Pages::make(count * sizeof(T), rt::Pages::Use::kernel));

	CORBEL_TRY(rt::check_shim(corbel_copy_in(pages.get(), user, count * sizeof(T))));
	return Result<rt::Pages>(std::move(pages));
}

Result<long> map(Distributor *distributor, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_dist_map>(user, CORBEL_DIST_RESTORE));
	const bool restore = request.flags & CORBEL_DIST_RESTORE;

	if (request.pad)
		return Error::invalid;
	rt::Pages list = CORBEL_TRY(copy_list<corbel_dist_entry>(request.entries, request.count));
	const auto *entries = list.as<corbel_dist_entry>();

	for (u32 i = 0; i < request.count; i++)
		CORBEL_TRY(distributor->check(entries[i], restore));
	for (u32 i = 0; i < request.count; i++) {
		distributor->map(entries[i], restore);
		if (i % piece == piece - 1)
			corbel_reschedule();
	}
	return 0;
}

/* Hands an answer for each of @count ids, made one by one, to the user's list. */
template <typename T, typename Make>
Result<long> answer_list(const Distributor *distributor, u64 user, u32 first, u32 count,
			 const Make &make)
{
	if (!distributor->has(first, count))
		return Error::invalid;
	for (u32 i = 0; i < count; i++) {
		const T answer = make(first + i);

		CORBEL_TRY(rt::check_shim(
			corbel_copy_out(place_of<T>(user, i), &answer, sizeof(answer))));
		if (i % piece == piece - 1)
			corbel_reschedule();
	}
	return 0;
}

Result<long> read(Distributor *distributor, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_dist_read>(user));

	return answer_list<corbel_dist_entry>(
		distributor, request.entries, request.first, request.count,
		[distributor](u32 id) { return distributor->read(id); });
}

Result<long> ledger(Distributor *distributor, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_dist_ledger>(user));

	return answer_list<corbel_dist_counts>(
		distributor, request.counts, request.first, request.count,
		[distributor](u32 id) { return distributor->counts(id); });
}

Result<long> raise(Distributor *distributor, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_dist_raise>(user));

	if (request.pad || !distributor->has(request.id, 1))
		return Error::invalid;
	static_assert(static_cast<int>(Raised::refused) == CORBEL_DIST_WAS_REFUSED &&
		      static_cast<int>(Raised::delivered) == CORBEL_DIST_WAS_DELIVERED &&
		      static_cast<int>(Raised::recorded) == CORBEL_DIST_WAS_RECORDED &&
		      static_cast<int>(Raised::coalesced) == CORBEL_DIST_WAS_COALESCED);
	return static_cast<long>(distributor->raise(request.id));
}

Result<long> raise_many(Distributor *distributor, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_dist_raise_many>(user));

	if (request.pad)
		return Error::invalid;
	rt::Pages list = CORBEL_TRY(copy_list<u32>(request.ids, request.count));
	const auto *ids = list.as<u32>();
	long taken = 0;

	for (u32 i = 0; i < request.count; i++) {
		if (!distributor->has(ids[i], 1))
			return Error::invalid;
	}
	for (u32 i = 0; i < request.count; i++) {
		taken += distributor->raise(ids[i]) != Raised::refused;
		if (i % piece == piece - 1)
			corbel_reschedule();
	}
	return taken;
}

Result<long> mask(Distributor *distributor, u64 user)
{
	const auto request =
		CORBEL_TRY(read_arguments<corbel_dist_mask>(user, CORBEL_DIST_MASK_SET));
	long changed = 0;

	if (!distributor->has(request.first, request.count))
		return Error::invalid;
	for (u32 i = 0; i < request.count; i++) {
		changed += distributor->set_masked(request.first + i,
						   request.flags & CORBEL_DIST_MASK_SET);
		if (i % piece == piece - 1)
			corbel_reschedule();
	}
	return changed;
}

Result<long> bind(Distributor *distributor, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_dist_bind>(user, CORBEL_DIST_UNBIND));

	if (!distributor->has(request.id, 1))
		return Error::invalid;
	if (request.flags & CORBEL_DIST_UNBIND) {
		if (request.fd != -1)
			return Error::invalid;
		CORBEL_TRY(distributor->unbind(request.id));
	} else {
		CORBEL_TRY(distributor->bind(request.id, request.fd));
	}
	return 0;
}

Result<long> doorbell(Distributor *distributor, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_dist_doorbell>(user));

	if (request.fd < -1)
		return Error::invalid;
	CORBEL_TRY(distributor->set_doorbell(request.vcpu, request.fd));
	return 0;
}

Result<long> reset(Distributor *distributor, u64 user)
{
	CORBEL_TRY(read_arguments<corbel_dist_reset>(user));
	for (u32 id = 0; id < distributor->ids(); id++) {
		distributor->unmap(id);
		if (id % piece == piece - 1)
			corbel_reschedule();
	}
	return 0;
}

Result<long> ring(Distributor *distributor, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_dist_ring>(user));

	if (request.pad || request.order < CORBEL_DIST_RING_MIN_ORDER ||
	    request.order > CORBEL_DIST_RING_MAX_ORDER)
		return Error::invalid;
	CORBEL_TRY(distributor->make_ring(request.order));
	return 0;
}

Result<long> kick(Distributor *distributor, u64 user)
{
	CORBEL_TRY(read_arguments<corbel_dist_kick>(user));
	return static_cast<long>(CORBEL_TRY(distributor->kick()));
}

using Request = Result<long> (*)(Distributor *, u64);

/* What changes something, and is refused once the VM has ended. */
Request change_of(u32 command)
{
	switch (command) {
	case CORBEL_DIST_MAP:
		return map;
	case CORBEL_DIST_RAISE:
		return raise;
	case CORBEL_DIST_RAISE_MANY:
		return raise_many;
	case CORBEL_DIST_MASK:
		return mask;
	case CORBEL_DIST_BIND:
		return bind;
	case CORBEL_DIST_DOORBELL:
		return doorbell;
	case CORBEL_DIST_RESET:
		return reset;
	case CORBEL_DIST_RING:
		return ring;
	case CORBEL_DIST_KICK:
		return kick;
	default:
		return nullptr;
	}
}

Result<long> request(Distributor *distributor, u32 command, u64 user)
{
	/* By itself: a call through a pointer costs, and this one is made often. */
	if (command == CORBEL_DIST_RAISE && !distributor->has_ended()) [[likely]]
		return raise(distributor, user);
	if (command == CORBEL_DIST_INFO)
		return info(distributor, user);
	if (command == CORBEL_DIST_READ)
		return read(distributor, user);
	if (command == CORBEL_DIST_LEDGER)
		return ledger(distributor, user);
	if (command == CORBEL_DIST_STATS)
		return new_stats(distributor, user);
	const Request change = change_of(command);

	if (!change)
		return Error::no_such_ioctl;
	if (distributor->has_ended())
		return Error::stale;
	return change(distributor, user);
}

Distributor *distributor_of(void *object)
{
	return static_cast<Distributor *>(object);
}

long dist_ioctl(void *object, u32 command, u64 argument)
{
	return request(distributor_of(object), command, argument).value_or_errno();
}

int dist_mmap(void *object, corbel_area *area)
{
	return distributor_of(object)->mmap(area);
}

void dist_release(void *object)
{
	put_distributor(distributor_of(object));
}

constexpr corbel_file_ops dist_operations{
	.name = "[corbel-dist]",
	.ioctl = dist_ioctl,
	.mmap = dist_mmap,
	.poll = nullptr,
	.read = nullptr,
	.release = dist_release,
};

} /* namespace */

void put_distributor(Distributor *distributor)
{
	Observer *observer = distributor->observer();

	if (!distributor->put())
		return;
	distributor->close();
	observer->remove_distributor(distributor);
	Distributor::destroy(distributor);
	corbel_vm_put(observer->vm());
}

Result<long> new_distributor(Observer *observer, u64 user, module *module)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_irq_dist>(user));

	if (!request.ids || request.ids > CORBEL_DIST_MAX_IDS || !request.vcpus ||
	    request.vcpus > CORBEL_MAX_VCPUS)
		return Error::invalid;
	Distributor *distributor =
		CORBEL_TRY(Distributor::make(observer, request.ids, request.vcpus));
	const Result<void> added = observer->add_distributor(distributor);

	if (!added) {
		Distributor::destroy(distributor);
		return added.error();
	}
	corbel_vm_get(observer->vm());
	const int fd = corbel_file_new(&dist_operations, distributor, module);

	if (fd < 0) {
		dist_release(distributor);
		return rt::from_errno(fd);
	}
	return fd;
}

} /* namespace corbel::irq */
