// SPDX-License-Identifier: GPL-2.0
#include "recorder.hh"

#include "../compat/hooks.h"
#include "../rt/context.hh"
#include "../rt/lock.hh"
#include "layout.h"

extern "C" constinit corbel::rt::Atomic<corbel::replay::Recorder *>
	corbel_replay_buckets[CORBEL_BUCKETS]{};

namespace corbel::replay {

struct Recorders {
	rt::List<Recorder, &Recorder::hook_> list;
};

namespace {

constexpr u64 page_bytes = 4096;
/* The log begins at a page of its own. */
constexpr u64 log_offset = page_bytes;
static_assert(sizeof(corbel_replay_area) <= log_offset);

constinit rt::Guarded<Recorders> recorders{};
/* Lets closing recorders go whose vCPU was in use when they were closed. */
constinit corbel_work *reaper = nullptr;
constinit module *self = nullptr;

void *entry_probe()
{
	return reinterpret_cast<void *>(corbel_replay_entry_probe);
}

void *exit_hook()
{
	return reinterpret_cast<void *>(corbel_replay_exit_hook);
}

[[gnu::always_inline]] inline rt::Atomic<Recorder *> &bucket_of(const kvm_vcpu *vcpu)
{
	const u32 low = static_cast<u32>(reinterpret_cast<u64>(vcpu));

	return corbel_replay_buckets[low * CORBEL_BUCKET_FACTOR >> CORBEL_BUCKET_SHIFT];
}

} /* namespace */

/* ---- on the vCPU's thread ------------------------------------------------------------ */

/* Preemption off. */
Recorder *Recorder::find(const kvm_vcpu *vcpu)
{
	Recorder *it = bucket_of(vcpu).load(Order::acquire);

	while (it && it->vcpu_ != vcpu)
		it = it->next_.load(Order::acquire);
	return it;
}

void Recorder::enter()
{
	if (disarmed_.load(Order::relaxed))
		return;
	const bool closing = closing_.load(Order::acquire);
	const bool wanted = !closing && answers_.mode() != CORBEL_REPLAY_OFF;
	u32 found = CORBEL_TSC_SAME;

	if (wanted || armed_)
		found = corbel_tsc_intercept(vcpu_, wanted);
	if (found != CORBEL_TSC_NOT_NOW)
		armed_ = wanted;
	if (closing) {
		/* The last access: from here it may be freed. */
		if (found != CORBEL_TSC_NOT_NOW)
			disarmed_.store(true, Order::release);
		return;
	}
	if (wanted && found == CORBEL_TSC_CHANGED)
		rt::atomic_store(&area_->nr_armed, ++times_armed_, Order::relaxed);
	rt::atomic_store(&area_->nr_entries, ++times_entered_, Order::relaxed);
}

bool Recorder::takes_exit()
{
	kind_ = corbel_exit_kind(vcpu_);
	switch (kind_) {
	case CORBEL_EXIT_RDTSC:
	case CORBEL_EXIT_RDTSCP:
		return armed_;
	case CORBEL_EXIT_UD:
		return !closing_.load(Order::acquire) && answers_.breaks_at(corbel_exit_rip(vcpu_));
	default:
		return false;
	}
}

int Recorder::handle_exit()
{
	if (kind_ == CORBEL_EXIT_UD)
		return corbel_exit_leave(vcpu_, CORBEL_REPLAY_EXIT_BREAKPOINT);
	return answer();
}

int Recorder::answer()
{
	constexpr int go_on = 1;
	const u64 rip = corbel_exit_rip(vcpu_);
	const Decision decision = closing_.load(Order::acquire)
					  ? Decision{.kind = Decision::Kind::again}
					  : answers_.decide(rip, corbel_monotonic_ns());

	switch (decision.kind) {
	case Decision::Kind::again:
		/* Not stepped over, it comes again after the entry that disarms. */
		return go_on;
	case Decision::Kind::leave:
		return corbel_exit_leave(vcpu_, decision.reason);
	case Decision::Kind::answer:
		break;
	}
	const int result = corbel_exit_skip(vcpu_);

	if (corbel_exit_rip(vcpu_) == rip)
		return result;
	corbel_exit_give(vcpu_, decision.value);
	if (corbel_exit_was_rdtscp(vcpu_, kind_, rip))
		corbel_exit_give_aux(vcpu_, answers_.tsc_aux());
	const u32 reason = answers_.commit(decision);

	return result > 0 && reason ? corbel_exit_leave(vcpu_, reason) : result;
}

/* ---- enrolling and closing ------------------------------------------------------------- */

u64 Recorder::area_bytes(u32 entries)
{
	const u64 log = u64{entries} * sizeof(corbel_replay_entry);

	return log_offset + (log + page_bytes - 1) / page_bytes * page_bytes;
}

Recorder::~Recorder()
{
	if (file_)
		corbel_vcpu_file_put(file_);
}

Result<void> Recorder::install()
{
	/* The other way round an exit could come before its hook is there. */
	CORBEL_TRY(rt::check_shim(corbel_hook_install(CORBEL_HOOK_GUEST_EXIT, exit_hook())));
	const int error = corbel_hook_install(CORBEL_HOOK_ENTRY, entry_probe());

	if (error) {
		corbel_hook_remove(CORBEL_HOOK_GUEST_EXIT, exit_hook());
		return rt::from_errno(error);
	}
	return {};
}

void Recorder::remove_hooks()
{
	corbel_hook_remove(CORBEL_HOOK_ENTRY, entry_probe());
	corbel_hook_remove(CORBEL_HOOK_GUEST_EXIT, exit_hook());
}

void Recorder::link()
{
	rt::Atomic<Recorder *> &bucket = bucket_of(vcpu_);

	next_.store(bucket.load(Order::relaxed), Order::relaxed);
	bucket.store(this, Order::release);
}

void Recorder::unlink()
{
	rt::Atomic<Recorder *> *place = &bucket_of(vcpu_);

	/* It is there: it was linked, and this is done once. */
	while (place->load(Order::relaxed) != this)
		place = &place->load(Order::relaxed)->next_;
	place->store(next_.load(Order::relaxed), Order::release);
	hook_.unlink();
}

Result<Recorder *> Recorder::enrol(s32 vcpu_fd, u32 entries)
{
	auto made = CORBEL_TRY(rt::Box<Recorder>::make(rt::Context::task));

	CORBEL_TRY(rt::check_shim(corbel_vcpu_from_fd(vcpu_fd, &made->file_, &made->vcpu_)));
	corbel_hooks_follow_vendor();
	if (!corbel_hook_usable(CORBEL_HOOK_GUEST_EXIT) || !corbel_hook_usable(CORBEL_HOOK_ENTRY))
		return Error::not_supported;
	CORBEL_TRY(rt::check_shim(corbel_tsc_check(made->vcpu_)));
	made->memory_ = CORBEL_TRY(rt::Pages::make(area_bytes(entries), rt::Pages::Use::mapped));
	made->area_ = made->memory_.as<corbel_replay_area>();
	made->entries_ = entries;
	made->area_->entries = entries;
	made->area_->log_offset = log_offset;
	made->area_->deadline = ~u64{0};
	auto *log = reinterpret_cast<corbel_replay_entry *>(made->memory_.as<u8>() + log_offset);
	made->answers_ = Answers(made->area_, log, entries);

	auto all = recorders.lock();

	for (const Recorder &it : all->list) {
		if (it.vcpu_ == made->vcpu_)
			return Error::busy;
	}
	if (all->list.empty()) {
		const Result<void> installed = install();

		/* Another program has the function, or ftrace is off. */
		if (!installed)
			return Error::not_supported;
	}
	all->list.push_back(*made);
	made->link();
	return made.release();
}

bool Recorder::can_go()
{
	return disarmed_.load(Order::acquire) || corbel_vcpu_file_is_last(file_) ||
	       corbel_tsc_release(vcpu_);
}

void Recorder::close(Recorder *recorder)
{
	/* Its own, beside that of the descriptor that is being closed; whoever lets it go puts it. */
	(void)corbel_module_get(self);
	recorder->closing_.store(true, Order::release);
	if (let_go())
		corbel_work_queue(reaper);
}

/* All that can go. True: there are others. */
bool Recorder::let_go()
{
	for (;;) {
		bool waiting = false;
		Recorder *gone = nullptr;
		{
			auto all = recorders.lock();

			for (Recorder &it : all->list) {
				if (!it.closing_.load(Order::relaxed))
					continue;
				if (it.can_go()) {
					gone = &it;
					break;
				}
				waiting = true;
			}
			if (gone) {
				gone->unlink();
				if (all->list.empty())
					remove_hooks();
				corbel_rcu_synchronize();
			}
		}
		if (!gone)
			return waiting;
		(void)rt::Box<Recorder>::adopt(gone);
		corbel_module_put(self);
	}
}

void Recorder::reap(void *)
{
	while (let_go())
		corbel_pause();
}

Result<void> Recorder::init_all(module *module)
{
	self = module;
	CORBEL_TRY(recorders.init(rt::Role::recorders));
	reaper = corbel_work_new(reap, nullptr);
	if (!reaper) {
		recorders.destroy();
		return Error::no_memory;
	}
	return {};
}

void Recorder::exit_all()
{
	/* It may be on its way out still: the last one to go puts the module from inside of it. */
	corbel_work_cancel(reaper);
	corbel_work_free(reaper);
	recorders.destroy();
}

} /* namespace corbel::replay */

using namespace corbel;
using namespace corbel::replay;

void corbel_replay_entry_probe(void *, kvm_vcpu *vcpu, bool)
{
	/* Interrupts are off. */
	if (Recorder *recorder = Recorder::find(vcpu)) [[unlikely]]
		recorder->enter();
}

/* Called by hooks.S: the recorder if the exit is its own. It stays until the next entry. */
extern "C" Recorder *corbel_replay_exit_enter(kvm_vcpu *vcpu, u32 fastpath)
{
	Recorder *recorder;

	if (fastpath)
		return nullptr;
	{
		const rt::PreemptGuard guard;

		recorder = Recorder::find(vcpu);
		if (!recorder || !recorder->takes_exit())
			return nullptr;
	}
	return recorder;
}

/* Called by hooks.S. @result: what the hooked function has returned. */
extern "C" int corbel_replay_exit(Recorder *recorder, int result)
{
	return result == 1 ? recorder->handle_exit() : result;
}
