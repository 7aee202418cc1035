// SPDX-License-Identifier: GPL-2.0
/*
 * offsets.c - member offsets of structs that the packaged kernel headers
 * declare, for logic that reads them on a hot path. Compiled to assembly only;
 * kbuild turns it into generated_offsets.h. Private structs are not here: their
 * offsets come from the running kernel's BTF.
 */
#include <linux/fs.h>
#include <linux/kbuild.h>
#include <linux/kvm_host.h>

int main(void);
int main(void)
{
	OFFSET(CORBEL_OFF_VCPU_LAPIC, kvm_vcpu, arch.apic);
	OFFSET(CORBEL_OFF_VCPU_KVM, kvm_vcpu, kvm);
	OFFSET(CORBEL_OFF_VCPU_IDX, kvm_vcpu, vcpu_idx);
	OFFSET(CORBEL_OFF_IRQ_VECTOR, kvm_lapic_irq, vector);
	OFFSET(CORBEL_OFF_IRQ_DELIVERY_MODE, kvm_lapic_irq, delivery_mode);
	OFFSET(CORBEL_OFF_IRQ_LEVEL, kvm_lapic_irq, level);
	OFFSET(CORBEL_OFF_IRQ_SHORTHAND, kvm_lapic_irq, shorthand);
	OFFSET(CORBEL_OFF_IRQ_REDIR_HINT, kvm_lapic_irq, msi_redir_hint);
	OFFSET(CORBEL_OFF_VCPU_WANTS_TO_RUN, kvm_vcpu, wants_to_run);
	OFFSET(CORBEL_OFF_FILE_PRIVATE_DATA, file, private_data);
	return 0;
}
