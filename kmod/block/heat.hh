/* SPDX-License-Identifier: GPL-2.0 */
/*
 * heat.hh - how often the blocks of a pool are read and written, of late.
 *
 * A byte for each MBA, so that what is counted stays with the contents wherever they are moved.
 * It is in memory alone, and all zero after the pool was stopped. Counts stop at 255, and are
 * halved by age(): who calls it once in a period has a count that fades by half in each.
 *
 * At most 64 MiB, which is 4 TiB of 64 KiB blocks; in larger pools 2, 4, ... blocks with
 * neighbouring MBAs, which were mostly written one after another, share a count.
 *
 * Two CPUs that count the same block at once may count one access: nothing is locked.
 */
#pragma once

#include "../rt/atomic.hh"
#include "../rt/memory.hh"
#include "types.hh"

namespace corbel::block {

class Heat {
public:
	static constexpr u64 most_bytes = u64{64} << 20;

	Heat() = default;
	Heat(const Heat &) = delete;
	Heat &operator=(const Heat &) = delete;

	/*
	 * Counts from now on, of MBAs below @mbas. False: it did so already. If those are more
	 * than before, it begins anew. Who may be counting in what was there before has to be
	 * waited for by @synchronize. Task; no_memory.
	 */
	template <typename Synchronize>
	Result<bool> begin(u64 mbas, Synchronize &&synchronize)
	{
		if (is_on() && mbas <= mbas_)
			return false;
		u32 shift = 0;
		while (((mbas >> shift) + 1) > most_bytes)
			shift++;
		const u64 words = ((mbas >> shift) + 1 + 7) / 8;
		auto memory =
			CORBEL_TRY(rt::Pages::make(words * sizeof(u64), rt::Pages::Use::kernel));
		__builtin_memset(memory.get(), 0, words * sizeof(u64));
		end(synchronize);
		memory_ = std::move(memory);
		mbas_ = mbas;
		shift_ = shift;
		words_ = words;
		counts_.store(memory_.as<u8>(), rt::Order::release);
		return true;
	}
	/* Task. */
	template <typename Synchronize>
	void end(Synchronize &&synchronize)
	{
		if (!is_on())
			return;
		counts_.store(nullptr, rt::Order::release);
		synchronize();
		memory_ = {};
	}
	[[nodiscard]] bool is_on() const { return counts_.load(rt::Order::relaxed); }
	[[nodiscard]] u64 bytes() const { return is_on() ? words_ * sizeof(u64) : 0; }

	/* Atomic, in what @synchronize waits for. */
	void note(Mba mba)
	{
		u8 *counts = counts_.load(rt::Order::acquire);

		if (!counts || mba.value >= mbas_)
			return;
		u8 *count = counts + (mba.value >> shift_);
		const u8 before = rt::atomic_load(count, rt::Order::relaxed);
		if (before != 255)
			rt::atomic_store(count, static_cast<u8>(before + 1), rt::Order::relaxed);
	}
	/* 0 to 255. Not while it begins or ends. */
	[[nodiscard]] u8 of(Mba mba) const
	{
		const u8 *counts = counts_.load(rt::Order::relaxed);

		return !counts || mba.value >= mbas_
			       ? 0
			       : rt::atomic_load(counts + (mba.value >> shift_),
						 rt::Order::relaxed);
	}
	/* What is counted at the same moment may be lost. Not while it begins or ends. */
	void age()
	{
		static constexpr u64 low_bits = 0x7f7f7f7f7f7f7f7f;
		auto *words = reinterpret_cast<u64 *>(counts_.load(rt::Order::relaxed));

		for (u64 i = 0; words && i < words_; i++)
			rt::atomic_store(&words[i],
					 rt::atomic_load(&words[i], rt::Order::relaxed) >> 1 &
						 low_bits,
					 rt::Order::relaxed);
	}

private:
	rt::Pages memory_;
	/* These change only while counts_ is null and nobody counts. */
	u64 mbas_ = 0, words_ = 0;
	u32 shift_ = 0;
	rt::Atomic<u8 *> counts_{nullptr};
};

} /* namespace corbel::block */
