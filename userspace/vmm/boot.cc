// SPDX-License-Identifier: GPL-2.0-or-later
#include "boot.hh"

#include <asm/bootparam.h>
#include <elf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace corbel::vmm {

namespace {

/* Where things are, all below the first MiB but for the kernel and the initrd. */
constexpr std::uint64_t descriptors = 0x500, page_tables = 0x9000, parameters = 0x10000,
			command_line_at = 0x20000, stack = 0x80000, low_end = 0x9fc00,
			high_start = 0x100000, kernel_at = 0x1000000, entry_offset = 0x200;
constexpr std::size_t command_line_room = 2048;

/* __BOOT_CS and __BOOT_DS of the protocol. */
constexpr std::uint16_t code_selector = 0x10, data_selector = 0x18;

Result<void> put(GuestMemory &memory, std::uint64_t at, std::string_view bytes, const char *what)
{
	if (bytes.empty())
		return {};
	const auto room = memory.writable(at, bytes.size());

	if (room.empty())
		return failure(EFBIG,
			       fmt::format("The {} of {} bytes does not fit into the guest's "
					   "{} MiB at {:#x}: give it more with --memory.",
					   what, bytes.size(), memory.size() >> 20, at));
	std::memcpy(room.data(), bytes.data(), bytes.size());
	return {};
}

template <typename T>
T object_at(std::string_view image, std::size_t at)
{
	T object{};

	if (at <= image.size() && image.size() - at >= sizeof(T))
		std::memcpy(&object, image.data() + at, sizeof(T));
	return object;
}

std::unexpected<Error> not_bootable(std::string_view why)
{
	return failure(ENOEXEC, fmt::format("The kernel image cannot be booted: {}", why));
}

} /* namespace */

Result<Entry> load_linux(GuestMemory &memory, std::string_view image, std::string_view initrd,
			 std::string_view command_line)
{
	constexpr std::size_t header_at = offsetof(boot_params, hdr);
	const auto header = object_at<setup_header>(image, header_at);
	constexpr std::uint32_t magic = 0x53726448; /* HdrS */

	if (header.header != magic)
		return not_bootable("it is neither a bzImage nor an ELF file.");
	if (header.version < 0x20c || !(header.xloadflags & XLF_KERNEL_64))
		return not_bootable("it has no 64-bit entry (protocol 2.12, XLF_KERNEL_64).");
	if (command_line.size() >= std::min<std::size_t>(header.cmdline_size, command_line_room))
		return not_bootable(fmt::format(
			"it takes command lines of at most {} bytes.",
			std::min<std::size_t>(header.cmdline_size, command_line_room - 1)));
	const std::size_t setup = (header.setup_sects ? header.setup_sects + 1U : 5U) * 512;

	if (setup >= image.size())
		return not_bootable("it ends within its setup code.");
	/* It unpacks itself there, and says how much room that takes. */
	if (kernel_at + std::max<std::uint64_t>(header.init_size, image.size()) + initrd.size() +
		    page_bytes >
	    memory.size())
		return not_bootable(
			fmt::format("with its initrd it needs {} MiB of memory, and the "
				    "guest has {}: see --memory.",
				    ((kernel_at + header.init_size + initrd.size()) >> 20) + 1,
				    memory.size() >> 20));
	const auto initrd_at = (memory.size() - initrd.size()) & ~(page_bytes - 1);
	boot_params params{};

	params.hdr = header;
	params.hdr.type_of_loader = 0xff;
	params.hdr.loadflags |= LOADED_HIGH;
	params.hdr.cmd_line_ptr = command_line_at;
	params.hdr.ramdisk_image = static_cast<std::uint32_t>(initrd.empty() ? 0 : initrd_at);
	params.hdr.ramdisk_size = static_cast<std::uint32_t>(initrd.size());
	params.e820_entries = 2;
	params.e820_table[0] = {0, low_end, 1};
	params.e820_table[1] = {high_start, memory.size() - high_start, 1};
	CORBEL_EXPECT(put(memory, parameters,
			  {reinterpret_cast<const char *>(&params), sizeof(params)},
			  "table of parameters"));
	CORBEL_EXPECT(put(memory, command_line_at, command_line, "command line"));
	CORBEL_EXPECT(put(memory, kernel_at, image.substr(setup), "kernel"));
	CORBEL_EXPECT(put(memory, initrd_at, initrd, "initrd"));
	return Entry{kernel_at + entry_offset, parameters};
}

