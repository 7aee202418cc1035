/* SPDX-License-Identifier: GPL-2.0 */
/*
 * recorder.hh - a vCPU whose reads of the time stamp counter are ours, and finding it.
 *
 * DOC: the life of a recorder
 *
 *	enrolled --> closing --> gone
 *
 * Enrolled: it is in the buckets; hooks on the vCPU's thread use it at each VM entry and exit.
 *
 * Closing: its descriptor and mappings are gone, but the vCPU may be running, with the
 * interception in its hardware's control. It goes when either nobody is in an ioctl of the vCPU,
 * which is found by taking the vCPU's mutex and takes the interception back at once; or the vCPU
 * has passed a VM entry, where its own thread does so (`disarmed`). Both exclude that its thread
 * is anywhere in our part of an exit: there it has the mutex, and comes from an entry at which
 * it was not disarmed. A thread that is in KVM_RUN and does not enter for long (halted, or
 * waiting for memory) is waited for by the reaper, not by who closes.
 *
 * Gone: out of the buckets, a grace period has passed, freed. With the last one the hooks go.
 */
#pragma once

#include "../compat/guest_tsc.h"
#include "../rt/intrusive_list.hh"
#include "../rt/memory.hh"
#include "../rt/result.hh"
#include "answer.hh"

struct module;

extern "C" {

/* hooks.S, which calls what stands at the end of recorder.cc. */
void corbel_replay_exit_hook(void);
/* Probe of kvm_entry. */
void corbel_replay_entry_probe(void *, kvm_vcpu *vcpu, bool force_immediate_exit);

} /* extern "C" */

namespace corbel::replay {

using rt::Error;
using rt::Result;

class Recorder {
public:
	/* What an area with a log of @entries takes. */
	static u64 area_bytes(u32 entries);

	/* Task, for both. The second waits for nothing; the recorder is not to be used after it. */
	static Result<Recorder *> enrol(s32 vcpu_fd, u32 entries);
	static void close(Recorder *recorder);

	static Result<void> init_all(module *module);
	/* There are no recorders any more. */
	static void exit_all();

	/* Use enrol() and close(). */
	Recorder() = default;
	~Recorder();

	[[nodiscard]] u64 bytes() const { return area_bytes(entries_); }
	/* Of bytes(). */
	[[nodiscard]] void *memory() { return memory_.get(); }

	/* ---- the vCPU's thread -------------------------------------------------------- */

	[[nodiscard]] static Recorder *find(const kvm_vcpu *vcpu);
	void enter();
	[[nodiscard]] bool takes_exit();
	[[nodiscard]] int handle_exit();

private:
	static bool let_go();
	static void reap(void *);
	/* Holding the lock of all, as those below. */
	static Result<void> install();
	static void remove_hooks();
	void link();
	void unlink();
	/* Nobody is in it, and its vCPU's hardware is as it was. */
	bool can_go();

	int answer();

	kvm_vcpu *vcpu_{};
	file *file_{};
	/* In its bucket. */
	rt::Atomic<Recorder *> next_{};
	rt::ListHook hook_;
	rt::Pages memory_;
	corbel_replay_area *area_{};
	u32 entries_{};
	rt::Atomic<bool> closing_{};
	rt::Atomic<bool> disarmed_{};

	/* The vCPU's thread's alone. */
	Answers answers_;
	bool armed_{};
	u32 kind_{};
	u64 times_armed_{};
	u64 times_entered_{};

	/* Names hook_. */
	friend struct Recorders;
};

} /* namespace corbel::replay */
