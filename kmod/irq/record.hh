/* SPDX-License-Identifier: GPL-2.0 */
/*
 * record.hh - the pending record and pending status of one vCPU.
 *
 * DOC: how the record stays exact without a lock on the delivery path
 *
 * Truth is the local APIC's IRR, which KVM writes inside __apic_accept_irq and
 * which only the vCPU's own thread clears. The record must (1) hold every vector
 * that is in the IRR, at every instant, and (2) equal it when nothing is under
 * way. Deliveries come from any CPU and any context; the body of one can be
 * interrupted or preempted between its first instruction and its write of the
 * IRR.
 *
 * accept_enter() runs before the body and accept_exit() after it. Enter sets the
 * bit, so (1) can only be broken by a clearing that overtakes a delivery which
 * has set its bit and not yet written the IRR. Therefore clearing needs to know
 * that no delivery is inside its body. One word, the gate, says so:
 *
 *	bits 0..29  deliveries inside their body
 *	bit 30      suspect: somebody had to leave a bit that may be stale
 *	bit 31      closed: somebody is clearing
 *
 * Clearing closes the gate by a compare-exchange that succeeds only from "no
 * delivery, not closed". While it is closed a new delivery waits in
 * accept_enter, before KVM's code runs, so the IRR can only lose bits and the
 * closer decides on plain reads. If the gate cannot be closed the bit stays, is
 * marked unsure, suspect is set by the same compare-exchange, and the last
 * delivery to leave settles the matter: it closes the gate and drops the unsure
 * bits that the IRR does not have. The record is thus too full for the length of
 * a delivery, and never too empty.
 *
 * Settling leaves bits alone that are not unsure: such a bit with none in the
 * IRR belongs to an injection that has taken its vector and is about to call
 * inject().
 *
 * The status bit follows the same rule: enter sets it, only a closer that saw
 * all words zero clears it.
 *
 * The closed section is a few dozen instructions with interrupts off on the
 * closing CPU, because a delivery from an interrupt there would wait for ever.
 * Deliveries do not come from NMI context (they take locks in KVM).
 *
 * The idea of a record with a separate zero / non-zero status is that of the
 * virtual interrupt distributor's abstract; the IRR semantics are those of
 * arch/x86/kvm/lapic.c.
 */
#pragma once

#include <cstdint>

#include <corbel/irq.h>

#include "../rt/atomic.hh"

namespace corbel::irq {

using rt::Order;

/* What settling or loading found out about one vector. */
enum class Change : std::uint8_t {
	appeared, /* in the IRR, was not in the record */
	stale, /* in the record for too long: it was injected or refused */
	gone, /* taken out of the IRR by other means than an injection */
};

template <typename Atomics = rt::HardwareAtomics>
class PendingRecord {
public:
	static constexpr unsigned words = CORBEL_IRQ_WORDS;
	using Word = std::uint64_t;
	using AtomicWord = typename Atomics::template Atomic<Word>;
	using AtomicGate = typename Atomics::template Atomic<std::uint32_t>;

	static constexpr std::uint32_t closed = 1U << 31;
	static constexpr std::uint32_t suspect = 1U << 30;

	/* @status: word of the status line, @bit: this vCPU's bit in it. */
	void init(AtomicWord *status, unsigned bit)
	{
		status_ = status;
		status_mask_ = Word{1} << bit;
	}

	/*
	 * Before the body of a delivery of @vector. Any context but NMI.
	 */
	[[gnu::always_inline]] void accept_enter(unsigned vector)
	{
		const Word mask = mask_of(vector);

		if (gate_.fetch_add(1, Order::acq_rel) & closed) [[unlikely]]
			wait_open();
		/*
		 * From here no closer can be active, so a status bit seen as 1
		 * stays 1 until this delivery has left.
		 */
		word_[vector / 64].fetch_or(mask, Order::acq_rel);
		if (!(status_->load(Order::relaxed) & status_mask_))
			status_->fetch_or(status_mask_, Order::acq_rel);
	}

