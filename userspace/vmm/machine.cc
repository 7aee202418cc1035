// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine.hh"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include <fmt/format.h>

namespace corbel::vmm {

namespace {

std::unexpected<Error> refused(const char *what)
{
	const int error = errno;

	return failure(error, fmt::format("KVM does not {}: {}.", what, describe_errno(error)));
}

template <typename... Argument>
Result<int> ask(const ScopedFd &fd, const char *what, unsigned long request, Argument... argument)
{
	const int ret = ::ioctl(fd.get(), request, argument...);

	if (ret < 0)
		return refused(what);
	return ret;
}

/* A struct of KVM's that is a count and so many elements. */
template <typename Element, std::size_t N>
struct Counted {
	std::uint32_t count, padding;
	Element elements[N];
};

constexpr std::size_t most_leaves = 256;

Result<CpuidTable> offered_cpuid(const ScopedFd &kvm)
{
	auto table = std::make_unique<Counted<kvm_cpuid_entry2, most_leaves>>();

	table->count = most_leaves;
	CORBEL_EXPECT(ask(kvm, "say what CPUs it has", KVM_GET_SUPPORTED_CPUID, table.get()));
	return CpuidTable(table->elements, table->elements + table->count);
}

Result<void> show_cpuid(const ScopedFd &vcpu, const CpuidTable &shown)
{
	auto table = std::make_unique<Counted<kvm_cpuid_entry2, most_leaves>>();

	table->count = static_cast<std::uint32_t>(shown.size());
	std::ranges::copy(shown, table->elements);
	CORBEL_EXPECT(ask(vcpu, "take the CPU that guests are shown", KVM_SET_CPUID2, table.get()));
	return {};
}

/* Bits that are 0 in the filter are the monitor's to answer. */
Result<void> trap_msrs(const ScopedFd &vm)
{
	static std::uint8_t none[32]; /* as many as the longest range has */
	kvm_enable_cap exits{};
	kvm_msr_filter filter{};
	std::size_t at = 0;

	static_assert(KVM_MSR_FILTER_MAX_RANGES >= 14);
	exits.cap = KVM_CAP_X86_USER_SPACE_MSR;
	exits.args[0] = KVM_MSR_EXIT_REASON_FILTER;
	CORBEL_EXPECT(ask(vm, "let monitors answer for MSRs", KVM_ENABLE_CAP, &exits));
	filter.flags = KVM_MSR_FILTER_DEFAULT_ALLOW;
	for (const auto &range : trapped_msrs())
		filter.ranges[at++] = {KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, range.count,
				       range.first, none};
	CORBEL_EXPECT(ask(vm, "filter MSRs", KVM_X86_SET_MSR_FILTER, &filter));
	return {};
}

/* Of which KVM's list has none. */
constexpr std::array<std::uint32_t, 28> mtrrs{0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206,
					      0x207, 0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d,
					      0x20e, 0x20f, 0x250, 0x258, 0x259, 0x268, 0x269,
					      0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f, 0x2ff};
constexpr std::size_t most_listed_msrs = 1024;

/* Which no guest has that was not given Hyper-V's leaves; some of them are clocks. */
constexpr bool is_hyperv(std::uint32_t msr)
{
	return msr >> 16 == 0x4000;
}

using Msrs = Counted<kvm_msr_entry, VcpuState::most_msrs>;

} /* namespace */

Machine::Machine(GuestMemory memory, ScopedFd kvm, ScopedFd vm, ScopedFd vcpu, Mapping area,
		 CpuidTable cpuid)
	: memory_(std::move(memory)),
	  kvm_(std::move(kvm)),
	  vm_(std::move(vm)),
	  vcpu_(std::move(vcpu)),
	  area_(std::move(area)),
	  cpuid_(std::move(cpuid)),
	  bitmap_((memory_.pages() + 63) / 64)
{}

Result<Machine> Machine::create(std::uint64_t memory_bytes)
{
	auto memory = CORBEL_EXPECT(GuestMemory::create(memory_bytes));
	ScopedFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));

	if (!kvm)
		return failure(errno, fmt::format("/dev/kvm cannot be opened: {}. The module "
						  "kvm_amd or kvm_intel makes it.",
						  describe_errno(errno)));
	ScopedFd vm(CORBEL_EXPECT(ask(kvm, "make a VM", KVM_CREATE_VM, 0)));
	kvm_userspace_memory_region region{};

	region.flags = KVM_MEM_LOG_DIRTY_PAGES;
	region.memory_size = memory.size();
	region.userspace_addr = reinterpret_cast<std::uintptr_t>(memory.base());
	CORBEL_EXPECT(ask(vm, "take the guest's memory", KVM_SET_USER_MEMORY_REGION, &region));
	CORBEL_EXPECT(trap_msrs(vm));
	ScopedFd vcpu(CORBEL_EXPECT(ask(vm, "make a vCPU", KVM_CREATE_VCPU, 0)));
	const auto bytes =
		CORBEL_EXPECT(ask(kvm, "say what a vCPU shares", KVM_GET_VCPU_MMAP_SIZE, 0));
	auto area =
		CORBEL_EXPECT(Mapping::writable(vcpu.get(), 0, static_cast<std::size_t>(bytes)));
	auto cpuid = shown_cpuid(CORBEL_EXPECT(offered_cpuid(kvm)));

	CORBEL_EXPECT(show_cpuid(vcpu, cpuid));
	static_cast<kvm_run *>(area.data())->kvm_valid_regs = KVM_SYNC_X86_REGS;
	return Machine(std::move(memory), std::move(kvm), std::move(vm), std::move(vcpu),
		       std::move(area), std::move(cpuid));
}