Result<Entry> load_elf(GuestMemory &memory, std::string_view image)
{
	const auto header = object_at<Elf64_Ehdr>(image, 0);

	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
	    header.e_phentsize != sizeof(Elf64_Phdr))
		return not_bootable("it is an ELF file, but not a 64-bit one for x86-64.");
	for (unsigned i = 0; i < header.e_phnum; i++) {
		const auto part =
			object_at<Elf64_Phdr>(image, header.e_phoff + i * sizeof(Elf64_Phdr));

		if (part.p_type != PT_LOAD)
			continue;
		if (part.p_offset > image.size() || part.p_filesz > image.size() - part.p_offset)
			return not_bootable("it ends within a segment.");
		if (part.p_paddr < high_start)
			return not_bootable("a segment is below 1 MiB, where its page tables go.");
		CORBEL_EXPECT(put(memory, part.p_paddr, image.substr(part.p_offset, part.p_filesz),
				  "segment"));
	}
	return Entry{header.e_entry, 0};
}

Result<Entry> load_guest(GuestMemory &memory, std::string_view image, std::string_view initrd,
			 std::string_view command_line)
{
	if (!image.starts_with(ELFMAG))
		return load_linux(memory, image, initrd, command_line);
	if (!initrd.empty())
		return not_bootable("an ELF image takes no initrd.");
	return load_elf(memory, image);
}

void enter_long_mode(GuestMemory &memory, const Entry &entry, kvm_regs &regs, kvm_sregs &sregs)
{
	constexpr std::uint64_t present_writable = 3, large = 0x80, segments = 4;
	/* Memory has at least 16 MiB, so all of this is there. */
	const auto words = [&](std::uint64_t at, std::size_t count) {
		return reinterpret_cast<std::uint64_t *>(memory.writable(at, count * 8).data());
	};
	auto *const top = words(page_tables, 512);
	auto *const directories = words(page_tables + page_bytes, 512);
	auto *const table = words(descriptors, segments);
	kvm_segment code{}, data{};

	top[0] = (page_tables + page_bytes) | present_writable;
	for (unsigned i = 0; i < 4; i++) {
		const auto at = page_tables + (2 + i) * page_bytes;
		auto *const directory = words(at, 512);

		directories[i] = at | present_writable;
		for (std::uint64_t j = 0; j < 512; j++)
			directory[j] = (i * 512 + j) << 21 | large | present_writable;
	}
	table[code_selector / 8] = 0x00af9b000000ffff;
	table[data_selector / 8] = 0x00cf93000000ffff;

	code.limit = data.limit = ~0U;
	code.selector = code_selector;
	data.selector = data_selector;
	code.type = 0xb;
	data.type = 3;
	code.present = data.present = code.s = data.s = code.g = data.g = 1;
	code.l = 1;
	data.db = 1;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = descriptors;
	sregs.gdt.limit = segments * 8 - 1;
	sregs.cr3 = page_tables;
	sregs.cr4 = 0x620; /* PAE, FXSR, SSE exceptions */
	sregs.cr0 = 0x80050033; /* paging, protection, FPU errors by exceptions */
	sregs.efer = 0x500; /* long mode, active */
	regs = {};
	regs.rip = entry.instruction;
	regs.rsi = entry.argument;
	regs.rsp = stack;
	regs.rflags = 2;
}

} /* namespace corbel::vmm */
