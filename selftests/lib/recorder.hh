/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recorder of corbel_replay with its area mapped, and guests that are made to be recorded.
 */
#pragma once

#include "device.hh"
#include "memory_object.hh"
#include "vm.hh"

#include <corbel/replay.h>

#include <optional>

namespace corbel::selftest {

/* The descriptor, or a negative error number. */
int try_enrol(int device, int vcpu_fd, unsigned entries, __u64 *bytes = nullptr);

/* CLOCK_MONOTONIC. */
uint64_t monotonic_ns();

/*
 * Is it of the CPU's own counter, as the host had it at @before? Ours is small: its time begins
 * when a recording does. KVM lets a guest's lag behind where the counters of the host's CPUs
 * are not in step.
 */
inline bool is_own_counter(uint64_t value, uint64_t before)
{
	return value > before / 2;
}

class recorder {
public:
	static constexpr unsigned usual_entries = 4096;

	/* Fails the case if it is refused. */
	recorder(int device, int vcpu_fd, unsigned entries = usual_entries);
	recorder(const recorder &) = delete;

	int fd() const { return descriptor.get(); }
	/* The mapping stays. */
	void close() { descriptor.reset(); }

	volatile corbel_replay_area &area() const
	{
		return *reinterpret_cast<volatile corbel_replay_area *>(map->bytes());
	}
	volatile corbel_replay_entry *log() const
	{
		return reinterpret_cast<volatile corbel_replay_entry *>(map->bytes() +
									area().log_offset);
	}

	/* From the beginning of the log, with time beginning now. */
	void begin(uint32_t mode, uint64_t end = usual_entries) const;

	std::vector<corbel_replay_entry> entries() const;

private:
	unique_fd descriptor;
	std::optional<mapped> map;
};

/*
 * A VM of one vCPU and without interrupts, as a recording monitor has it, at the beginning of a
 * function of ours; run in the caller's thread.
 */
class recorded_vm {
public:
	recorded_vm(int device, void (*entry)(guest_cpu *),
		    unsigned entries = recorder::usual_entries);

	/* At the beginning of the function, with memory as at first. */
	void restart();
	/* Until a port is written to; fails the case if KVM_RUN ends for another reason. */
	void run_to_port();
	/* Until something is up to us; kvm_run.exit_reason. */
	uint32_t run() { return vm.at(0).run_to_exit(); }

	vcpu &cpu() { return vm.at(0); }
	guest_cpu &memory() { return vm.memory(0); }

	guest_vm vm{1, 0, irqchip::none};
	recorder log;

private:
	void (*entry)(guest_cpu *);
};

std::string exit_name(uint32_t reason);

} // namespace corbel::selftest
