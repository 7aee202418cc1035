// SPDX-License-Identifier: GPL-2.0
/*
 * requests.cc - the ioctls of IRQ descriptors, ring descriptors, and the feature.
 */
#include "requests.h"

#include "../core/arguments.hh"
#include "observer.hh"
#include "stats.hh"

namespace corbel::irq {
namespace {

using core::read_arguments;
using core::read_arguments_to;
using core::write_arguments;

constinit module *self = nullptr;

Observer *observer_of(void *object)
{
	return static_cast<Observer *>(object);
}

/* ---- ring descriptors ------------------------------------------------------------ */

struct RingFile {
	Observer *observer;
	corbel_ring *ring;
};

int ring_mmap(void *object, corbel_area *area)
{
	return corbel_ring_mmap(static_cast<RingFile *>(object)->ring, area);
}

u32 ring_poll(void *object, corbel_poll *poll)
{
	return corbel_ring_poll(static_cast<RingFile *>(object)->ring, poll);
}

void ring_release(void *object)
{
	rt::Box<RingFile> file = rt::Box<RingFile>::adopt(static_cast<RingFile *>(object));

	file->observer->remove_ring(file->ring);
	corbel_ring_free(file->ring);
	corbel_vm_put(file->observer->vm());
}

constexpr corbel_file_ops ring_operations{
	.name = "[corbel-ring]",
	.ioctl = nullptr,
	.mmap = ring_mmap,
	.poll = ring_poll,
	.read = nullptr,
	.release = ring_release,
};

/* ---- IRQ descriptors -------------------------------------------------------------- */

Result<long> info(Observer *observer, u64 user)
{
	auto info = CORBEL_TRY(read_arguments<corbel_irq_info>(user));

	observer->describe(&info);
	CORBEL_TRY(write_arguments(user, info));
	return 0;
}

Result<long> vcpu(Observer *observer, u64 user)
{
	auto vcpu = CORBEL_TRY(read_arguments<corbel_irq_vcpu>(user, CORBEL_IRQ_F_RESYNC));

	CORBEL_TRY(observer->read_vcpu(&vcpu));
	CORBEL_TRY(write_arguments(user, vcpu));
	return 0;
}

Result<long> vectors(Observer *observer, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_irq_vectors>(user));

	if (request.count != CORBEL_IRQ_VECTORS)
		return Error::invalid;
	const ObservedVcpu *vcpu = CORBEL_TRY(observer->find(request.vcpu));

