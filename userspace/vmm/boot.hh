/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * boot.hh - what a guest starts with: a Linux kernel by its 64-bit boot protocol, or an ELF
 * image for tests. Either is entered in long mode, with the first 4 GiB mapped as they are.
 */
#pragma once

#include "guest_memory.hh"

#include <libcorbel/error.hh>

#include <corbel/kvm_abi.hh>

#include <cstdint>
#include <string>
#include <string_view>

namespace corbel::vmm {

struct Entry {
	std::uint64_t instruction;
	std::uint64_t argument; /* RSI */
};

/* What nobody but a kernel under this monitor needs: there is no ACPI, APIC or BIOS. */
constexpr std::string_view default_command_line =
	"console=ttyS0 quiet nokaslr noapic nolapic acpi=off pci=conf1 tsc=reliable lpj=4000000 "
	"no_timer_check random.trust_cpu=off reboot=t panic=-1 8250.nr_uarts=1 rdinit=/init";

/* @image: a bzImage. */
[[nodiscard]] Result<Entry> load_linux(GuestMemory &memory, std::string_view image,
				       std::string_view initrd, std::string_view command_line);
[[nodiscard]] Result<Entry> load_elf(GuestMemory &memory, std::string_view image);
/* By what it is. */
[[nodiscard]] Result<Entry> load_guest(GuestMemory &memory, std::string_view image,
				       std::string_view initrd, std::string_view command_line);

/* Page tables and descriptors into memory, and the registers that go with them. */
void enter_long_mode(GuestMemory &memory, const Entry &entry, kvm_regs &regs, kvm_sregs &sregs);

} /* namespace corbel::vmm */
