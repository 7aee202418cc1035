/* SPDX-License-Identifier: GPL-2.0 */
#include "throttle.hh"

#include "sabotage.hh"

namespace corbel::block {

void Latencies::clear()
{
	for (auto &count : counts_)
		count.store(0, rt::Order::relaxed);
}

void Latencies::halve()
{
	for (auto &count : counts_)
		count.store(count.load(rt::Order::relaxed) / 2, rt::Order::relaxed);
}

u64 Latencies::count() const
{
	u64 all = 0;

	for (const auto &count : counts_)
		all += count.load(rt::Order::relaxed);
	return all;
}

u64 Latencies::p99() const
{
	const u64 all = count(), rank = all - all / 100;
	u64 seen = 0;

	for (unsigned bucket = 0; all && bucket < buckets; bucket++) {
		seen += counts_[bucket].load(rt::Order::relaxed);
		if (seen < rank)
			continue;
		const u64 least = Buckets::lower_bound(bucket);
		return bucket + 1 < buckets ? least + (Buckets::upper_bound(bucket) - least) / 2
					    : least;
	}
	return 0;
}

void Throttle::begin(u64 target, u64 now)
{
	by_looks_ = target == by_looks;
	is_throttled_ = target != none;
	target_.store(by_looks_ || !is_throttled_ ? 0 : target, rt::Order::relaxed);
	blocks_ = is_throttled_ ? 1 : most_blocks;
	debt_ = waits_since_ = goes_on_at_ = looks_until_ = paused_ = 0;
	has_moved_ = false;
	quiet_.clear();
	seen_.clear();
	in_time_.store(0, rt::Order::relaxed);
	late_.store(0, rt::Order::relaxed);
	look_since_.store(none, rt::Order::relaxed);
	if (by_looks_)
		begin_look(now, first_look);
}

void Throttle::end(u64 now)
{
	if (waits_since_)
		paused_ += now - waits_since_;
	waits_since_ = looks_until_ = 0;
	look_since_.store(none, rt::Order::relaxed);
}

void Throttle::begin_look(u64 now, u64 how_long)
{
	looks_since_ = now;
	looks_until_ = now + how_long;
	look_since_.store(now, rt::Order::relaxed);
}

bool Throttle::has_looked(u64 now) const
{
	const u64 count = now < looks_until_ ? 0 : quiet_.count();

	return now >= looks_until_ &&
	       (!count || count >= enough || now - looks_since_ >= longest_look);
}

void Throttle::end_look(u64 now)
{
	looks_until_ = 0;
	looked_at_ = now;
	look_since_.store(none, rt::Order::relaxed);
	const u64 count = quiet_.count();
	if (count < enough)
		return;
	const u64 p99 = quiet_.p99();
	target_.store(p99 + p99 / 2, rt::Order::relaxed);
	/* What it was long ago counts less and less. */
	if (count > plenty)
		quiet_.halve();
}

/* What has ended since pays, or is to be paid for. */
void Throttle::settle()
{
	const u64 in_time = in_time_.exchange(0, rt::Order::relaxed);
	const u64 late = late_.exchange(0, rt::Order::relaxed);
	const u64 owed = debt_ + late * late_costs;

	debt_ = owed > in_time ? owed - in_time : 0;
	if (debt_ > u64{most_late} * late_costs)
		debt_ = u64{most_late} * late_costs;
	if (sabotaged(Sabotage::lateness_forgiven))
		debt_ = 0;
}

u64 Throttle::wait(u64 now)
{
	if (!is_throttled_)
		return 0;
	settle();
	if (by_looks_ && !looks_until_ && has_moved_ && now - looked_at_ >= between_looks)
		begin_look(now, look);
	if (looks_until_) {
		if (!waits_since_)
			waits_since_ = now;
		if (!has_looked(now))
			return poll;
		end_look(now);
	}
	if (debt_ && (now < goes_on_at_ || sabotaged(Sabotage::pause_without_end))) {
		if (!waits_since_)
			waits_since_ = now;
		return poll;
	}
	if (waits_since_)
		paused_ += now - waits_since_;
	waits_since_ = 0;
	if (!has_moved_)
		seen_.clear();
	has_moved_ = true;
	return 0;
}

void Throttle::moved(u64 began, u64 now)
{
	const u64 took = now - began;

	if (!is_throttled_)
		return;
	settle();
	goes_on_at_ = now + (took < longest_pause / share ? took * share : longest_pause);
	if (debt_)
		blocks_ = blocks_ > 1 ? blocks_ / 2 : 1;
	else
		blocks_ = blocks_ < most_blocks ? blocks_ * 2 : most_blocks;
}

void Throttle::note(u64 begun, u64 now)
{
	const u64 took = now - begun, target = target_.load(rt::Order::relaxed);

	seen_.add(took);
	if (begun >= look_since_.load(rt::Order::relaxed))
		quiet_.add(took);
	(target && took > target ? late_ : in_time_).fetch_add(1, rt::Order::relaxed);
}

} /* namespace corbel::block */