	for (u32 i = 0; i < CORBEL_IRQ_VECTORS; i++) {
		const VectorCounts &of = vcpu->counts[i];
		corbel_irq_vector out{};

		for (u32 path = 0; path < CORBEL_IRQ_PATHS; path++)
			out.accepted[path] = of.accepted[path].load(Order::relaxed);
		out.injected = of.injected.load(Order::relaxed);
		out.extint = of.extint.load(Order::relaxed);
		out.coalesced = vcpu->coalesced(static_cast<u8>(i));
		out.dropped = vcpu->dropped(static_cast<u8>(i));
		out.restored = of.restored.load(Order::relaxed);
		out.latency_sum = of.latency_sum.load(Order::relaxed);
		out.latency_max = of.latency_max.load(Order::relaxed);
		CORBEL_TRY(rt::check_shim(
			corbel_copy_out(request.vectors + i * sizeof(out), &out, sizeof(out))));
	}
	return 0;
}

void add_histogram(const ObservedVcpu *vcpu, u32 vector, corbel_irq_hist *out)
{
	const VectorCounts &counts = vcpu->counts[vector];
	const u64 max = counts.latency_max.load(Order::relaxed);

	out->sum += counts.latency_sum.load(Order::relaxed);
	if (max > out->max)
		out->max = max;
	for (u32 i = 0; i < CORBEL_IRQ_HIST_BUCKETS; i++)
		out->buckets[i] += vcpu->latency[vector][i].load(Order::relaxed);
}

Result<long> histogram(Observer *observer, u64 user)
{
	auto request = CORBEL_TRY(rt::Box<corbel_irq_hist>::make(rt::Context::task));

	CORBEL_TRY(read_arguments_to(*request, user));
	const u32 vector = request->vector;
	const u32 index = request->vcpu;

	if (vector >= CORBEL_IRQ_VECTORS && vector != CORBEL_IRQ_ALL_VECTORS)
		return Error::invalid;
	const ObservedVcpu *vcpu = CORBEL_TRY(observer->find(index));
	auto answer = CORBEL_TRY(rt::Box<corbel_irq_hist>::make(rt::Context::task));

	answer->size = sizeof(*answer);
	answer->vcpu = index;
	answer->vector = vector;
	for (u32 i = 0; i < CORBEL_IRQ_VECTORS; i++) {
		if (vector == CORBEL_IRQ_ALL_VECTORS || vector == i)
			add_histogram(vcpu, i, answer.get());
	}
	CORBEL_TRY(write_arguments(user, *answer));
	return 0;
}

Result<long> check(Observer *observer, u64 user)
{
	constexpr u32 both = CORBEL_IRQ_CHECK_ON | CORBEL_IRQ_CHECK_OFF;
	auto check = CORBEL_TRY(read_arguments<corbel_irq_check>(user, both));

	if (check.flags == both)
		return Error::invalid;
	CORBEL_TRY(observer->check(&check));
	CORBEL_TRY(write_arguments(user, check));
	return 0;
}

Result<long> policy(Observer *observer, u64 user)
{
	auto policy = CORBEL_TRY(read_arguments<corbel_irq_policy>(user, CORBEL_IRQ_F_SET));

	if (policy.pad)
		return Error::invalid;
	if (policy.flags & CORBEL_IRQ_F_SET) {
		if (policy.policy == CORBEL_IRQ_POLICY_INHERIT ||
		    policy.policy > CORBEL_IRQ_POLICY_MAX)
			return Error::invalid;
		for (const u8 it : policy.vectors) {
			if (it > CORBEL_IRQ_POLICY_MAX)
				return Error::invalid;
		}
	}
	CORBEL_TRY(observer->policy(&policy));
	CORBEL_TRY(write_arguments(user, policy));
	return 0;
}

/* Is it one that can be put in force? */
bool is_valid(const corbel_irq_boost &boost)
{
	if (!boost.sources) {
		for (const u64 it : boost.vectors) {
			if (it)
				return false;
		}
		return !(boost.priority | boost.slice_us | boost.budget_us | boost.period_ms);
	}
	return !(boost.sources & ~CORBEL_IRQ_BOOST_SOURCES) && boost.priority &&
	       boost.priority <= CORBEL_IRQ_BOOST_MAX_PRIORITY &&
	       boost.slice_us >= CORBEL_IRQ_BOOST_MIN_SLICE_US &&
	       boost.slice_us <= CORBEL_IRQ_BOOST_MAX_SLICE_US &&
	       boost.period_ms >= CORBEL_IRQ_BOOST_MIN_PERIOD_MS &&
	       boost.period_ms <= CORBEL_IRQ_BOOST_MAX_PERIOD_MS &&
	       boost.budget_us >= boost.slice_us && boost.budget_us <= boost.period_ms * 1000;
}

Result<long> boost(Observer *observer, u64 user)
{
	auto boost = CORBEL_TRY(read_arguments<corbel_irq_boost>(user, CORBEL_IRQ_F_SET));

	if (boost.pad || (boost.flags & CORBEL_IRQ_F_SET && !is_valid(boost)))
		return Error::invalid;
	CORBEL_TRY(observer->boost(&boost));
	CORBEL_TRY(write_arguments(user, boost));
	return 0;
}

Result<long> ring(Observer *observer, u64 user)
{
	constexpr u32 known_events = (2U << CORBEL_EVENT_MAX) - 2;
	const auto request = CORBEL_TRY(read_arguments<corbel_irq_ring>(user));

	if (!request.events || request.events & ~known_events ||
	    request.order < CORBEL_RING_MIN_ORDER || request.order > CORBEL_RING_MAX_ORDER)
		return Error::invalid;
	auto file = CORBEL_TRY(rt::Box<RingFile>::make(rt::Context::task));

	file->observer = observer;
	file->ring = corbel_ring_new(request.order);
	if (!file->ring)
		return Error::no_memory;
	const Result<void> added = observer->add_ring(file->ring, request.events);

	if (!added) {
		corbel_ring_free(file->ring);
		return added.error();
	}
	corbel_vm_get(observer->vm());
	const int fd = corbel_file_new(&ring_operations, file.get(), self);

	if (fd < 0) {
		ring_release(file.release());
		return rt::from_errno(fd);
	}
	(void)file.release(); /* the descriptor's */
	return fd;
}

Result<long> dist_get(Observer *observer, u64 user)
{
	auto request = CORBEL_TRY(read_arguments<corbel_irq_dist_get>(user));

	if (request.pad || request.slot >= CORBEL_DIST_MAX)
		return Error::invalid;
	CORBEL_TRY(observer->describe_distributor(&request));
	CORBEL_TRY(write_arguments(user, request));
	return 0;
}

Result<long> request(Observer *observer, u32 command, u64 user)
{
	switch (command) {
	case CORBEL_IRQ_INFO:
		return info(observer, user);
	case CORBEL_IRQ_VCPU:
		return vcpu(observer, user);
	case CORBEL_IRQ_VECTORS_GET:
		return vectors(observer, user);
	case CORBEL_IRQ_HIST:
		return histogram(observer, user);
	case CORBEL_IRQ_CHECK:
		return check(observer, user);
	case CORBEL_IRQ_POLICY:
		return policy(observer, user);
	case CORBEL_IRQ_BOOST:
		return boost(observer, user);
	case CORBEL_IRQ_RING:
		return ring(observer, user);
	case CORBEL_IRQ_STATS:
		return new_stats(observer, user);
	case CORBEL_IRQ_DIST_GET:
		return dist_get(observer, user);
	case CORBEL_IRQ_DIST_NEW:
		return new_distributor(observer, user, self);
	default:
		return Error::no_such_ioctl;
	}
}

long irq_ioctl(void *object, u32 command, u64 argument)
{
	return request(observer_of(object), command, argument).value_or_errno();
}

int irq_mmap(void *object, corbel_area *area)
{
	return observer_of(object)->map_status(area);
}

void irq_release(void *object)
{
	corbel_vm_put(observer_of(object)->vm());
}

constexpr corbel_file_ops irq_operations{
	.name = "[corbel-irq]",
	.ioctl = irq_ioctl,
	.mmap = irq_mmap,
	.poll = nullptr,
	.read = nullptr,
	.release = irq_release,
};

/* ---- the feature ------------------------------------------------------------------- */

int create(corbel_vm *vm, kvm *kvm, void **instance)
{
	const Result<Observer *> made = Observer::make(vm, kvm);

	if (!made)
		return made.to_errno();
	*instance = made.value();
	return 0;
}

int open(void *instance)
{
	Observer *observer = observer_of(instance);

	corbel_vm_get(observer->vm());
	const int fd = corbel_file_new(&irq_operations, observer, self);

	/* Not the last one: the caller holds the VM descriptor that it asked on. */
	if (fd < 0)
		corbel_vm_put(observer->vm());
	return fd;
}

constinit corbel_feature feature{
	.slot = CORBEL_SLOT_IRQ,
	.module = nullptr,
	.request = nullptr,
	.create = create,
	.open = open,
	.vcpus_changed = [](void *instance) { observer_of(instance)->vcpus_changed(); },
	.ended = [](void *instance) { observer_of(instance)->ended(); },
	.destroy = [](void *instance) { Observer::destroy(observer_of(instance)); },
};

} /* namespace */
} /* namespace corbel::irq */

int corbel_irq_start(struct module *module)
{
	using namespace corbel::irq;

	self = module;
	init_stats(module);
	feature.module = module;
	const Result<void> ready = Observer::init_all();

	if (!ready)
		return ready.to_errno();
	if (const int error = corbel_feature_register(&feature)) {
		Observer::exit_all();
		return error;
	}
	return 0;
}

void corbel_irq_stop(void)
{
	using namespace corbel::irq;

	corbel_feature_unregister(&feature);
	Observer::exit_all();
}