	/*
	 * After the body. Returns true if the caller must call settle(): it was
	 * the last one out and somebody left a suspect bit.
	 */
	[[nodiscard, gnu::always_inline]] bool accept_exit()
	{
		return gate_.fetch_sub(1, Order::acq_rel) == suspect + 1;
	}

	enum class Injected : std::uint8_t {
		done, /* the vector is in the record exactly if it is in the IRR */
		unsettled, /* done, and the caller must call settle() */
		busy, /* a delivery is under way; mark_unsure(), then settle() */
	};

	/*
	 * The vCPU has taken @vector from the IRR and injects it. Only the vCPU's own
	 * thread calls this, interrupts off. @irr(i): word i of the IRR. @decided is
	 * called as decided(again) while the gate is closed: whether the vector is
	 * pending again.
	 */
	template <typename IrrWord, typename Decided>
	[[gnu::always_inline]] Injected inject(unsigned vector, const IrrWord &irr,
					       const Decided &decided)
	{
		const Word mask = mask_of(vector);
		const unsigned i = vector / 64;

		if (!try_close()) [[unlikely]]
			return Injected::busy;
		const bool again = irr(i) & mask;
		if (!again) [[likely]] {
			word_[i].store(word_[i].load(Order::relaxed) & ~mask, Order::relaxed);
			clear_status_if_empty();
		}
		decided(again);
		return open() ? Injected::unsettled : Injected::done;
	}

	/*
	 * On the vCPU's own thread, before inject(): was @vector's delivery seen? What
	 * was taken out of the record too early stays unsure until then.
	 */
	[[nodiscard, gnu::always_inline]] bool knows(unsigned vector) const
	{
		return (word_[vector / 64].load(Order::acquire) |
			unsure_[vector / 64].load(Order::acquire)) &
		       mask_of(vector);
	}
	/*
	 * The last word on it: a closer that read the IRR before the vector was taken
	 * from it may be about to add the bit. One that closes later is not.
	 */
	[[nodiscard]] bool knows_for_sure(unsigned vector)
	{
		wait_open();
		return knows(vector);
	}

	/* The vector's bit may be stale. Follow it by settle() or accept_exit(). */
	void mark_unsure(unsigned vector)
	{
		unsure_[vector / 64].fetch_or(mask_of(vector), Order::acq_rel);
		gate_.fetch_or(suspect, Order::acq_rel);
	}

	/*
	 * Drop unsure bits that the IRR does not have, add those it has and the
	 * record lacks. Any context but NMI, interrupts off. @report is called as
	 * report(vector, Change) while the gate is closed. Returns false if a delivery
	 * is under way, which then settles in its turn.
	 */
	template <typename IrrWord, typename Report>
	bool settle(const IrrWord &irr, const Report &report)
	{
		do {
			if (!try_close())
				return false;
			for (unsigned i = 0; i < words; i++)
				settle_word(i, irr, report);
			clear_status_if_empty();
		} while (open());
		return true;
	}

	/*
	 * Take the IRR as it is: it was changed by other means than deliveries and
	 * injections. The vCPU is not between taking a vector and injecting it.
	 * Otherwise as settle().
	 */
	template <typename IrrWord, typename Report>
	bool load(const IrrWord &irr, const Report &report)
	{
		do {
			if (!try_close())
				return false;
			for (unsigned i = 0; i < words; i++) {
				const Word truth = irr(i);
				const Word had = word_[i].load(Order::relaxed);
				const Word unsure = unsure_[i].load(Order::relaxed);

				unsure_[i].store(0, Order::relaxed);
				put_word(i, truth);
				/* Whether an unsure one was still there nobody knows: it is new. */
				report_each(i, truth & ~(had & ~unsure), Change::appeared, report);
				report_each(i, had & ~truth & unsure, Change::stale, report);
				report_each(i, had & ~truth & ~unsure, Change::gone, report);
			}
			clear_status_if_empty();
		} while (open());
		return true;
	}

	/*
	 * Both sides at one moment. Fills @record and @truth; returns whether no
	 * delivery was under way while they were read.
	 */
	template <typename IrrWord>
	bool compare(const IrrWord &irr, Word *record, Word *truth)
	{
		const bool quiet = try_close();

		/* Truth first: what it holds the record has had since before. */
		for (unsigned i = 0; i < words; i++) {
			truth[i] = irr(i);
			record[i] = word_[i].load(Order::acquire);
		}
		return quiet;
	}
	/* After a compare() that returned true. True: the caller must settle(). */
	[[nodiscard]] bool compare_done() { return open(); }

