// SPDX-License-Identifier: GPL-2.0
#include "boost.hh"

#include "vcpu.hh"

namespace corbel::irq {

using rt::Order;

namespace {

constexpr u64 ns_of_us(u32 us)
{
	return u64{us} * 1000;
}

/* By the worker alone. */
void add_to(rt::Atomic<u64> &count, u64 more)
{
	count.store(count.load(Order::relaxed) + more, Order::relaxed);
}

} /* namespace */

rt::Result<void> Booster::start()
{
	if (!worker_)
		worker_ = corbel_worker_new("corbel-boost");
	if (!worker_)
		return rt::Error::no_memory;
	return {};
}

rt::Result<void> Booster::add(ObservedVcpu *vcpu)
{
	Boost &boost = vcpu->boost;

	if (boost.job.load(Order::relaxed))
		return {};
	boost.booster = this;
	boost.vcpu = vcpu;
	corbel_job *job = corbel_job_new(worker_, run, &boost);

	if (!job)
		return rt::Error::no_memory;
	boost.job.store(job, Order::release);
	return {};
}

void Booster::set(const corbel_irq_boost &wanted, ObservedVcpu *const *vcpus, u32 count)
{
	/* Off leaves the rest as it was: jobs that are under way may still read it. */
	if (wanted.sources) {
		for (u32 i = 0; i < CORBEL_IRQ_WORDS; i++)
			vectors_[i].store(wanted.vectors[i], Order::relaxed);
		priority_.store(wanted.priority, Order::relaxed);
		slice_us_.store(wanted.slice_us, Order::relaxed);
		budget_us_.store(wanted.budget_us, Order::relaxed);
		period_ms_.store(wanted.period_ms, Order::relaxed);
		new_budget_.store(true, Order::release);
	}
	sources_.store(wanted.sources, Order::seq_cst);
	if (wanted.sources || !worker_)
		return;
	/* Each job finds it off, and sets its thread back. */
	for (u32 i = 0; i < count; i++) {
		if (corbel_job *job = vcpus[i]->boost.job.load(Order::relaxed))
			corbel_job_queue(job);
	}
	corbel_worker_flush(worker_);
}

void Booster::get(corbel_irq_boost *out) const
{
	out->sources = sources_.load(Order::relaxed);
	if (out->sources) {
		out->priority = priority_.load(Order::relaxed);
		out->slice_us = slice_us_.load(Order::relaxed);
		out->budget_us = budget_us_.load(Order::relaxed);
		out->period_ms = period_ms_.load(Order::relaxed);
		for (u32 i = 0; i < CORBEL_IRQ_WORDS; i++)
			out->vectors[i] = vectors_[i].load(Order::relaxed);
	}
	out->asked = asked_.load(Order::relaxed);
	out->boosted = boosted_.load(Order::relaxed);
	out->needless = needless_.load(Order::relaxed);
	out->over_budget = over_budget_.load(Order::relaxed);
	out->refused = refused_.load(Order::relaxed);
	out->restored = restored_.load(Order::relaxed);
	out->foreign = foreign_.load(Order::relaxed);
	out->used_ns = used_ns_.load(Order::relaxed);
	out->longest_ns = longest_ns_.load(Order::relaxed);
}

void Booster::stop(ObservedVcpu *const *vcpus, u32 count)
{
	set({}, vcpus, count);
	for (u32 i = 0; i < count; i++) {
		corbel_job *job = vcpus[i]->boost.job.exchange(nullptr, Order::relaxed);

		if (job) {
			corbel_job_cancel(job);
			corbel_job_free(job);
		}
	}
	corbel_worker_free(worker_);
	worker_ = nullptr;
}

bool Booster::counts(const ObservedVcpu *vcpu, u8 vector, u8 path) const
{
	return sources_.load(Order::relaxed) & 1U << path &&
	       vectors_[vector / 64].load(Order::relaxed) >> vector % 64 & 1 &&
	       corbel_vcpu_residency(vcpu->vcpu) == CORBEL_RES_PREEMPTED;
}

void Booster::ask(const ObservedVcpu *vcpu, u32 source)
{
	Boost &boost = const_cast<ObservedVcpu *>(vcpu)->boost;

	corbel_job *job = boost.job.load(Order::acquire);

	if (!job || !(sources_.load(Order::relaxed) & source) ||
	    boost.asked.fetch_or(source, Order::acq_rel))
		return;
	asked_.fetch_add(1, Order::relaxed);
	corbel_job_queue(job);
}

/* Would a CPU of its own bring what was asked for any nearer? */
bool Booster::is_of_use(const Boost *boost, u32 asked)
{
	const ObservedVcpu *vcpu = boost->vcpu;

	/* Of hardware that posts and of distributors we do not see what is pending here. */
	return corbel_vcpu_residency(vcpu->vcpu) == CORBEL_RES_PREEMPTED &&
	       (asked & CORBEL_IRQ_BOOST_DIST || vcpu->sampled.load(Order::relaxed) ||
		vcpu->pending_vectors());
}

/* In the worker's thread: somebody asked, or the slice is over. */
void Booster::run(void *argument)
{
	auto *boost = static_cast<Boost *>(argument);
	Booster *booster = boost->booster;
	const u64 now = corbel_monotonic_ns();

	if (boost->task) {
		/* Asked again: it has what can be given, and this timer will call again. */
		if (now < boost->until && booster->is_on())
			return;
		booster->end(boost);
	}
	if (const u32 asked = boost->asked.exchange(0, Order::acq_rel)) {
		if (is_of_use(boost, asked))
			booster->begin(boost, now);
		else
			add_to(booster->needless_, 1);
	}
}

void Booster::begin(Boost *boost, u64 now)
{
	const u64 slice = ns_of_us(slice_us_.load(Order::relaxed));

	if (new_budget_.exchange(false, Order::acq_rel))
		budget_.set(ns_of_us(budget_us_.load(Order::relaxed)),
			    u64{period_ms_.load(Order::relaxed)} * 1'000'000, now);
	/* Off since it was asked for. */
	if (!is_on())
		return;
	if (!budget_.allows(now, slice)) {
		add_to(over_budget_, 1);
		return;
	}
	boost->priority = priority_.load(Order::relaxed);
	if (!raise(boost)) {
		add_to(refused_, 1);
		return;
	}
	add_to(boosted_, 1);
	boost->until = now + slice;
	corbel_job_queue_in(boost->job.load(Order::relaxed), slice);
}

bool Booster::raise(Boost *boost)
{
	task_struct *task = corbel_vcpu_task(boost->vcpu->vcpu);

	if (!task)
		return false;
	boost->runtime = corbel_task_runtime(task);
	if (corbel_task_raise(task, boost->priority, &boost->was)) {
		corbel_task_put(task);
		return false;
	}
	boost->task = task;
	return true;
}

void Booster::end(Boost *boost)
{
	const bool restored = corbel_task_restore(boost->task, boost->priority, &boost->was);
	const u64 used = corbel_task_runtime(boost->task) - boost->runtime;
	const u64 least = ns_of_us(CORBEL_IRQ_BOOST_LEAST_US);

	add_to(restored ? restored_ : foreign_, 1);
	add_to(used_ns_, used);
	if (used > longest_ns_.load(Order::relaxed))
		longest_ns_.store(used, Order::relaxed);
	budget_.charge(used > least ? used : least);
	corbel_task_put(boost->task);
	boost->task = nullptr;
}

} /* namespace corbel::irq */
