/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Distribution over plain memory, for threads: vCPUs are flags, and their local
 * APICs lists of the vectors they were given.
 */
#pragma once

#include "irq/distribution.hh"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace corbel::unit {

struct ThreadPlatform {
	using Atomics = rt::HardwareAtomics;
	static constexpr unsigned priorities = 256;

	struct Lock {
		std::mutex mutex;
		int lock()
		{
			mutex.lock();
			return 0;
		}
		void unlock(int) { mutex.unlock(); }
		void lock_inner() { mutex.lock(); }
		void unlock_inner() { mutex.unlock(); }
	};

	struct Seat {
		std::atomic<bool> exists{true};
		std::atomic<bool> present{false};
		std::atomic<bool> disabled{false};
		std::vector<std::uint8_t> given; /* under the desk's lock */
		std::uint64_t rung = 0;
	};

	static irq::Presence presence(const Seat &seat)
	{
		if (!seat.exists)
			return irq::Presence::gone;
		return seat.present ? irq::Presence::present : irq::Presence::absent;
	}
	static bool deliver(Seat &seat, std::uint8_t vector)
	{
		if (seat.disabled)
			return false;
		seat.given.push_back(vector);
		return true;
	}
	static void ring(Seat &seat) { seat.rung++; }
};

class TestDistribution : public irq::Distribution<ThreadPlatform> {
public:
	TestDistribution(unsigned ids, unsigned vcpus)
		: count(ids),
		  vcpus(vcpus),
		  words_(std::make_unique<Word[]>(vcpus * words_of(ids))),
		  status_(std::make_unique<rt::Atomic<Word>[]>((vcpus + 63) / 64)),
		  ids_(std::make_unique<Id[]>(ids)),
		  desks_(std::make_unique<Desk[]>(vcpus + 1))
	{
		for (unsigned i = 0; i < vcpus; i++) {
			Desk &desk = desks_[i + 1];

			desk.record = reinterpret_cast<rt::Atomic<Word> *>(words_.get() +
									   i * words_of(ids));
			desk.status = &status_[i / 64];
			desk.status_mask = Word{1} << i % 64;
		}
		init(ids_.get(), desks_.get());
	}

	Seat &seat(unsigned vcpu) { return desks_[vcpu + 1].seat; }
	bool status(unsigned vcpu) const
	{
		return status_[vcpu / 64].load(rt::Order::acquire) >> vcpu % 64 & 1;
	}
	bool record(unsigned vcpu, unsigned id) const
	{
		const auto &word = desks_[vcpu + 1].record[id / 64];

		return word.load(rt::Order::acquire) >> id % 64 & 1;
	}

	/* As KVM does, with the load hook behind it. */
	void make_present(unsigned vcpu)
	{
		seat(vcpu).present.store(true);
		rt::fence(rt::Order::seq_cst);
		becoming_present(vcpu);
	}
	void make_absent(unsigned vcpu) { seat(vcpu).present.store(false); }

	const unsigned count, vcpus;

private:
	static unsigned words_of(unsigned ids) { return (ids + 63) / 64; }

	std::unique_ptr<Word[]> words_;
	std::unique_ptr<rt::Atomic<Word>[]> status_;
	std::unique_ptr<Id[]> ids_;
	std::unique_ptr<Desk[]> desks_;
};

inline irq::IdConfig mapped(unsigned vcpu, unsigned vector, unsigned priority = 0,
			    bool masked = false)
{
	return irq::IdConfig::mapped(vcpu, static_cast<std::uint8_t>(vector),
				     static_cast<std::uint8_t>(priority), masked);
}

} // namespace corbel::unit
