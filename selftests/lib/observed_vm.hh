/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A test VM with the observer on it, and what must hold at any quiet moment.
 */
#pragma once

#include "device.hh"
#include "load.hh"
#include "module.hh"

namespace corbel::selftest {

/* First member of observed_vm: the modules are there before the VM is. */
struct modules_present {
	modules_present() { ensure_corbel(); }
};

struct observed_vm {
	explicit observed_vm(unsigned vcpus = 2, unsigned max_vcpus = 0) : vm(vcpus, max_vcpus)
	{
		attachment = attach(device.get(), vm.fd());
		irq = open_irq(attachment.get());
	}

	corbel_irq_vcpu read(unsigned index, unsigned flags = 0) const
	{
		return irq_vcpu(irq.get(), index, flags);
	}

	modules_present modules;
	guest_vm vm;
	unique_fd device = connect_device();
	unique_fd attachment;
	unique_fd irq;
};

/*
 * Waits until the record and the IRR are read while nothing is underway, then
 * checks for every vCPU that they are equal and that the status bit tells
 * whether they are empty.
 */
void check_record_is_irr(int irq, unsigned vcpus);

/* The same against the IRR as KVM_GET_LAPIC gives it; parks the vCPU. */
void check_record_is_lapic(observed_vm &observed, unsigned index);

/*
 * The ledger of each vector of each vCPU is balanced: accepted + restored =
 * injected - extint + coalesced + dropped + pending. Only while all is quiet.
 */
void check_ledger(int irq, unsigned vcpus);

} // namespace corbel::selftest
