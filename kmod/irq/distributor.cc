// SPDX-License-Identifier: GPL-2.0
#include "distributor.hh"

#include <corbel/irq.h>

#include "../rt/context.hh"
#include "compat/generated_offsets.h"
#include "observer.hh"
#include "table.hh"

namespace corbel::irq {
namespace {

constexpr u64 page_bytes = 4096;

constexpr u64 whole_pages(u64 bytes)
{
	return (bytes + page_bytes - 1) / page_bytes * page_bytes;
}

/* Of an entry that has been checked, for a distributor of @vcpus. */
IdConfig config_of(const corbel_dist_entry &entry, u32 vcpus)
{
	if (!(entry.state & CORBEL_DIST_MAPPED))
		return {};
	return IdConfig::mapped(rt::bounded_index(entry.vcpu, vcpus), entry.vector, entry.priority,
				entry.state & CORBEL_DIST_MASKED);
}

} /* namespace */

/* ---- the platform ------------------------------------------------------------------- */

[[gnu::always_inline]] inline Presence KernelPlatform::presence(const Seat &seat)
{
	if (!seat.vcpu) [[unlikely]]
		return Presence::gone;
	switch (corbel_vcpu_residency(seat.vcpu)) {
	case CORBEL_RES_RESIDENT:
	case CORBEL_RES_HALTED:
		return Presence::present;
	default:
		return Presence::absent;
	}
}

[[gnu::always_inline]] inline bool KernelPlatform::deliver(const Seat &seat, u8 vector)
{
	return corbel_vcpu_deliver(seat.vcpu, seat.registers, vector);
}

void KernelPlatform::ring(const Seat &seat)
{
	corbel_doorbell *doorbell = seat.doorbell ? seat.doorbell : seat.common;
	Booster &booster = seat.observed->observer->booster();

	if (booster.is_on() && corbel_vcpu_residency(seat.vcpu) == CORBEL_RES_PREEMPTED)
		booster.ask(seat.observed, CORBEL_IRQ_BOOST_DIST);
	if (!doorbell)
		return;
	seat.rung->add(1);
	corbel_doorbell_ring(doorbell);
}

/* ---- making and freeing ---------------------------------------------------------------- */

Result<Distributor *> Distributor::make(Observer *observer, u32 ids, u32 vcpus)
{
	auto made = CORBEL_TRY(rt::Box<Distributor>::make(rt::Context::task));

	CORBEL_TRY(made->init(observer, ids, vcpus));
	return made.release();
}

Result<void> Distributor::init(Observer *observer, u32 ids, u32 vcpus)
{
	static_assert(sizeof(Rules::Id) == 64);
	static_assert(CORBEL_MAX_VCPUS / 64 * sizeof(corbel_dist_line) <= page_bytes);

	observer_ = observer;
	ids_ = ids;
	vcpus_ = vcpus;
	record_bytes_ = static_cast<u32>(whole_pages((ids + 63) / 64 * 8));
	CORBEL_TRY(lock_.init(rt::Role::distributor));
	CORBEL_TRY(rung_.init());
	reaper_ = corbel_work_new(reap, this);
	if (!reaper_)
		return Error::no_memory;
	id_pages_ = CORBEL_TRY(rt::Pages::make(ids * sizeof(Rules::Id), rt::Pages::Use::kernel));
	desk_pages_ = CORBEL_TRY(
		rt::Pages::make((vcpus + 1) * sizeof(Rules::Desk), rt::Pages::Use::kernel));
	status_ = CORBEL_TRY(rt::Pages::make(page_bytes, rt::Pages::Use::mapped));
	records_ = CORBEL_TRY(rt::Pages::make(u64{vcpus} * record_bytes_, rt::Pages::Use::mapped));

	/* Nobody's desk has no record: nothing is pending there. */
	desk_pages_.as<Rules::Desk>()->lock.init();
	for (u32 i = 0; i < vcpus; i++) {
		Rules::Desk *of = desk(i);

		of->lock.init();
		/* Words of mapped pages and Atomic<u64> are the same 8 bytes. */
		of->record = reinterpret_cast<rt::Atomic<u64> *>(records_.as<u8>() +
								 u64{i} * record_bytes_);
		of->status = reinterpret_cast<rt::Atomic<u64> *>(
			&status_.as<corbel_dist_line>()[i / 64].pending);
		of->status_mask = u64{1} << i % 64;
		of->seat.rung = &rung_;
	}
	rules_.init(id_pages_.as<Rules::Id>(), desk_pages_.as<Rules::Desk>());
	return {};
}

void Distributor::close()
{
	const rt::MutexGuard guard(lock_);

	while (Binding *binding = bindings_.front())
		drop(binding);
}

void Distributor::destroy(Distributor *distributor)
{
	(void)rt::Box<Distributor>::adopt(distributor);
}

Distributor::~Distributor()
{
	if (reaper_) {
		/* Nothing is bound any more that could queue it. */
		corbel_work_cancel(reaper_);
		corbel_work_free(reaper_);
	}
	for (u32 i = 0; desk_pages_.get() && i < vcpus_; i++)
		corbel_doorbell_free(desk(i)->seat.doorbell);
	corbel_doorbell_free(common_);
	lock_.destroy();
}

/* ---- the VM --------------------------------------------------------------------------- */

void Distributor::seat(const ObservedVcpu *vcpu)
{
	if (vcpu->index >= vcpus_)
		return;
	rules_.change_seat(vcpu->index, [vcpu](KernelPlatform::Seat &seat) {
		seat.registers = vcpu->registers;
		seat.observed = vcpu;
		seat.vcpu = vcpu->vcpu;
	});
}

void Distributor::ended()
{
	ended_.store(true, Order::release);
	for (u32 i = 0; i < vcpus_; i++)
		rules_.change_seat(i, [](KernelPlatform::Seat &seat) { seat.vcpu = nullptr; });
}

void Distributor::becoming_present(u32 vcpu)
{
	if (vcpu < vcpus_)
		rules_.becoming_present(vcpu);
}

/* ---- ids --------------------------------------------------------------------------- */

Raised Distributor::raise(u32 id)
{
	return rules_.raise(rt::bounded_index(id, ids_));
}

bool Distributor::set_masked(u32 id, bool masked)
{
	return rules_.set_masked(rt::bounded_index(id, ids_), masked);
}

void Distributor::unmap(u32 id)
{
	rules_.map(id, IdConfig());
}

corbel_dist_counts Distributor::counts(u32 id)
{
	const auto of = rules_.counts(rt::bounded_index(id, ids_));

	return {.raised = of.raised,
		.restored = of.restored,
		.delivered = of.delivered,
		.coalesced = of.coalesced,
		.refused = of.refused,
		.withdrawn = of.withdrawn,
		.pending = of.pending};
}

Result<void> Distributor::check(const corbel_dist_entry &entry, bool restore) const
{
	constexpr u8 known = CORBEL_DIST_MAPPED | CORBEL_DIST_MASKED | CORBEL_DIST_PENDING;
	u8 padding = 0;

	for (const u8 it : entry.pad)
		padding |= it;
	if (entry.id >= ids_ || entry.state & ~known || padding)
		return Error::invalid;
	if (!(entry.state & CORBEL_DIST_MAPPED)) {
		if (entry.state || entry.vcpu || entry.vector || entry.priority)
			return Error::invalid;
		return {};
	}
	if (entry.vector < CORBEL_DIST_MIN_VECTOR || entry.vcpu >= vcpus_ ||
	    (entry.state & CORBEL_DIST_PENDING && !restore))
		return Error::invalid;
	if (!observer_->find(entry.vcpu))
		return Error::not_found;
	return {};
}

void Distributor::map(const corbel_dist_entry &entry, bool restore)
{
	const u32 id = rt::bounded_index(entry.id, ids_);

	if (restore)
		rules_.restore(id, config_of(entry, vcpus_), entry.state & CORBEL_DIST_PENDING);
	else
		rules_.map(id, config_of(entry, vcpus_));
}

corbel_dist_entry Distributor::read(u32 id) const
{
	const IdConfig config = rules_.config(rt::bounded_index(id, ids_));
	corbel_dist_entry entry{};

	entry.id = id;
	if (!config.is_mapped())
		return entry;
	entry.vcpu = config.desk() - 1;
	entry.vector = config.vector();
	entry.priority = config.priority();
	entry.state = CORBEL_DIST_MAPPED;
	if (config.is_masked())
		entry.state |= CORBEL_DIST_MASKED;
	if (config.is_pending())
		entry.state |= CORBEL_DIST_PENDING;
	return entry;
}

/* ---- eventfds -------------------------------------------------------------------------- */

void Distributor::signalled(void *binding)
{
	const auto *it = static_cast<Binding *>(binding);

	(void)it->distributor->rules_.raise(it->id);
}

void Distributor::hung_up(void *binding)
{
	auto *it = static_cast<Binding *>(binding);

	it->hung_up.store(true, Order::release);
	corbel_work_queue(it->distributor->reaper_);
}

void Distributor::reap(void *distributor)
{
	auto *it = static_cast<Distributor *>(distributor);
	const rt::MutexGuard guard(it->lock_);

	for (Binding &binding : it->bindings_) {
		if (binding.hung_up.load(Order::acquire))
			it->drop(&binding);
	}
}

/* lock_ held. */
void Distributor::drop(Binding *binding)
{
	bindings_.remove(*binding);
	bound_--;
	corbel_source_free(binding->source);
	(void)rt::Box<Binding>::adopt(binding);
}

Result<void> Distributor::bind(u32 id, s32 fd)
{
	const rt::MutexGuard guard(lock_);
	auto binding = CORBEL_TRY(rt::Box<Binding>::make(rt::Context::task));

	CORBEL_TRY(rt::check_shim(corbel_source_new(fd, &binding->source)));
	for (Binding &it : bindings_) {
		const bool gone = it.hung_up.load(Order::acquire);

		if (corbel_source_same(it.source, binding->source) || (it.id == id && !gone)) {
			corbel_source_free(binding->source);
			return Error::busy;
		}
		if (gone)
			drop(&it);
	}
	binding->distributor = this;
	binding->id = id;
	bindings_.push_back(*binding);
	bound_++;
	Binding *started = binding.release();

	corbel_source_start(started->source, signalled, hung_up, started);
	return {};
}

Result<void> Distributor::unbind(u32 id)
{
	const rt::MutexGuard guard(lock_);

	for (Binding &it : bindings_) {
		if (it.id == id) {
			drop(&it);
			return {};
		}
	}
	return Error::not_found;
}

Result<void> Distributor::set_doorbell(u32 vcpu, s32 fd)
{
	const rt::MutexGuard guard(lock_);
	corbel_doorbell *doorbell = nullptr;
	corbel_doorbell *old = nullptr;

	if (vcpu != CORBEL_DIST_ALL_VCPUS && vcpu >= vcpus_)
		return Error::invalid;
	if (fd >= 0)
		CORBEL_TRY(rt::check_shim(corbel_doorbell_new(fd, &doorbell)));
	if (vcpu == CORBEL_DIST_ALL_VCPUS) {
		old = common_;
		common_ = doorbell;
		for (u32 i = 0; i < vcpus_; i++)
			rules_.change_seat(i, [doorbell](KernelPlatform::Seat &seat) {
				seat.common = doorbell;
			});
	} else {
		rules_.change_seat(rt::bounded_index(vcpu, vcpus_),
				   [&](KernelPlatform::Seat &seat) {
					   old = seat.doorbell;
					   seat.doorbell = doorbell;
				   });
	}
	/* It was rung under the locks of desks alone, and each has been taken since. */
	corbel_doorbell_free(old);
	return {};
}

/* ---- the submission ring ---------------------------------------------------------------- */

Result<void> Distributor::make_ring(u32 order)
{
	const rt::MutexGuard guard(lock_);
	const u32 capacity = 1U << order;

	if (ring_.exists())
		return Error::busy;
	ring_bytes_ = page_bytes + whole_pages(u64{capacity} * sizeof(u32));
	ring_pages_ = CORBEL_TRY(rt::Pages::make(ring_bytes_, rt::Pages::Use::mapped));
	ring_order_ = order;
	ring_.init(ring_pages_.as<corbel_dist_ring_ctl>(),
		   reinterpret_cast<const u32 *>(ring_pages_.as<u8>() + page_bytes), capacity);
	return {};
}

Result<u32> Distributor::kick()
{
	constexpr u32 piece = 256;
	const rt::MutexGuard guard(lock_);
	u32 total = 0;

	if (!ring_.exists())
		return Error::not_found;
	while (total < ring_.capacity()) {
		const u32 taken = ring_.consume(piece, [this](u32 id) {
			if (id < ids_)
				(void)rules_.raise(id);
			else
				refused_++;
		});

		total += taken;
		if (taken < piece)
			break;
		corbel_reschedule();
	}
	return total;
}

/* ---- the rest --------------------------------------------------------------------------- */

void Distributor::describe(corbel_dist_info *info)
{
	const rt::MutexGuard guard(lock_);

	*info = {};
	info->size = sizeof(*info);
	info->ids = ids_;
	info->vcpus = vcpus_;
	info->record_bytes = record_bytes_;
	info->ring_order = ring_order_;
	info->bound = bound_;
	info->ended = has_ended();
	info->vm_id = corbel_vm_id(observer_->vm());
	info->doorbells = rung_.sum();
	info->submitted = ring_.submitted();
	info->lost = ring_.lost();
	info->refused = refused_;
}

int Distributor::mmap(corbel_area *area)
{
	const u64 offset = corbel_area_offset(area);
	const u64 length = corbel_area_length(area);
	rt::Pages *pages = nullptr;
	u64 most = 0;

	if (offset == CORBEL_DIST_RING_OFFSET) {
		const rt::MutexGuard guard(lock_);

		if (!ring_.exists() || length > ring_bytes_ || !corbel_area_shared(area))
			return rt::to_errno(Error::invalid);
		return corbel_area_map(area, ring_pages_.get(), 0);
	}
	if (offset == CORBEL_DIST_STATUS_OFFSET) {
		pages = &status_;
		most = page_bytes;
	} else if (offset == CORBEL_DIST_RECORD_OFFSET) {
		pages = &records_;
		most = u64{vcpus_} * record_bytes_;
	}
	if (!pages || length > most || !corbel_area_shared(area) || corbel_area_writable(area))
		return rt::to_errno(Error::invalid);
	corbel_area_make_readonly(area);
	return corbel_area_map(area, pages->get(), 0);
}

} /* namespace corbel::irq */

using namespace corbel;
using namespace corbel::irq;

/*
 * kvm_arch_vcpu_load(vcpu, cpu), for every VM of the host: preemption is off, and what
 * makes the vCPU present has been stored.
 */
extern "C" void corbel_irq_vcpu_loading(const kvm_vcpu *vcpu)
{
	const u8 *base = reinterpret_cast<const u8 *>(vcpu);
	const auto *lapic =
		*reinterpret_cast<const kvm_lapic *const *>(base + CORBEL_OFF_VCPU_LAPIC);
	const ObservedVcpu *observed = current_table()->find(lapic);

	if (!observed || !rt::atomic_load(base + CORBEL_OFF_VCPU_WANTS_TO_RUN, Order::relaxed))
		return;
	observed->observer->becoming_present(observed->index);
}
