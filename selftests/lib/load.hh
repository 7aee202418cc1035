/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt load: a thread that sends random vectors to random vCPUs of a VM by
 * MSI and irqfd, and knows what it has sent.
 */
#pragma once

#include "vm.hh"

#include <array>
#include <atomic>
#include <chrono>
#include <random>

namespace corbel::selftest {

/*
 * Keeps a thread that sends from getting ahead of the guest for ever: a vCPU that has the
 * next interrupt whenever it ends one does nothing else, and never sees what it is told.
 */
class pace {
public:
	explicit pace(guest_vm &vm) : vm(vm), seen(vm.nr_vcpus()) {}

	/* Sleeps for @rest, and on while a vCPU only handles interrupts. */
	void rest(std::chrono::microseconds rest);

private:
	/* With nothing handled between them it is stopped, or does a job: not what is sent. */
	static constexpr unsigned looks_at_rest = 100;

	struct progress {
		uint64_t loops, handled_then; /* when it had last seen what it is told */
		uint64_t handled;
		unsigned looks; /* that saw nothing handled, in a row */
	};

	/* A vCPU has handled interrupts and not seen since what it is told, however slow it is. */
	bool is_ahead();

	guest_vm &vm;
	std::vector<progress> seen;
};

class interrupt_load {
public:
	static constexpr unsigned first_msi = 0x40, last_msi = 0xbf;
	static constexpr unsigned first_irqfd = 0xc0, last_irqfd = 0xdf;

	explicit interrupt_load(guest_vm &vm, unsigned seed = 1);
	~interrupt_load();

	/* Sends `more` and ends, or goes on until stop(). */
	void start(uint64_t more = UINT64_MAX);
	void stop();
	/* Waits until what start() was told is sent. */
	void finish();

	uint64_t sent() const { return total; }
	uint64_t sent(unsigned index, unsigned vector) const { return counts[index][vector]; }

private:
	void loop();

	guest_vm &vm;
	uint64_t todo = 0;
	std::mt19937 random;
	std::vector<std::array<uint64_t, nr_vectors>> counts;
	std::atomic<uint64_t> total = 0;
	std::atomic<bool> stopping = false;
	std::atomic<bool> finished = false;
	std::string failed_because;
	std::thread thread;
};

/* Waits until no running vCPU has a vector pending, in service or underway. */
void wait_idle(guest_vm &vm);

} // namespace corbel::selftest
