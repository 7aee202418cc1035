/* SPDX-License-Identifier: GPL-2.0 */
/*
 * distribution.hh - virtual interrupts, what waits for which vCPU, and the rule by
 * which it is given to it. See <corbel/dist.h> for what it looks like from outside.
 *
 * DOC: desks
 *
 * Each vCPU has a desk where what is pending for it waits; one more, nobody's, is
 * that of the ids that are not mapped. An id belongs to the desk named by its config
 * word, and all there is about it (config, links, counts, its bit in the desk's
 * record) changes under that desk's lock alone. Whoever wants an id reads the config,
 * takes the lock of the desk it names, and looks again; mapping it anew holds both
 * desks. So a raise is either wholly before a change of the mapping, and what it left
 * pending moves along, or wholly after it. Deliveries are made under the lock too:
 * when mapping is done nothing is on its way to the old vCPU.
 *
 * What is pending and not masked is in the queue of its priority. A bit for each
 * priority says which queues are not empty, so the best of 65,536 is found in four
 * loads, and an id leaves its queue, from wherever in it, by its links.
 *
 * DOC: nothing waits past the vCPU's next entry
 *
 * Two sides decide without a common lock: whoever makes something pending looks
 * whether the vCPU is present (resident or halted), and a vCPU that becomes present
 * looks whether its status bit is set. Each first stores its own and then reads the
 * other's, with a full barrier between:
 *
 *	raise, under the lock:			becoming present:
 *	  queue it; status bit := 1 (locked)	  present (the scheduler, KVM_RUN)
 *	  is the vCPU present now?		  full barrier
 *	  yes: give out				  is the status bit set?
 *						  yes: lock, give out
 *
 * So at least one of them sees the other, and the lock lets only one of them take an
 * id from the queue. The status bit is set with the first id that is queued and
 * cleared with the last one taken, under the lock. An id that is queued behind others
 * needs no second look: whoever queued the first has seen the vCPU absent after the
 * bit was set, or gives out all himself; hence the vCPU, when it becomes present,
 * finds the bit set and takes the lock after us.
 *
 * becoming_present() has to be called where what it delivers is still noticed by the
 * next VM entry; distributor.hh says where that is.
 *
 * The host explores this protocol in every interleaving (selftests/unit).
 */
#pragma once

#include <cstdint>

#include "../rt/atomic.hh"

namespace corbel::irq {

using rt::Order;

/* What a vCPU can take just now. */
enum class Presence : std::uint8_t {
	gone, /* there is no such vCPU, or not any more */
	absent, /* preempted or in user space */
	present, /* resident or halted */
};

enum class Raised : std::uint8_t { refused, delivered, recorded, coalesced };

/* What an id is mapped to, and its state, in one word. Zero: not mapped. */
class IdConfig {
public:
	constexpr IdConfig() = default;
	constexpr explicit IdConfig(std::uint64_t word) : word_(word) {}
	static constexpr IdConfig mapped(std::uint32_t vcpu, std::uint8_t vector,
					 std::uint8_t priority, bool masked)
	{
		return IdConfig((vcpu + 1) | std::uint64_t{vector} << vector_shift |
				std::uint64_t{priority} << priority_shift |
				(masked ? masked_bit : 0));
	}

	[[nodiscard]] constexpr std::uint64_t word() const { return word_; }
	/* Index of the desk: 0 is nobody's, n + 1 that of vCPU n. */
	[[nodiscard]] constexpr std::uint32_t desk() const
	{
		return static_cast<std::uint16_t>(word_);
	}
	[[nodiscard]] constexpr bool is_mapped() const { return desk(); }
	[[nodiscard]] constexpr std::uint8_t vector() const
	{
		return static_cast<std::uint8_t>(word_ >> vector_shift);
	}
	[[nodiscard]] constexpr std::uint8_t priority() const
	{
		return static_cast<std::uint8_t>(word_ >> priority_shift);
	}
	[[nodiscard]] constexpr bool is_masked() const { return word_ & masked_bit; }
	[[nodiscard]] constexpr bool is_pending() const { return word_ & pending_bit; }
	[[nodiscard]] constexpr IdConfig with_masked(bool on) const
	{
		return IdConfig(on ? word_ | masked_bit : word_ & ~masked_bit);
	}
	[[nodiscard]] constexpr IdConfig with_pending(bool on) const
	{
		return IdConfig(on ? word_ | pending_bit : word_ & ~pending_bit);
	}

private:
	static constexpr unsigned vector_shift = 16;
	static constexpr unsigned priority_shift = 24;
	static constexpr std::uint64_t masked_bit = std::uint64_t{1} << 32;
	static constexpr std::uint64_t pending_bit = std::uint64_t{1} << 33;