std::uint32_t Machine::tsc_khz() const
{
	const int khz = ::ioctl(vcpu_.get(), KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? static_cast<std::uint32_t>(khz) : 1000000;
}

Result<Stop> Machine::run()
{
	if (::ioctl(vcpu_.get(), KVM_RUN, 0) == 0)
		return Stop::exit;
	if (errno != EINTR)
		return refused("run the guest");
	area().immediate_exit = 0;
	return Stop::interrupted;
}

Result<Stop> Machine::settle()
{
	area().immediate_exit = 1;
	const auto stop = run();

	area().immediate_exit = 0;
	return stop;
}

std::byte *Machine::io_data()
{
	return static_cast<std::byte *>(area_.data()) + area().io.data_offset;
}

bool Machine::takes_interrupts()
{
	return area().ready_for_interrupt_injection && area().if_flag;
}

Result<void> Machine::interrupt(std::uint8_t vector)
{
	kvm_interrupt injected{};

	injected.irq = vector;
	CORBEL_EXPECT(ask(vcpu_, "interrupt the guest", KVM_INTERRUPT, &injected));
	return {};
}

/* ---- state ------------------------------------------------------------------------- */

Result<VcpuState> Machine::state() const
{
	constexpr const char *what = "show the vCPU's state";
	Result<VcpuState> state{};
	Msrs msrs{};

	for (const auto index : kept_msrs())
		msrs.elements[msrs.count++].index = index;
	CORBEL_EXPECT(ask(vcpu_, what, KVM_GET_REGS, &state->regs));
	CORBEL_EXPECT(ask(vcpu_, what, KVM_GET_SREGS, &state->sregs));
	CORBEL_EXPECT(ask(vcpu_, what, KVM_GET_XSAVE, state->xsave.data()));
	CORBEL_EXPECT(ask(vcpu_, what, KVM_GET_VCPU_EVENTS, &state->events));
	CORBEL_EXPECT(ask(vcpu_, what, KVM_GET_DEBUGREGS, &state->debug));
	/* It stops at the first that this CPU has not. */
	state->nr_msrs =
		static_cast<std::uint32_t>(CORBEL_EXPECT(ask(vcpu_, what, KVM_GET_MSRS, &msrs)));
	std::ranges::copy(msrs.elements, state->msrs.begin());
	return state;
}

Result<void> Machine::set_state(const VcpuState &state)
{
	constexpr const char *what = "take a vCPU's state";
	Msrs msrs{};

	msrs.count = std::min<std::uint32_t>(state.nr_msrs, VcpuState::most_msrs);
	std::ranges::copy(state.msrs, msrs.elements);
	CORBEL_EXPECT(ask(vcpu_, what, KVM_SET_SREGS, &state.sregs));
	CORBEL_EXPECT(ask(vcpu_, what, KVM_SET_REGS, &state.regs));
	CORBEL_EXPECT(ask(vcpu_, what, KVM_SET_XSAVE, state.xsave.data()));
	if (const auto done = CORBEL_EXPECT(ask(vcpu_, what, KVM_SET_MSRS, &msrs));
	    static_cast<std::uint32_t>(done) < msrs.count)
		return failure(EINVAL,
			       fmt::format("KVM does not take {:#x} for MSR {:#x}.",
					   msrs.elements[done].data, msrs.elements[done].index));
	CORBEL_EXPECT(ask(vcpu_, what, KVM_SET_VCPU_EVENTS, &state.events));
	CORBEL_EXPECT(ask(vcpu_, what, KVM_SET_DEBUGREGS, &state.debug));
	return {};
}

Result<kvm_sregs> Machine::sregs() const
{
	kvm_sregs sregs{};

	CORBEL_EXPECT(ask(vcpu_, "show the vCPU's state", KVM_GET_SREGS, &sregs));
	return sregs;
}

Result<void> Machine::set_start(const kvm_regs &regs, const kvm_sregs &sregs)
{
	CORBEL_EXPECT(ask(vcpu_, "take a vCPU's state", KVM_SET_SREGS, &sregs));
	CORBEL_EXPECT(ask(vcpu_, "take a vCPU's state", KVM_SET_REGS, &regs));
	return {};
}

Result<std::vector<kvm_msr_entry>> Machine::other_msrs() const
{
	auto list = std::make_unique<Counted<std::uint32_t, most_listed_msrs>>();
	std::vector<kvm_msr_entry> found;
	std::vector<std::uint32_t> wanted(mtrrs.begin(), mtrrs.end());

	/* A list of indices has no padding behind its count. */
	list->count = most_listed_msrs;
	CORBEL_EXPECT(ask(kvm_, "say what MSRs it has", KVM_GET_MSR_INDEX_LIST, list.get()));
	wanted.push_back(list->padding);
	wanted.insert(wanted.end(), list->elements, list->elements + list->count - 1);
	for (const auto index : wanted) {
		Counted<kvm_msr_entry, 1> one{1, 0, {{index, 0, 0}}};

		if (trap_of(index) || is_hyperv(index) ||
		    std::ranges::find(kept_msrs(), index) != kept_msrs().end())
			continue;
		/* Some are listed that this CPU has not. */
		if (::ioctl(vcpu_.get(), KVM_GET_MSRS, &one) == 1)
			found.push_back(one.elements[0]);
	}
	return found;
}

/* Most cannot be written, and need not be: they are as they were in any other VM. */
Result<void> Machine::set_other_msrs(std::span<const kvm_msr_entry> msrs)
{
	const auto here = CORBEL_EXPECT(other_msrs());

	for (const auto &msr : msrs) {
		Counted<kvm_msr_entry, 1> one{1, 0, {msr}};
		const auto is_it = [&](const auto &it) { return it.index == msr.index; };
		const auto found = std::ranges::find_if(here, is_it);

		if (found != here.end() && found->data == msr.data)
			continue;
		if (CORBEL_EXPECT(ask(vcpu_, "take a vCPU's state", KVM_SET_MSRS, &one)) != 1)
			return failure(EINVAL, fmt::format("KVM does not take {:#x} for MSR {:#x}.",
							   msr.data, msr.index));
	}
	return {};
}

/*
 * KVM has the CPU forget all translations where it write-protects what was written, and where
 * it is given another address of page tables.
 */
Result<void> Machine::forget_translations()
{
	if (CORBEL_EXPECT(gather_written()))
		return {};
	auto sregs = CORBEL_EXPECT(this->sregs());

	sregs.cr3 ^= page_bytes;
	CORBEL_EXPECT(ask(vcpu_, "take a vCPU's state", KVM_SET_SREGS, &sregs));
	return {};
}

Result<bool> Machine::gather_written()
{
	kvm_dirty_log log{};

	log.dirty_bitmap = bitmap_.data();
	CORBEL_EXPECT(ask(vm_, "say what the guest wrote", KVM_GET_DIRTY_LOG, &log));
	memory_.note_written(bitmap_);
	return std::ranges::any_of(bitmap_, [](std::uint64_t word) { return word != 0; });
}

} /* namespace corbel::vmm */
