/* SPDX-License-Identifier: GPL-2.0 */
/* meter.cc - what becomes of I/O. */
#include "meter.hh"

void corbel_workload::put()
{
	if (references.fetch_sub(1, corbel::rt::Order::acq_rel) == 1)
		(void)corbel::rt::Box<corbel_workload>::adopt(this);
}

namespace corbel::qos {

static_assert(sizeof(Io) <= sizeof(corbel_meter_io::space));

static Io &io_of(corbel_meter_io &io)
{
	return *reinterpret_cast<Io *>(io.space);
}
static corbel_meter_io &meter_io_of(Io &io)
{
	return *reinterpret_cast<corbel_meter_io *>(&io);
}

Meter::~Meter()
{
	for (u32 i = 0; table_ && i < pages; i++) {
		corbel_workload **page = table_[i].load(rt::Order::relaxed);

		for (u32 at = 0; page && at < per_page; at++) {
			if (!page[at])
				continue;
			if (page[at]->object.budget)
				(void)scheduler_.detach(page[at]->object, 0);
			page[at]->put();
		}
		corbel_free(page);
	}
	for (u32 i = 0; budgets_ && i < max_budgets; i++) {
		if (!budgets_[i])
			continue;
		scheduler_.remove(*budgets_[i]);
		budgets_[i]->~Budget();
		corbel_free(budgets_[i]);
	}
	if (HeatMap *heat = heat_.load(rt::Order::relaxed))
		(void)rt::Box<HeatMap>::adopt(heat);
	mutex_.destroy();
}

Result<void> Meter::init()
{
	CORBEL_TRY(mutex_.init(rt::Role::meter));
	lock_.init();
	CORBEL_TRY(map_.init());
	table_memory_ =
		CORBEL_TRY(rt::Pages::make(pages * sizeof(*table_), rt::Pages::Use::kernel));
	table_ = table_memory_.as<rt::Atomic<corbel_workload **>>();
	budget_memory_ = CORBEL_TRY(
		rt::Pages::make(max_budgets * sizeof(*budgets_), rt::Pages::Use::kernel));
	budgets_ = budget_memory_.as<Budget *>();
	sums_ = CORBEL_TRY(rt::Pages::make(2 * sizeof(Sums), rt::Pages::Use::kernel));
	(void)CORBEL_TRY(make(rest, Counters::Detail::histograms));
	return {};
}

corbel_workload *Meter::find(ObjectId id) const
{
	if (id.value >= per_page * pages)
		return nullptr;
	corbel_workload *const *page = table_[id.value / per_page].load(rt::Order::acquire);

	return page ? rt::atomic_load(&page[id.value % per_page], rt::Order::acquire) : nullptr;
}

corbel_workload *Meter::find_from(u32 from) const
{
	for (u32 id = from; id < max_objects;) {
		if (!table_[id / per_page].load(rt::Order::relaxed))
			id = (id / per_page + 1) * per_page;
		else if (corbel_workload *workload = find({id++}))
			return workload;
	}
	return nullptr;
}

Result<corbel_workload *> Meter::make(ObjectId id, Counters::Detail detail)
{
	if (id.value >= max_objects)
		return Error::range;
	if (find(id))
		return Error::exists;
	auto &page = table_[id.value / per_page];
	if (!page.load(rt::Order::relaxed)) {
		auto *made = static_cast<corbel_workload **>(
			corbel_alloc(per_page * sizeof(corbel_workload *), true));
		if (!made)
			return Error::no_memory;
		page.store(made, rt::Order::release);
	}
	auto box = CORBEL_TRY(rt::Box<corbel_workload>::make(rt::Context::task));
	CORBEL_TRY(box->counters.init(cpus_, detail));
	box->object.id = id;
	corbel_workload *workload = box.release();
	rt::atomic_store(&page.load(rt::Order::relaxed)[id.value % per_page], workload,
			 rt::Order::release);
	objects_++;
	return workload;
}

corbel_workload *Meter::piece(u64 sector, u64 sectors, u64 *together)
{
	const Piece piece = first_piece(map_.current(), {sector}, sectors);
	corbel_workload *workload = find(piece.object);

	*together = piece.sectors;
	/* Ranges are only taken of objects that there are. */
	return workload ? workload : find(rest);
}

bool Meter::submit(corbel_meter_io &io)
{
	Object &object = io.workload->object;
	const Time now = corbel_monotonic_ns();

	io.arrived = now;
	/* Who gives it a budget meanwhile does so for the next one. */
	io.is_scheduled = depth_ || __atomic_load_n(&object.budget, __ATOMIC_RELAXED);
	if (!io.is_scheduled)
		return true;
	Io *made = ::new (static_cast<void *>(io.space)) Io;
	made->op = static_cast<Op>(io.op);
	made->bytes = io.bytes;
	const u64 flags = lock_.lock();
	if (is_released_) {
		/* It is to be suspended: nothing waits. */
		io.is_scheduled = false;
		lock_.unlock(flags);
		return true;
	}
	const bool goes = scheduler_.submit(object, *made, now);
	if (!goes)
		set_timer();
	lock_.unlock(flags);
	return goes;
}

void Meter::ended(corbel_meter_io &io, bool failed, u32 cpu)
{
	const Time now = corbel_monotonic_ns();
	Time admitted = io.arrived;

	if (io.is_scheduled) {
		Io &scheduled = io_of(io);
		admitted = scheduled.admitted;
		/* Else it makes room for nobody. */
		if (depth_) {
			const u64 flags = lock_.lock();

			scheduler_.complete(scheduled, now);
			set_timer();
			lock_.unlock(flags);
		}
	}
	io.workload->counters.add(
		cpu, {static_cast<Op>(io.op), failed, io.bytes, io.arrived, admitted, now});
	if (HeatMap *heat = heat_.load(rt::Order::acquire))
		heat->add(static_cast<Op>(io.op), {io.sector}, io.bytes);
}

/* With the lock. */
void Meter::set_timer()
{
	const Time next = scheduler_.next_time();

	if (next != never)
		corbel_meter_run_at(shim_, next);
}

void Meter::go(IoChain chain)
{
	while (Io *io = chain.pop())
		corbel_meter_go(shim_, &meter_io_of(*io));
}

void Meter::run()
{
	static constexpr u32 at_once = 64;

	for (;;) {
		const u64 flags = lock_.lock();
		IoChain chain = scheduler_.run(corbel_monotonic_ns(), at_once);
		if (!chain.first()) {
			set_timer();
			lock_.unlock(flags);
			return;
		}
		lock_.unlock(flags);
		go(chain);
	}
}

void Meter::release()
{
	const u64 flags = lock_.lock();

	is_released_ = true;
	IoChain all = scheduler_.take_all();
	lock_.unlock(flags);
	/* The scheduler knows nothing of them any more. */
	for (Io *io = all.first(); io; io = io->next) {
		io->admitted = corbel_monotonic_ns();
		meter_io_of(*io).is_scheduled = false;
	}
	go(all);
}

void Meter::resume()
{
	const u64 flags = lock_.lock();

	is_released_ = false;
	lock_.unlock(flags);
}

} /* namespace corbel::qos */