	std::uint64_t word_{};
};

/*
 * Platform: Atomics; Lock with lock() and unlock(), which keep interrupts of this CPU
 * away; priorities, their number; Seat, what it keeps about the vCPU of a desk; and
 *
 *	Presence presence(Seat &)		loads only
 *	bool deliver(Seat &, vector)		false: the local APIC is disabled
 *	void ring(Seat &)			the doorbell
 *
 * which are called with the desk's lock held.
 */
template <typename Platform>
class Distribution {
public:
	using Word = std::uint64_t;
	template <typename T>
	using Atomic = typename Platform::Atomics::template Atomic<T>;
	using Lock = typename Platform::Lock;
	using Seat = typename Platform::Seat;

	static constexpr unsigned priorities = Platform::priorities;
	static constexpr unsigned ready_words = (priorities + 63) / 64;
	static constexpr std::uint32_t nobody = 0;

	/* One virtual interrupt. */
	struct alignas(64) Id {
		Atomic<Word> config;
		/* While queued: the next and the previous one, as place numbers. */
		Atomic<Word> links;
		Atomic<Word> raised;
		Atomic<Word> restored;
		Atomic<Word> delivered;
		Atomic<Word> coalesced;
		Atomic<Word> refused;
		Atomic<Word> withdrawn;
	};

	struct Desk {
		Lock lock;
		Atomic<Word> ready[ready_words];
		Atomic<Word> ends[priorities]; /* first and last of each queue */
		Atomic<std::uint32_t> queued;
		Atomic<Word> *record; /* one bit an id; nobody's has none */
		Atomic<Word> *status;
		Word status_mask;
		Seat seat;
	};

	/* Counts of one id at one moment. */
	struct Counts {
		Word raised, restored, delivered, coalesced, refused, withdrawn, pending;
	};

	/* @desks: one more than vCPUs. Zeroed, but for record, status and lock. */
	constexpr void init(Id *ids, Desk *desks)
	{
		ids_ = ids;
		desks_ = desks;
	}

	/* @id is one that there is. Any context but NMI. */
	[[gnu::always_inline]] Raised raise(std::uint32_t id)
	{
		return at_home(id, [this, id](Desk &desk, IdConfig config) __attribute__((
					   always_inline)) { return raise_at(desk, id, config); });
	}

	/*
	 * The vCPU is about to be present; the caller has made a full barrier since it can
	 * be seen to be. Preemption off.
	 */
	void becoming_present(std::uint32_t vcpu)
	{
		Desk &desk = desks_[vcpu + 1];

		/* In pieces, so that interrupts of the host get in between. */
		while (desk.status->load(Order::acquire) & desk.status_mask) {
			const bool taken = locked(desk, [&] {
				if (Platform::presence(desk.seat) == Presence::gone)
					return false;
				give_out(desk);
				return true;
			});

			if (!taken)
				return;
		}
	}

	/* Map it to something else, or to nothing; what is pending goes along. */
	void map(std::uint32_t id, IdConfig to)
	{
		at_both(id, to, [&](Desk &from, Desk &desk, IdConfig was) {
			const bool pending = was.is_pending();

			if (pending && !to.is_mapped())
				add(ids_[id].withdrawn);
			move(id, from, was, desk, to, pending && to.is_mapped());
		});
	}

	/* The same with a say in whether it shall be pending. */
	void restore(std::uint32_t id, IdConfig to, bool pending)
	{
		at_both(id, to, [&](Desk &from, Desk &desk, IdConfig was) {
			if (pending && !was.is_pending())
				add(ids_[id].restored);
			else if (!pending && was.is_pending())
				add(ids_[id].withdrawn);
			move(id, from, was, desk, to, pending);
		});
	}

	/* Whether it changed. */
	bool set_masked(std::uint32_t id, bool masked)
	{
		return at_home(id, [&](Desk &desk, IdConfig config) {
			if (!config.is_mapped() || config.is_masked() == masked)
				return false;
			if (config.is_pending() && masked)
				dequeue(desk, id, config);
			ids_[id].config.store(config.with_masked(masked).word(), Order::relaxed);
			if (config.is_pending() && !masked)
				queue_and_see(desk, id, config);
			return true;
		});
	}

	IdConfig config(std::uint32_t id) const
	{
		return IdConfig(ids_[id].config.load(Order::acquire));
	}

