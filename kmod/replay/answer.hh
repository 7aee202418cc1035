/* SPDX-License-Identifier: GPL-2.0 */
/*
 * answer.hh - what a guest's RDTSC is answered, and what becomes of it.
 *
 * DOC: an area that anybody may write
 *
 * The area and the log are in the hands of a program that may do with them what it likes, at any
 * moment. So each word is loaded once for each decision, and what is decided by it holds for
 * that one RDTSC: an index is compared with the size that the kernel knows before it is used, and
 * is used as it was compared.
 *
 *	decide()   nothing is written but where the guest has diverged
 *	           |-- the instruction is not done: KVM_RUN ends, or the guest tries again
 *	           `-- it is: KVM steps over it, the guest gets the value, then
 *	commit()   the entry, the head and the last value are written, and it is looked at whether
 *	           KVM_RUN ends now
 */
#pragma once

#include <corbel/replay.h>

#include "../rt/atomic.hh"
#include "../rt/shim.h"

namespace corbel::replay {

using rt::Order;

struct Decision {
	enum class Kind : u8 {
		answer, /* the guest gets @value */
		again, /* the interception goes at the next entry: nothing of this is ours */
		leave, /* KVM_RUN ends for @reason */
	};
	Kind kind{};
	u8 mode{}; /* CORBEL_REPLAY_* */
	u32 reason{};
	u64 value{};
	u64 tag{};
	u64 slot{}; /* of the log, but for CORBEL_REPLAY_CLOCK */
};

/* The vCPU's thread alone has it. */
class Answers {
public:
	constexpr Answers() = default;
	/* @log has room for @entries. */
	Answers(corbel_replay_area *area, corbel_replay_entry *log, u64 entries)
		: area_(area), log_(log), entries_(entries)
	{}

	[[nodiscard]] u32 mode() const { return load(&area_->mode); }
	[[nodiscard]] u32 tsc_aux() const { return static_cast<u32>(load(&area_->tsc_aux)); }
	/* Is #UD at @rip for whoever replays? */
	[[nodiscard]] bool breaks_at(u64 rip) const
	{
		const u64 at = load(&area_->breakpoint);

		return at && at == rip && mode() != CORBEL_REPLAY_OFF;
	}

	/* @now: CLOCK_MONOTONIC, ns. */
	Decision decide(u64 rip, u64 now)
	{
		const u32 mode = load(&area_->mode);
		const u32 shift = load(&area_->shift);
		const u64 tag = CORBEL_REPLAY_TAG(CORBEL_REPLAY_TSC, 0, rip);

		if (mode == CORBEL_REPLAY_OFF)
			return {.kind = Decision::Kind::again};
		if (mode > CORBEL_REPLAY_REPLAY || shift > CORBEL_REPLAY_MAX_SHIFT)
			return leave(CORBEL_REPLAY_EXIT_BAD);
		if (mode == CORBEL_REPLAY_REPLAY)
			return from_log(tag);
		return from_clock(mode, tag, guest_time(now, shift));
	}

	/* The guest has got it. Why KVM_RUN ends, or 0. */
	[[nodiscard]] u32 commit(const Decision &done)
	{
		bool asynchronous = false;

		if (done.mode == CORBEL_REPLAY_RECORD) {
			store(&log_[done.slot].value, done.value);
			store(&log_[done.slot].tag, done.tag);
		}
		if (done.mode == CORBEL_REPLAY_REPLAY)
			asynchronous = is_asynchronous(done.slot + 1);
		if (done.mode != CORBEL_REPLAY_CLOCK)
			store(&area_->head, done.slot + 1);
		store(&area_->last, done.value);
		store(&area_->nr_tsc, ++answered_);
		if (asynchronous)
			return CORBEL_REPLAY_EXIT_NEXT;
		return done.value >= load(&area_->deadline) ? CORBEL_REPLAY_EXIT_DEADLINE : 0;
	}

private:
	template <typename T>
	static T load(const T *from)
	{
		return rt::atomic_load(from, Order::relaxed);
	}
	static void store(auto *to, u64 value) { rt::atomic_store(to, value, Order::relaxed); }

	static Decision leave(u32 reason)
	{
		return {.kind = Decision::Kind::leave, .reason = reason};
	}

	[[nodiscard]] u64 guest_time(u64 now, u32 shift) const
	{
		const u64 base = load(&area_->base);

		return now > base ? (now - base) >> shift : 0;
	}

	Decision from_clock(u32 mode, u64 tag, u64 time)
	{
		const u64 last = load(&area_->last);
		const u64 head = load(&area_->head);
		const u64 end = load(&area_->end);

		if (last == ~u64{0})
			return leave(CORBEL_REPLAY_EXIT_BAD);
		if (mode == CORBEL_REPLAY_RECORD) {
			if (end > entries_ || head > end)
				return leave(CORBEL_REPLAY_EXIT_BAD);
			if (head == end)
				return leave(CORBEL_REPLAY_EXIT_FULL);
		}
		return {.kind = Decision::Kind::answer,
			.mode = static_cast<u8>(mode),
			.value = time > last ? time : last + 1,
			.tag = tag,
			.slot = head};
	}

	Decision from_log(u64 tag)
	{
		const u64 head = load(&area_->head);
		const u64 end = load(&area_->end);

		if (end > entries_ || head > end)
			return leave(CORBEL_REPLAY_EXIT_BAD);
		if (head == end)
			return leave(CORBEL_REPLAY_EXIT_EMPTY);
		if (load(&log_[head].tag) != tag) {
			store(&area_->seen, tag);
			return leave(CORBEL_REPLAY_EXIT_DIVERGED);
		}
		return {.kind = Decision::Kind::answer,
			.mode = CORBEL_REPLAY_REPLAY,
			.value = load(&log_[head].value),
			.tag = tag,
			.slot = head};
	}

	[[nodiscard]] bool is_asynchronous(u64 slot) const
	{
		/* The end may be another one by now. */
		return slot < load(&area_->end) && slot < entries_ &&
		       load(&log_[slot].tag) >> 56 >= CORBEL_REPLAY_FIRST_ASYNC;
	}

	corbel_replay_area *area_{};
	corbel_replay_entry *log_{};
	u64 entries_{};
	u64 answered_{};
};

} /* namespace corbel::replay */