	[[nodiscard]] Word word(unsigned i) const { return word_[i].load(Order::acquire); }
	[[nodiscard]] bool status() const { return status_->load(Order::acquire) & status_mask_; }
	/* A delivery is inside its body, or somebody is clearing. */
	[[nodiscard]] bool in_use() const { return gate_.load(Order::acquire) & ~suspect; }

	/* Forget everything; the vCPU is not observed (any more) by anybody. */
	void reset()
	{
		for (unsigned i = 0; i < words; i++)
			word_[i].store(0, Order::relaxed);
		status_->fetch_and(~status_mask_, Order::release);
	}

private:
	static constexpr Word mask_of(unsigned vector) { return Word{1} << (vector % 64); }

	/* For accept_enter() no further closing can start: it is counted in the gate. */
	void wait_open()
	{
		while (gate_.load(Order::acquire) & closed)
			Atomics::cpu_relax();
	}

	/* Fails, leaving suspect set, while a delivery or another closer is in. */
	[[gnu::always_inline]] bool try_close()
	{
		std::uint32_t seen = 0;

		if (gate_.compare_exchange(seen, closed, Order::acq_rel)) [[likely]]
			return true;
		return try_close_again(seen);
	}
	bool try_close_again(std::uint32_t seen)
	{
		for (;;) {
			const bool free = !(seen & ~suspect);

			if (gate_.compare_exchange(seen, free ? closed : seen | suspect,
						   Order::acq_rel))
				return free;
		}
	}

	/* Returns true if a suspect was left meanwhile that nobody else settles. */
	[[gnu::always_inline]] bool open()
	{
		return gate_.fetch_sub(closed, Order::acq_rel) == (closed | suspect);
	}

	void clear_status_if_empty()
	{
		Word all = 0;

		for (unsigned i = 0; i < words; i++)
			all |= word_[i].load(Order::relaxed);
		if (!all)
			status_->fetch_and(~status_mask_, Order::acq_rel);
	}

	/* Set before it is reported, so that (1) holds for the reporter too. */
	void put_word(unsigned i, Word word)
	{
		word_[i].store(word, Order::release);
		if (word)
			status_->fetch_or(status_mask_, Order::acq_rel);
	}

	template <typename IrrWord, typename Report>
	void settle_word(unsigned i, const IrrWord &irr, const Report &report)
	{
		const Word truth = irr(i);
		const Word had = word_[i].load(Order::relaxed);
		const Word unsure = unsure_[i].load(Order::acquire);

		if (!unsure && !(truth & ~had)) [[likely]]
			return;
		put_word(i, (had & ~(unsure & ~truth)) | truth);
		/*
		 * What is gone stays unsure: it may have been taken from the IRR by the
		 * vCPU just now, and its injection is still to come. So does what was
		 * taken since truth was read: the vCPU may have marked it already, and
		 * that mark must not be the one cleared here.
		 */
		if (const Word confirmed = unsure & truth) {
			unsure_[i].fetch_and(~confirmed, Order::acq_rel);
			if (const Word taken = confirmed & ~irr(i))
				unsure_[i].fetch_or(taken, Order::acq_rel);
		}
		report_each(i, truth & ~had, Change::appeared, report);
		report_each(i, unsure & had & ~truth, Change::stale, report);
	}

	template <typename Report>
	static void report_each(unsigned i, Word bits, Change change, const Report &report)
	{
		for (; bits; bits &= bits - 1)
			report(i * 64 + static_cast<unsigned>(__builtin_ctzll(bits)), change);
	}

	AtomicGate gate_{}; /* first: hooks.S does accept_exit() by itself */
	AtomicWord word_[words]{};
	AtomicWord *status_{};
	Word status_mask_{};
	/* Vectors in the record that may not be pending any more. */
	AtomicWord unsure_[words]{};
};

} /* namespace corbel::irq */