	Counts counts(std::uint32_t id)
	{
		return at_home(id, [&](Desk &, IdConfig config) {
			const Id &of = ids_[id];

			return Counts{.raised = of.raised.load(Order::relaxed),
				      .restored = of.restored.load(Order::relaxed),
				      .delivered = of.delivered.load(Order::relaxed),
				      .coalesced = of.coalesced.load(Order::relaxed),
				      .refused = of.refused.load(Order::relaxed),
				      .withdrawn = of.withdrawn.load(Order::relaxed),
				      .pending = config.is_pending()};
		});
	}

	/* Changes what the platform keeps about a vCPU. */
	template <typename Change>
	void change_seat(std::uint32_t vcpu, const Change &change)
	{
		Desk &desk = desks_[vcpu + 1];

		locked(desk, [&] {
			change(desk.seat);
			return true;
		});
	}

private:
	/* How many are given out before interrupts get in. */
	static constexpr unsigned batch = 32;

	/*
	 * Places in queues are ids plus one, so that zero is none. Two of them in one word:
	 * next and previous of an id, first and last of a queue.
	 */
	struct Pair {
		std::uint32_t low, high;

		static Pair of(Word word)
		{
			return {static_cast<std::uint32_t>(word),
				static_cast<std::uint32_t>(word >> 32)};
		}
		[[nodiscard]] Word word() const { return low | Word{high} << 32; }
	};

	template <typename Body>
	auto locked(Desk &desk, const Body &body)
	{
		const auto token = desk.lock.lock();
		auto result = body();

		desk.lock.unlock(token);
		return result;
	}

	/* @body(desk, config) with the lock of the id's desk. */
	template <typename Body>
	[[gnu::always_inline]] auto at_home(std::uint32_t id, const Body &body)
	{
		for (;;) {
			Desk &desk = desks_[config(id).desk()];
			const auto token = desk.lock.lock();
			const IdConfig now = config(id);

			if (&desks_[now.desk()] == &desk) [[likely]] {
				auto result = body(desk, now);

				desk.lock.unlock(token);
				return result;
			}
			desk.lock.unlock(token);
		}
	}

	/* @body(from, to, config) with the locks of both desks, in order of their index. */
	template <typename Body>
	void at_both(std::uint32_t id, IdConfig to, const Body &body)
	{
		for (;;) {
			const std::uint32_t from = config(id).desk();
			Desk &first = desks_[from < to.desk() ? from : to.desk()];
			Desk &second = desks_[from < to.desk() ? to.desk() : from];
			const auto token = first.lock.lock();
			const bool two = &first != &second;

			if (two)
				second.lock.lock_inner();
			const IdConfig now = config(id);
			const bool same = now.desk() == from;

			if (same)
				body(desks_[from], desks_[to.desk()], now);
			if (two)
				second.lock.unlock_inner();
			first.lock.unlock(token);
			if (same)
				return;
		}
	}

	[[gnu::always_inline]] Raised raise_at(Desk &desk, std::uint32_t id, IdConfig config)
	{
		Id &it = ids_[id];

		add(it.raised);
		if (config.is_pending()) {
			add(it.coalesced);
			return Raised::coalesced;
		}
		const Presence presence =
			config.is_mapped() ? Platform::presence(desk.seat) : Presence::gone;

		if (presence == Presence::present && !config.is_masked() &&
		    !desk.queued.load(Order::relaxed)) [[likely]]
			return deliver(desk, it, config.vector());
		return record(desk, id, config, presence);
	}

	/* What a raise does that cannot deliver. */
	[[gnu::noinline]] Raised record(Desk &desk, std::uint32_t id, IdConfig config,
					Presence presence)
	{
		if (presence == Presence::gone) {
			add(ids_[id].refused);
			return Raised::refused;
		}
		set_pending(desk, id, config);
		if (!config.is_masked())
			queue_and_see(desk, id, config);
		return Raised::recorded;
	}

	[[gnu::always_inline]] Raised deliver(Desk &desk, Id &it, std::uint8_t vector)
	{
		if (Platform::deliver(desk.seat, vector)) [[likely]] {
			add(it.delivered);
			return Raised::delivered;
		}
		add(it.refused);
		return Raised::refused;
	}

	void move(std::uint32_t id, Desk &from, IdConfig was, Desk &desk, IdConfig to, bool pending)
	{
		if (was.is_pending()) {
			if (!was.is_masked())
				dequeue(from, id, was);
			clear_pending(from, id, was);
		}
		if (!pending) {
			ids_[id].config.store(to.word(), Order::relaxed);
			return;
		}
		set_pending(desk, id, to);
		if (!to.is_masked())
			queue_and_see(desk, id, to);
	}

	/* The id is pending at its desk and not queued yet. */
	void queue_and_see(Desk &desk, std::uint32_t id, IdConfig config)
	{
		const bool first = enqueue(desk, id, config);

		switch (Platform::presence(desk.seat)) {
		case Presence::present:
			give_out(desk);
			break;
		case Presence::absent:
			if (first)
				Platform::ring(desk.seat);
			break;
		case Presence::gone:
			break;
		}
	}

