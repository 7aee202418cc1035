/* SPDX-License-Identifier: GPL-2.0 */
#include "counters.hh"

namespace corbel::qos {

using rt::atomic_load;
using rt::atomic_store;
using rt::Order;

/* A slot: its sequence, which is odd while it changes, then Counts and Histograms. */
static constexpr u64 count_words = sizeof(Counts) / sizeof(u64);
static constexpr u64 histogram_words = sizeof(Histograms) / sizeof(u64);

/* Nobody else writes there; readers see one word or the other. */
static void raise(u64 &word, u64 more)
{
	atomic_store(&word, atomic_load(&word, Order::relaxed) + more, Order::relaxed);
}

Result<void> Counters::init(u32 slots, Detail detail)
{
	words_ = count_words + (detail == Detail::histograms ? histogram_words : 0);
	stride_ = ((1 + words_) * sizeof(u64) + line - 1) / line * line;
	memory_ = CORBEL_TRY(rt::Pages::make(u64{slots} * stride_, rt::Pages::Use::kernel));
	base_ = memory_.as<u8>();
	slots_ = slots;
	return {};
}

bool Counters::has_histograms() const
{
	return words_ > count_words;
}

void Counters::add(u32 number, const Done &done)
{
	u64 *sequence = slot(number);
	auto &counts = *reinterpret_cast<Counts *>(sequence + 1);
	OpCounts &of = counts.by_op[static_cast<unsigned>(done.op)];
	const Time waited = done.admitted - done.arrived;
	const Time took = done.completed - done.admitted;
	const u64 before = atomic_load(sequence, Order::relaxed);

	atomic_store(sequence, before + 1, Order::relaxed);
	rt::fence(Order::release);
	raise(of.ios, 1);
	raise(of.bytes, done.bytes);
	raise(of.errors, done.failed);
	raise(of.service_ns, took);
	if (waited) {
		raise(counts.throttled, 1);
		raise(counts.throttled_ns, waited);
	}
	if (has_histograms()) {
		auto &histograms = *reinterpret_cast<Histograms *>(sequence + 1 + count_words);
		auto &latency = done.op == Op::read    ? histograms.reads
				: done.op == Op::write ? histograms.writes
						       : histograms.others;

		raise(latency[bucket_of(took)], 1);
		raise(histograms.queued[bucket_of(waited)], 1);
	}
	atomic_store(sequence, before + 2, Order::release);
}

/* All of a slot as it was at one moment. */
void Counters::copy_slot(const u64 *slot, u64 *to) const
{
	for (;;) {
		const u64 before = atomic_load(slot, Order::acquire);

		for (u64 i = 0; i < words_; i++)
			to[i] = atomic_load(&slot[1 + i], Order::relaxed);
		rt::fence(Order::acquire);
		const bool is_whole =
			before % 2 == 0 && atomic_load(slot, Order::relaxed) == before;
		if (is_whole || sabotaged(Sabotage::torn_snapshot))
			return;
		rt::cpu_relax();
	}
}

void Counters::read(Sums &to, Sums &scratch) const
{
	auto *sum = reinterpret_cast<u64 *>(&to);
	auto *copy = reinterpret_cast<u64 *>(&scratch);

	__builtin_memset(&to, 0, sizeof(to));
	for (u32 i = 0; i < slots_; i++) {
		copy_slot(slot(i), copy);
		for (u64 word = 0; word < words_; word++)
			sum[word] += copy[word];
	}
}

} /* namespace corbel::qos */
