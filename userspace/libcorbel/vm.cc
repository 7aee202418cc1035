// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/vm.hh>

#include <libcorbel/ioctl_table.hh>

#include <fmt/format.h>

namespace corbel {

Result<corbel_vm_info> Vm::info() const
{
	corbel_vm_info info{};

	if (int ret = call(fd_.get(), request::vm_info, info); ret < 0)
		return failure(-ret, fmt::format("The state of attachment {} cannot be read: {}.",
						 vm_id_, describe_errno(-ret)));
	return info;
}

Result<void> Vm::set_pin(std::uint32_t flags) const
{
	corbel_vm_pin pin{};

	pin.flags = flags;
	int ret = call(fd_.get(), request::vm_pin, pin);
	if (ret == -ESTALE)
		return failure(ESTALE, "The virtual machine has ended, so its attachment cannot "
				       "be kept any longer.");
	if (ret < 0)
		return failure(-ret,
			       fmt::format("Attachment {} cannot be {}: {}.", vm_id_,
					   flags ? "pinned" : "unpinned", describe_errno(-ret)));
	return {};
}

Result<Irq> Vm::irq() const
{
	corbel_vm_irq irq{};
	int ret = call(fd_.get(), request::vm_irq, irq);

	switch (ret < 0 ? -ret : 0) {
	case 0:
		return Irq(ScopedFd(ret));
	case EOPNOTSUPP:
		return failure(EOPNOTSUPP, "Interrupts can be observed only with corbel_irq.ko, "
					   "which is not loaded: run `modprobe corbel_irq`, or "
					   "`insmod corbel_irq.ko` from a build.");
	case ENODEV:
		return failure(ENODEV, "The virtual machine has no local APIC in the kernel (QEMU: "
				       "kernel-irqchip=off), so there is nothing to observe: "
				       "start it with kernel-irqchip=on or split.");
	case ESTALE:
		return failure(ESTALE, "The virtual machine has ended and was never observed, so "
				       "there are no counts to read.");
	default:
		return failure(-ret, fmt::format("The interrupt observer of attachment {} cannot "
						 "be opened: {}.",
						 vm_id_, describe_errno(-ret)));
	}
}

} /* namespace corbel */