	/* To the vCPU, the best first, until nothing is left or a batch is done. */
	void give_out(Desk &desk)
	{
		for (unsigned left = batch; left; left--) {
			const std::uint32_t place = best(desk);

			if (!place)
				return;
			const std::uint32_t id = place - 1;
			const IdConfig config = this->config(id);

			dequeue(desk, id, config);
			clear_pending(desk, id, config);
			(void)deliver(desk, ids_[id], config.vector());
		}
	}

	std::uint32_t best(const Desk &desk) const
	{
		for (unsigned i = ready_words; i-- > 0;) {
			const Word ready = desk.ready[i].load(Order::relaxed);

			if (ready) {
				const auto bit =
					63U - static_cast<unsigned>(__builtin_clzll(ready));

				return Pair::of(desk.ends[i * 64 + bit].load(Order::relaxed)).low;
			}
		}
		return 0;
	}

	/* Of the record. The word is this desk's, and so its lock's. */
	void set_pending(Desk &desk, std::uint32_t id, IdConfig config)
	{
		Atomic<Word> &word = desk.record[id / 64];

		ids_[id].config.store(config.with_pending(true).word(), Order::relaxed);
		word.store(word.load(Order::relaxed) | Word{1} << id % 64, Order::release);
	}
	void clear_pending(Desk &desk, std::uint32_t id, IdConfig config)
	{
		Atomic<Word> &word = desk.record[id / 64];

		ids_[id].config.store(config.with_pending(false).word(), Order::relaxed);
		word.store(word.load(Order::relaxed) & ~(Word{1} << id % 64), Order::release);
	}

	/* Returns whether it is the only one now; then a full barrier has been made. */
	bool enqueue(Desk &desk, std::uint32_t id, IdConfig config)
	{
		const unsigned priority = config.priority() % priorities;
		Atomic<Word> &ends = desk.ends[priority];
		const Pair was = Pair::of(ends.load(Order::relaxed));
		const std::uint32_t place = id + 1;
		const std::uint32_t queued = desk.queued.load(Order::relaxed);

		ids_[id].links.store(Pair{0, was.high}.word(), Order::relaxed);
		if (was.high) {
			Atomic<Word> &links = ids_[was.high - 1].links;

			links.store(Pair{place, Pair::of(links.load(Order::relaxed)).high}.word(),
				    Order::relaxed);
		} else {
			Atomic<Word> &ready = desk.ready[priority / 64];

			ready.store(ready.load(Order::relaxed) | Word{1} << priority % 64,
				    Order::relaxed);
		}
		ends.store(Pair{was.low ? was.low : place, place}.word(), Order::relaxed);
		desk.queued.store(queued + 1, Order::relaxed);
		if (queued)
			return false;
		desk.status->fetch_or(desk.status_mask, Order::seq_cst);
		return true;
	}

	void dequeue(Desk &desk, std::uint32_t id, IdConfig config)
	{
		const unsigned priority = config.priority() % priorities;
		Atomic<Word> &ends = desk.ends[priority];
		Pair now = Pair::of(ends.load(Order::relaxed));
		const Pair links = Pair::of(ids_[id].links.load(Order::relaxed));
		const std::uint32_t queued = desk.queued.load(Order::relaxed) - 1;

		if (links.high)
			relink(links.high, [&](Pair &of) { of.low = links.low; });
		else
			now.low = links.low;
		if (links.low)
			relink(links.low, [&](Pair &of) { of.high = links.high; });
		else
			now.high = links.high;
		ends.store(now.word(), Order::relaxed);
		if (!now.low) {
			Atomic<Word> &ready = desk.ready[priority / 64];

			ready.store(ready.load(Order::relaxed) & ~(Word{1} << priority % 64),
				    Order::relaxed);
		}
		desk.queued.store(queued, Order::relaxed);
		if (!queued)
			desk.status->fetch_and(~desk.status_mask, Order::seq_cst);
	}

	template <typename Change>
	void relink(std::uint32_t place, const Change &change)
	{
		Atomic<Word> &links = ids_[place - 1].links;
		Pair pair = Pair::of(links.load(Order::relaxed));

		change(pair);
		links.store(pair.word(), Order::relaxed);
	}

	/* Under the lock of the id's desk. */
	static void add(Atomic<Word> &count)
	{
		count.store(count.load(Order::relaxed) + 1, Order::relaxed);
	}

	Id *ids_{};
	Desk *desks_{};
};

} /* namespace corbel::irq */
