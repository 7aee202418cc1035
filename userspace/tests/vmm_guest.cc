// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a guest is made of: images, memory, and what it is shown of the CPU.
#include "result.hh"

#include <vmm/boot.hh>
#include <vmm/cpu_policy.hh>
#include <vmm/vcpu_state.hh>

#include <asm/bootparam.h>
#include <elf.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <random>

namespace {

using namespace corbel;
using namespace corbel::vmm;
using corbel::test::error_of;
using corbel::test::must;

constexpr std::uint64_t mib = 1 << 20;

/* ---- its vCPU ---------------------------------------------------------------------- */

/* What KVM injected last is not part of what waits for the guest. */
TEST(vmm_state, has_the_digest_of_events_that_wait)
{
	VcpuState none{}, leftover{};

	leftover.events.exception.nr = 14;
	leftover.events.exception.has_error_code = 1;
	leftover.events.exception.error_code = 2;
	leftover.events.exception_payload = 77;
	leftover.events.interrupt.nr = 0x30;
	EXPECT_EQ(leftover.digest(Part::events), none.digest(Part::events));
	for (auto *const flag :
	     {&leftover.events.exception.injected, &leftover.events.exception.pending,
	      &leftover.events.interrupt.injected}) {
		auto other = leftover;
		const auto at = reinterpret_cast<std::byte *>(flag) -
				reinterpret_cast<std::byte *>(&leftover);

		reinterpret_cast<std::byte *>(&other)[at] = std::byte{1};
		EXPECT_NE(other.digest(Part::events), none.digest(Part::events));
		other.events.exception.nr = 6;
		other.events.interrupt.nr = 0x31;
		auto third = other;
		third.events.exception.nr = 14;
		third.events.interrupt.nr = 0x30;
		EXPECT_NE(third.digest(Part::events), other.digest(Part::events));
	}
	auto shadowed = none;
	shadowed.events.interrupt.shadow = 1;
	EXPECT_NE(shadowed.digest(Part::events), none.digest(Part::events));
}

/* ---- memory ------------------------------------------------------------------------ */

TEST(vmm_memory, has_only_so_much)
{
	auto memory = must(GuestMemory::create(16 * mib));

	EXPECT_EQ(memory.readable(16 * mib - 4, 4).size(), 4U);
	EXPECT_TRUE(memory.readable(16 * mib - 4, 5).empty());
	EXPECT_TRUE(memory.writable(~std::uint64_t{0}, 2).empty());
	EXPECT_TRUE(memory.readable(8, ~std::uint64_t{0}).empty());
	for (const std::uint64_t bytes : {std::uint64_t{0}, 16 * mib + 1, 4096 * mib})
		EXPECT_EQ(error_of(GuestMemory::create(bytes)), EINVAL);
}

TEST(vmm_memory, knows_what_changed_besides_what_its_digest_has_seen)
{
	auto memory = must(GuestMemory::create(16 * mib));
	const std::uint64_t by_guest[] = {1 << 5};

	(void)memory.writable(3 * page_bytes - 1, 2);
	memory.note_written(by_guest);
	(void)memory.digest();
	EXPECT_TRUE(memory.written_pages().empty());
	EXPECT_EQ(memory.changed_pages(), (std::vector<std::uint64_t>{2, 3, 5}));
	memory.forget_changed();
	EXPECT_TRUE(memory.changed_pages().empty());
}

TEST(vmm_memory, has_the_digest_of_what_is_in_it)
{
	auto one = must(GuestMemory::create(16 * mib)), other = must(GuestMemory::create(16 * mib));
	const auto put = [](GuestMemory &memory, std::uint64_t at, char value) {
		memory.writable(at, 1)[0] = static_cast<std::byte>(value);
	};
	const auto empty = one.digest();

	put(one, 5000, 'a');
	put(one, 9 * mib, 'b');
	(void)one.digest();
	put(one, 5000, 'c');
	put(other, 9 * mib, 'b');
	put(other, 5000, 'c');
	EXPECT_EQ(one.digest(), other.digest());
	put(other, 5000, 'd');
	EXPECT_NE(one.digest(), other.digest());
	put(one, 5000, 0);
	put(one, 9 * mib, 0);
	EXPECT_EQ(one.digest(), empty) << "a page of zeros is as one never touched";
	EXPECT_TRUE(one.written_pages().empty());
	EXPECT_EQ(one.writable(4095, 2).size(), 2U);
	EXPECT_EQ(one.written_pages(), (std::vector<std::uint64_t>{0, 1}));
}

/* ---- images ------------------------------------------------------------------------ */

std::string some_bzimage(std::size_t kernel)
{
	std::string image(5 * 512, '\0');
	setup_header header{};

	header.header = 0x53726448;
	header.version = 0x20f;
	header.xloadflags = XLF_KERNEL_64;
	header.cmdline_size = 2047;
	header.setup_sects = 4;
	header.init_size = 1 * mib;
	std::memcpy(image.data() + offsetof(boot_params, hdr), &header, sizeof(header));
	return image + std::string(kernel, 'K');
}

TEST(vmm_boot, puts_a_kernel_where_its_protocol_says)
{
	auto memory = must(GuestMemory::create(32 * mib));
	const auto entry = must(load_guest(memory, some_bzimage(1000), "initrd", "a=b"));
	const auto at = [&](std::uint64_t where, std::size_t size) {
		const auto bytes = memory.readable(where, size);

		return std::string(reinterpret_cast<const char *>(bytes.data()), size);
	};
	boot_params params;

	EXPECT_EQ(entry.instruction, 0x1000200U);
	EXPECT_EQ(at(0x1000000, 1001), std::string(1000, 'K') + std::string(1, '\0'));
	std::memcpy(&params, memory.readable(entry.argument, sizeof(params)).data(),
		    sizeof(params));
	EXPECT_EQ(at(params.hdr.ramdisk_image, params.hdr.ramdisk_size), "initrd");
	EXPECT_EQ(at(params.hdr.cmd_line_ptr, 4), std::string("a=b\0", 4));
	EXPECT_EQ(params.e820_entries, 2);
	EXPECT_EQ(params.e820_table[1].addr + params.e820_table[1].size, 32 * mib);
}

TEST(vmm_boot, refuses_what_does_not_fit)
{
	auto memory = must(GuestMemory::create(32 * mib));

	for (const auto &[image, initrd, line] :
	     {std::tuple(some_bzimage(20 * mib), std::string(), std::string()),
	      std::tuple(some_bzimage(1000), std::string(20 * mib, 'i'), std::string()),
	      std::tuple(some_bzimage(1000), std::string(), std::string(2047, 'x')),
	      std::tuple(some_bzimage(0), std::string(), std::string()),
	      std::tuple(std::string(), std::string(), std::string()),
	      std::tuple(std::string("\177ELF"), std::string(), std::string())})
		EXPECT_EQ(error_of(load_guest(memory, image, initrd, line)), ENOEXEC);
}

std::string some_elf(std::uint64_t address, std::uint64_t file_size)
{
	Elf64_Ehdr header{};
	Elf64_Phdr part{};

	std::memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_machine = EM_X86_64;
	header.e_phentsize = sizeof(part);
	header.e_phnum = 1;
	header.e_phoff = sizeof(header);
	header.e_entry = address;
	part.p_type = PT_LOAD;
	part.p_offset = sizeof(header) + sizeof(part);
	part.p_filesz = file_size;
	part.p_paddr = address;
	return std::string(reinterpret_cast<char *>(&header), sizeof(header)) +
	       std::string(reinterpret_cast<char *>(&part), sizeof(part)) + "code";
}

TEST(vmm_boot, loads_elf_by_its_segments)
{
	auto memory = must(GuestMemory::create(16 * mib));

	EXPECT_EQ(must(load_guest(memory, some_elf(2 * mib, 4), "", "")).instruction, 2 * mib);
	EXPECT_EQ(std::memcmp(memory.readable(2 * mib, 4).data(), "code", 4), 0);
	EXPECT_EQ(error_of(load_guest(memory, some_elf(2 * mib, 5), "", "")), ENOEXEC);
	EXPECT_EQ(error_of(load_guest(memory, some_elf(0x9000, 4), "", "")), ENOEXEC);
	EXPECT_EQ(error_of(load_guest(memory, some_elf(16 * mib - 3, 4), "", "")), EFBIG);
	EXPECT_EQ(error_of(load_guest(memory, some_elf(~std::uint64_t{1}, 4), "", "")), EFBIG);
	EXPECT_EQ(error_of(load_guest(memory, some_elf(2 * mib, 4), "x", "")), ENOEXEC);
}

TEST(vmm_boot, survives_headers_of_anything)
{
	auto memory = must(GuestMemory::create(32 * mib));
	std::mt19937_64 random(1);

	for (unsigned round = 0; round < 2000; round++) {
		auto image = round % 2 ? some_bzimage(5000) : some_elf(2 * mib, 4);

		for (unsigned i = 0; i < 1 + round % 8; i++)
			image[random() % std::min<std::size_t>(image.size(), 700)] =
				static_cast<char>(random());
		image.resize(random() % (image.size() + 1));
		(void)load_guest(memory, image, "initrd", "quiet");
	}
}

/* ---- the CPU ----------------------------------------------------------------------- */

/* A CPU that has everything. */
CpuidTable everything()
{
	CpuidTable table;

	for (const std::uint32_t leaf : {0x0U, 0x1U, 0x5U, 0x6U, 0x7U, 0xaU, 0xbU, 0xdU, 0x14U,
					 0x15U, 0x40000000U, 0x40000001U, 0x80000001U, 0x80000007U,
					 0x80000008U, 0x8000000aU, 0x8000001eU, 0x8000001fU}) {
		kvm_cpuid_entry2 entry{};

		entry.function = leaf;
		entry.eax = entry.ebx = entry.ecx = entry.edx = ~0U;
		table.push_back(entry);
	}
	return table;
}

const kvm_cpuid_entry2 *leaf_of(const CpuidTable &table, std::uint32_t leaf)
{
	const auto found = std::ranges::find(table, leaf, &kvm_cpuid_entry2::function);

	return found == table.end() ? nullptr : &*found;
}

TEST(vmm_policy, hides_what_is_not_the_same_twice)
{
	const auto shown = shown_cpuid(everything());

	for (const std::uint32_t leaf : {0x5U, 0x6U, 0xaU, 0xbU, 0xdU, 0x14U, 0x15U, 0x40000000U,
					 0x40000001U, 0x8000000aU, 0x8000001eU, 0x8000001fU})
		EXPECT_EQ(leaf_of(shown, leaf), nullptr) << std::hex << leaf;
	const auto &one = *leaf_of(shown, 1), &seven = *leaf_of(shown, 7),
		   &extended = *leaf_of(shown, 0x80000001);
	/* MONITOR, x2APIC, TSC deadline, XSAVE, OSXSAVE, AVX, RDRAND, hypervisor */
	for (const unsigned bit : {3U, 21U, 24U, 26U, 27U, 28U, 30U, 31U})
		EXPECT_FALSE(one.ecx >> bit & 1) << bit;
	EXPECT_FALSE(one.edx >> 9 & 1) << "APIC";
	EXPECT_EQ(one.ebx, 0xff00U);
	/* TSC_ADJUST, HLE, RTM, RDSEED */
	for (const unsigned bit : {1U, 4U, 11U, 18U})
		EXPECT_FALSE(seven.ebx >> bit & 1) << bit;
	EXPECT_EQ(seven.ecx, 0U) << "RDPID, TPAUSE";
	EXPECT_FALSE(extended.edx >> 27 & 1) << "RDTSCP";
	/* SVM, IBS, performance counters, MWAITX */
	for (const unsigned bit : {2U, 10U, 23U, 24U, 28U, 29U})
		EXPECT_FALSE(extended.ecx >> bit & 1) << bit;
	EXPECT_FALSE(leaf_of(shown, 0x80000008)->ebx >> 4 & 1) << "RDPRU";
	EXPECT_EQ(leaf_of(shown, 0x80000007)->edx, 1U << 8) << "a TSC of constant rate, alone";
	EXPECT_TRUE(one.edx >> 4 & 1) << "there is a TSC";
	EXPECT_TRUE(one.edx >> 24 & 1 && one.edx >> 26 & 1) << "FXSR and SSE2 are shown";
}

TEST(vmm_policy, traps_clocks_and_counters)
{
	using Answer = TrappedMsrs::Answer;

	ASSERT_NE(trap_of(0x10), nullptr);
	EXPECT_EQ(trap_of(0x10)->answer, Answer::time);
	for (const std::uint32_t msr :
	     {0x11U, 0x12U, 0x3bU, 0xc1U, 0xe7U, 0xe8U, 0x6e0U, 0x4b564d00U, 0x4b564d01U,
	      0x4b564d04U, 0xc0010000U, 0xc0010207U}) {
		ASSERT_NE(trap_of(msr), nullptr) << std::hex << msr;
		EXPECT_EQ(trap_of(msr)->answer, Answer::fault);
	}
	for (const std::uint32_t msr : {0x1bU, 0x277U, 0xc0000080U, 0xc0000102U})
		EXPECT_EQ(trap_of(msr), nullptr) << std::hex << msr;
	for (const auto &range : trapped_msrs())
		EXPECT_LE(range.count, 256U) << "as many as the filter's bitmap has";
	for (const auto msr : kept_msrs())
		EXPECT_EQ(trap_of(msr), nullptr);
}

TEST(vmm_policy, says_why_of_each_line)
{
	for (const auto &line : hidden_leaves())
		EXPECT_FALSE(line.why.empty());
	for (const auto &line : masked_bits())
		EXPECT_FALSE(line.why.empty());
	for (const auto &line : trapped_msrs())
		EXPECT_FALSE(line.why.empty());
}

TEST(vmm_policy, names_what_another_cpu_has_otherwise)
{
	const auto here = shown_cpuid(everything());
	auto other = here;

	EXPECT_TRUE(same_cpuid(here, here));
	other[1].ecx ^= 1 << 25;
	const auto refused = same_cpuid(here, other);
	ASSERT_FALSE(refused);
	EXPECT_NE(refused.error().sentence.find("leaf 0x1 ECX"), std::string::npos);
	other = here;
	other.pop_back();
	EXPECT_NE(same_cpuid(here, other).error().sentence.find("is not there here"),
		  std::string::npos);
	EXPECT_NE(same_cpuid(other, here).error().sentence.find("only here"), std::string::npos);
}

} /* namespace */
