/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uses everything that is meant for the kernel, in an object that is compiled as
 * kernel objects are. It never runs: ./run looks at what it refers to.
 */
#include "block/check.hh"
#include "block/qos/counters.hh"
#include "block/qos/heat_map.hh"
#include "block/qos/range_set.hh"
#include "block/qos/scheduler.hh"
#include "core/ring_logic.hh"
#include "irq/submission.hh"
#include "postcopy/dirty_pages.hh"
#include "postcopy/page_states.hh"
#include "postcopy/push_plan.hh"
#include "postcopy/receiver.hh"
#include "postcopy/seal.hh"
#include "replay/answer.hh"
#include "rt/atomic.hh"
#include "rt/bitmap.hh"
#include "rt/function_ref.hh"
#include "rt/interval_tree.hh"
#include "rt/intrusive_list.hh"
#include "rt/result.hh"
#include "rt/scoped.hh"
#include "rt/text.hh"

#include <corbel/latency_buckets.hh>

namespace corbel {

struct Thing {
	int references = 0;
	rt::ListHook list;
	rt::IntervalHook<> tree;
	void get_ref() { references++; }
	void put_ref() { references--; }
};

/* As globals: none of these may need a constructor or destructor at run time. */
constinit core::EventRing ring;
constinit rt::Bitmap<256> bitmap;
constinit rt::List<Thing, &Thing::list> list;
constinit rt::IntervalTree<Thing, &Thing::tree> tree;
constinit rt::Atomic<std::uint64_t> word;

rt::Result<rt::ScopedRef<Thing>> link(Thing &thing, std::uint64_t begin)
{
	if (thing.list.linked())
		return rt::Error::busy;
	list.push_back(thing);
	rt::ScopeExit unlink([&] { list.remove(thing); });
	if (tree.first(begin, begin + 10) != nullptr)
		return rt::Error::exists;
	tree.insert(thing, begin, begin + 10);
	unlink.dismiss();
	return rt::ScopedRef<Thing>::take(&thing);
}

rt::Result<std::uint64_t> use(Thing &thing, rt::FunctionRef<bool(rt::Text)> check)
{
	auto ref = CORBEL_TRY(link(thing, rt::read_tsc()));
	auto other = ref.share();

	if (!check("thing"))
		return rt::Error::invalid;
	for (auto &each : list)
		if (each.references == 0)
			tree.erase(each);
	std::uint64_t sum = 0;
	bitmap.atomic_test_and_set(7);
	bitmap.for_each_set([&](std::size_t bit) { sum += bit; });
	auto seen = word.load(rt::Order::acquire);
	while (!word.compare_exchange(seen, seen + 1, rt::Order::acq_rel))
		rt::cpu_relax();
	return sum + irq::bucket_of(seen) + irq::upper_bound(3);
}

unsigned median(const corbel_irq_hist &hist)
{
	return irq::quantile_bucket(hist.buckets, 1, 2);
}

int produce(const core::RingMemory &memory, const core::RingEvent &event)
{
	const auto ready = ring.init(memory);

	if (!ready.ok())
		return ready.to_errno();
	const bool fits = ring.produce(event);
	ring.end();
	return fits && ring.readable();
}

constinit irq::SubmissionRing submissions;

std::uint32_t consume(corbel_dist_ring_ctl *ctl, const __u32 *ids)
{
	std::uint64_t sum = 0;

	submissions.init(ctl, ids, 64);
	return submissions.consume(32, [&](std::uint32_t id) { sum += id; });
}

} /* namespace corbel */
