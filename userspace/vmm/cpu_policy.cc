// SPDX-License-Identifier: GPL-2.0-or-later
#include "cpu_policy.hh"

#include <algorithm>
#include <cerrno>
#include <string>

#include <fmt/format.h>

namespace corbel::vmm {

namespace {

constexpr std::uint32_t all = ~std::uint32_t{0};

constexpr std::uint32_t bits(std::same_as<int> auto... numbers)
{
	return (std::uint32_t{0} | ... | (1U << numbers));
}

constexpr HiddenLeaves leaves[] = {
	{0x5, 0x6, "MONITOR and thermal sensors: what they give is the host's"},
	{0xa, 0xb, "counters of the host's CPU, and its topology"},
	{0xd, 0xd, "XSAVE, whose area depends on when the host last switched away"},
	{0xf, 0x10, "resource monitoring: readings of the host's"},
	{0x12, 0x12, "SGX brings random numbers of its own"},
	{0x14, 0x16, "processor trace, and frequencies other than the guest's 1 GHz"},
	{0x1f, 0x1f, "topology of the host"},
	{0x40000000, 0x4fffffff,
	 "KVM's clock, stolen time and asynchronous page faults are written "
	 "to memory by the host when it likes"},
	{0x8000000a, 0x8000000a, "SVM: no guests in the guest"},
	{0x8000001b, 0x8000001c, "sampling and profiling by the host's clock"},
	{0x8000001e, 0x80000fff, "topology of the host, and memory encryption"},
};

constexpr MaskedBits masked[] = {
	{0x1, Output::ebx, 0xffff00ff, 0, "number of the host's CPU"},
	{0x1, Output::ecx, bits(3), 0, "MONITOR waits for other CPUs"},
	{0x1, Output::ecx, bits(12, 28, 29), 0, "FMA, AVX and F16C need XSAVE"},
	{0x1, Output::ecx, bits(15), 0, "capabilities of the performance counters"},
	{0x1, Output::ecx, bits(21, 24), 0,
	 "there is no local APIC: its timer would interrupt anywhere"},
	{0x1, Output::ecx, bits(26, 27), 0,
	 "XSAVE's area depends on when the host last switched away"},
	{0x1, Output::ecx, bits(30), 0, "RDRAND cannot be intercepted by SVM"},
	{0x1, Output::ecx, bits(31), 0, "a guest that knows of KVM uses its clock"},
	{0x1, Output::edx, bits(7, 14), 0, "machine checks are the host's"},
	{0x1, Output::edx, bits(9), 0, "there is no local APIC"},
	{0x1, Output::edx, bits(12), 0, "MTRRs are not kept"},
	{0x7, Output::eax, all, 0, "of the leaf's further parts none is shown"},
	{0x7, Output::ebx, bits(1), 0, "TSC_ADJUST moves the counter past its recording"},
	{0x7, Output::ebx, bits(4, 11), 0, "transactions abort whenever the host interrupts"},
	{0x7, Output::ebx, bits(12, 15, 25), 0, "resource monitoring and processor trace"},
	{0x7, Output::ebx, bits(5, 16, 17, 21, 26, 27, 28, 30, 31), 0,
	 "AVX2 and AVX-512 need XSAVE"},
	{0x7, Output::ebx, bits(18), 0, "RDSEED cannot be intercepted by SVM"},
	{0x7, Output::ecx, all, 0, "RDPID and TPAUSE, and what needs XSAVE"},
	{0x7, Output::edx, all, 0, "what a host's microcode adds"},
	{0x80000001, Output::ecx, bits(2), 0, "SVM: no guests in the guest"},
	{0x80000001, Output::ecx, bits(3, 22), 0, "there is no APIC, and no topology"},
	{0x80000001, Output::ecx, bits(10), 0, "instruction-based sampling by the host's clock"},
	{0x80000001, Output::ecx, bits(11, 15, 16), 0, "XOP, LWP and FMA4 need XSAVE"},
	{0x80000001, Output::ecx, bits(23, 24, 28), 0, "performance counters"},
	{0x80000001, Output::ecx, bits(29), 0, "MWAITX waits for a time"},
	{0x80000001, Output::edx, bits(7, 14), 0, "machine checks are the host's"},
	{0x80000001, Output::edx, bits(9, 12), 0, "there is no local APIC, and no MTRRs"},
	{0x80000001, Output::edx, bits(27), 0, "RDTSCP tells the host's CPU, too"},
	{0x80000007, Output::eax, all, 0, "no RAS"},
	{0x80000007, Output::ebx, all, 0, "no RAS"},
	{0x80000007, Output::ecx, all, 0, "no power sensors"},
	{0x80000007, Output::edx, all, bits(8), "no power management, and a TSC of constant rate"},
	{0x80000008, Output::ebx, all, 0, "RDPRU reads the host's counters"},
	{0x80000008, Output::ecx, all, 0, "number of the host's CPUs"},
};

using Answer = TrappedMsrs::Answer;

constexpr TrappedMsrs trapped[] = {
	{0x10, 1, Answer::time, "the counter: what RDMSR gives has to be what RDTSC gives"},
	{0x11, 2, Answer::fault, "KVM's clock (old numbers): the host would write to memory"},
	{0x3b, 1, Answer::fault, "TSC_ADJUST"},
	{0xc1, 8, Answer::fault, "performance counters (Intel)"},
	{0xe7, 2, Answer::fault, "MPERF and APERF count what the host's CPU does"},
	{0x186, 8, Answer::fault, "performance counters (Intel)"},
	{0x309, 3, Answer::fault, "performance counters (Intel)"},
	{0x38d, 4, Answer::fault, "performance counters (Intel)"},
	{0x4c1, 8, Answer::fault, "performance counters (Intel)"},
	{0x6e0, 1, Answer::fault, "the deadline of a local APIC that is not there"},
	{0x4b564d00, 256, Answer::fault,
	 "KVM's clock, stolen time, page faults, end of interrupts"},
	{0xc0000104, 1, Answer::fault, "the ratio of the counter"},
	{0xc0010000, 8, Answer::fault, "performance counters (AMD)"},
	{0xc0010200, 12, Answer::fault, "performance counters (AMD)"},
};

constexpr std::uint32_t kept[] = {
	0x174,	    0x175,	0x176, /* SYSENTER */
	0x1a0, /* MISC_ENABLE */
	0x277, /* PAT */
	0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, /* SYSCALL */
	0xc0000102, /* KERNEL_GS_BASE; FS, GS and EFER are with the segments */
};

std::uint32_t &output_of(kvm_cpuid_entry2 &entry, Output output)
{
	switch (output) {
	case Output::eax:
		return entry.eax;
	case Output::ebx:
		return entry.ebx;
	case Output::ecx:
		return entry.ecx;
	default:
		return entry.edx;
	}
}

std::string leaf_name(const kvm_cpuid_entry2 &entry)
{
	return entry.index ? fmt::format("{:#x}.{}", entry.function, entry.index)
			   : fmt::format("{:#x}", entry.function);
}

void tell_difference(std::string &what, const kvm_cpuid_entry2 &recorded,
		     const kvm_cpuid_entry2 &here)
{
	const auto tell = [&](std::string_view name, std::uint32_t was, std::uint32_t is) {
		if (was != is)
			what += fmt::format("{}leaf {} {} was {:#010x} and is {:#010x} here",
					    what.empty() ? "" : "; ", leaf_name(recorded), name,
					    was, is);
	};

	tell("EAX", recorded.eax, here.eax);
	tell("EBX", recorded.ebx, here.ebx);
	tell("ECX", recorded.ecx, here.ecx);
	tell("EDX", recorded.edx, here.edx);
}

} /* namespace */

std::span<const HiddenLeaves> hidden_leaves()
{
	return leaves;
}

std::span<const MaskedBits> masked_bits()
{
	return masked;
}

std::span<const TrappedMsrs> trapped_msrs()
{
	return trapped;
}

std::span<const std::uint32_t> kept_msrs()
{
	return kept;
}

CpuidTable shown_cpuid(std::span<const kvm_cpuid_entry2> offered)
{
	CpuidTable shown;

	for (kvm_cpuid_entry2 entry : offered) {
		const auto hides = [&](const HiddenLeaves &range) {
			return entry.function >= range.first && entry.function <= range.last;
		};

		if (std::ranges::any_of(leaves, hides) || (entry.function == 7 && entry.index))
			continue;
		for (const auto &rule : masked)
			if (rule.leaf == entry.function) {
				auto &output = output_of(entry, rule.output);

				output = (output & ~rule.cleared) | rule.set;
			}
		shown.push_back(entry);
	}
	return shown;
}

Result<void> same_cpuid(const CpuidTable &recorded, const CpuidTable &here)
{
	std::string what;
	const auto find = [](const CpuidTable &table, const kvm_cpuid_entry2 &like) {
		return std::ranges::find_if(table, [&](const kvm_cpuid_entry2 &entry) {
			return entry.function == like.function && entry.index == like.index;
		});
	};

	for (const auto &entry : recorded) {
		if (const auto other = find(here, entry); other != here.end())
			tell_difference(what, entry, *other);
		else
			what += fmt::format("{}leaf {} is not there here", what.empty() ? "" : "; ",
					    leaf_name(entry));
	}
	for (const auto &entry : here)
		if (find(recorded, entry) == recorded.end())
			what += fmt::format("{}leaf {} is there only here",
					    what.empty() ? "" : "; ", leaf_name(entry));
	if (!what.empty())
		return failure(EXDEV,
			       fmt::format("The recording is of another CPU than this host's, "
					   "so the guest might not do the same: {}. Replay it "
					   "on a host with the CPU it was made on.",
					   what));
	return {};
}

const TrappedMsrs *trap_of(std::uint32_t msr)
{
	const auto found = std::ranges::find_if(trapped, [&](const TrappedMsrs &range) {
		return msr >= range.first && msr - range.first < range.count;
	});

	return found == std::end(trapped) ? nullptr : found;
}

} /* namespace corbel::vmm */
