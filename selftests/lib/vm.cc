// SPDX-License-Identifier: GPL-2.0-or-later
#include "vm.hh"
#include "tap.hh"
#include "wait.hh"

#include <cstring>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

extern "C" const char __executable_start[], _end[];

namespace corbel::selftest {

namespace {

constexpr size_t page = 4096;
constexpr size_t stack_size = 4 * page;

/* The arena: tables first, then what each vCPU has of its own. */
constexpr size_t pml4_at = 0;
constexpr size_t pdpt_at = page;
constexpr size_t directories_at = 2 * page; /* 4 GiB in 2 MiB pages */
constexpr size_t gdt_at = 6 * page;
constexpr size_t idt_at = 7 * page;
constexpr size_t vcpus_at = 8 * page;
constexpr size_t vcpu_size = sizeof(guest_cpu) + stack_size;

constexpr unsigned first_msi_gsi = guest_vm::nr_pins;

uint64_t address(const void *pointer)
{
	return reinterpret_cast<uint64_t>(pointer);
}

} // namespace

guest_vm::guest_vm(unsigned vcpus, unsigned max_vcpus, irqchip controllers)
	: controllers(controllers)
{
	kvm.reset(open("/dev/kvm", O_RDWR | O_CLOEXEC));
	CHECK(kvm, "open /dev/kvm: {}", error_name(errno));
	/* It gives up for whatever the kernel wants of this thread, such as io_uring's last work. */
	int made;
	do {
		made = call(kvm.get(), KVM_CREATE_VM, 0);
	} while (made == -EINTR);
	CHECK(made >= 0, "KVM_CREATE_VM answers {}", error_name(made));
	vm.reset(made);
	map_memory(std::max(vcpus, max_vcpus));
	write_tables();

	KVM_CALL(fd(), KVM_SET_TSS_ADDR, 0xfffbd000);
	if (controllers == irqchip::of_kvm)
		make_irqchip();
	for (unsigned i = 0; i < vcpus; i++)
		add_vcpu();
}

void guest_vm::make_irqchip()
{
	KVM_CALL(fd(), KVM_CREATE_IRQCHIP, 0);
	for (unsigned pin = 0; pin < nr_pins; pin++) {
		kvm_irq_routing_entry route = {};

		route.gsi = pin;
		route.type = KVM_IRQ_ROUTING_IRQCHIP;
		route.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		route.u.irqchip.pin = pin;
		routes.push_back(route);
	}
	set_routes();
}

guest_vm::~guest_vm()
{
	stop();
	cpus.clear();
	vm.reset();
	if (arena)
		munmap(arena, arena_size);
}

void guest_vm::map_memory(unsigned max_vcpus)
{
	const char *image = __executable_start;
	kvm_userspace_memory_region region = {};

	region.slot = 0;
	region.flags = KVM_MEM_READONLY;
	region.guest_phys_addr = region.userspace_addr = address(image) & -page;
	region.memory_size = ((address(_end) + page - 1) & -page) - region.guest_phys_addr;
	KVM_CALL(fd(), KVM_SET_USER_MEMORY_REGION, &region);

	arena_size = vcpus_at + max_vcpus * vcpu_size;
	void *space = mmap(nullptr, arena_size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	CHECK(space != MAP_FAILED, "mapping {} bytes below 2 GiB: {}", arena_size,
	      error_name(errno));
	arena = static_cast<char *>(space);
	slots = 1;
	add_memory(arena, arena_size);
}

unsigned guest_vm::add_memory(void *at, size_t bytes, uint32_t flags)
{
	kvm_userspace_memory_region region = {};

	region.slot = slots++;
	region.flags = flags;
	region.guest_phys_addr = region.userspace_addr = address(at);
	region.memory_size = bytes;
	KVM_CALL(fd(), KVM_SET_USER_MEMORY_REGION, &region);
	return region.slot;
}

std::vector<uint64_t> guest_vm::take_dirty_log(unsigned slot, uint64_t pages) const
{
	std::vector<uint64_t> bits((pages + 63) / 64);
	kvm_dirty_log log = {};

	log.slot = slot;
	log.dirty_bitmap = bits.data();
	KVM_CALL(fd(), KVM_GET_DIRTY_LOG, &log);
	return bits;
}

void guest_vm::write_tables()
{
	auto *pml4 = reinterpret_cast<uint64_t *>(arena + pml4_at);
	auto *pdpt = reinterpret_cast<uint64_t *>(arena + pdpt_at);
	auto *directories = reinterpret_cast<uint64_t *>(arena + directories_at);
	auto *gdt = reinterpret_cast<uint64_t *>(arena + gdt_at);

	pml4[0] = address(pdpt) | 3;
	for (unsigned i = 0; i < 4; i++)
		pdpt[i] = (address(directories) + i * page) | 3;
	for (uint64_t i = 0; i < 4 * 512; i++)
		directories[i] = i << 21 | 0x83;
	gdt[1] = 0x00af9b000000ffff;
	gdt[2] = 0x00cf93000000ffff;
	write_gates(guest_vectors);
}

void guest_vm::write_gates(const char *vectors)
{
	auto *idt = reinterpret_cast<uint64_t *>(arena + idt_at);

	for (unsigned vector = 0; vector < nr_vectors; vector++) {
		uint64_t entry = address(vectors) + vector * guest_vector_size;

		idt[2 * vector] =
			(entry & 0xffff) | 8 << 16 | 0x8e00ull << 32 | (entry >> 16 & 0xffff) << 48;
		idt[2 * vector + 1] = entry >> 32;
	}
}

uint64_t guest_vm::stack_top(unsigned index) const
{
	return address(arena) + vcpus_at + (index + 1) * vcpu_size;
}

void guest_vm::use_xapic(xapic_model model)
{
	write_gates(guest_xapic_vectors);
	for (auto &cpu : cpus) {
		auto write = [](kvm_lapic_state &state, uint32_t reg, uint32_t value) {
			std::memcpy(state.regs + reg, &value, sizeof(value));
		};

		cpu->set_apic_base(cpu->apic_base() & ~apic_base_x2apic);
		kvm_lapic_state state = cpu->lapic();
		write(state, xapic::id, cpu->index << 24);
		write(state, xapic::ldr, xapic_logical_id(model, cpu->index) << 24);
		write(state, xapic::dfr, model == xapic_model::flat ? ~0u : ~0u >> 4);
		cpu->set_lapic(state);
		cpu->memory->xapic = true;
	}
}

unsigned guest_vm::add_vcpu()
{
	unsigned index = cpus.size();
	char *place = arena + vcpus_at + index * vcpu_size;

	CHECK(place + vcpu_size <= arena + arena_size, "no memory set aside for vCPU {}", index);
	auto cpu = std::make_unique<vcpu>(kvm.get(), fd(), index, new (place) guest_cpu());
	cpu->set_up({
		.cr3 = address(arena + pml4_at),
		.gdt = address(arena + gdt_at),
		.idt = address(arena + idt_at),
		.gdt_limit = 23,
		.stack_top = stack_top(index),
		.local_apic = controllers == irqchip::of_kvm,
	});
	cpus.push_back(std::move(cpu));
	return index;
}

void guest_vm::start(guest_mode mode)
{
	for (auto &cpu : cpus) {
		if (cpu->started())
			continue;
		cpu->memory->mode = mode;
		cpu->start();
	}
	for (auto &cpu : cpus)
		wait("the guest runs", [&] { return cpu->memory->mode_seen == cpu->memory->mode; });
}

void guest_vm::stop()
{
	for (auto &cpu : cpus)
		cpu->stop();
}

void guest_vm::set_mode(unsigned index, guest_mode mode)
{
	vcpu &cpu = at(index);
	{
		parked guard(cpu);

		cpu.memory->mode = mode;
		cpu.make_runnable();
	}
	wait_awake(index, "the guest changes its mode",
		   [&] { return cpu.memory->mode_seen == mode; });
}

void guest_vm::start_job(unsigned index, const guest_job &job)
{
	vcpu &cpu = at(index);
	parked guard(cpu);

	cpu.memory->job = job;
	cpu.memory->job_number.fetch_add(1);
	cpu.make_runnable();
}

bool guest_vm::job_finished(unsigned index)
{
	return memory(index).job_finished == memory(index).job_number;
}

void guest_vm::finish_job(unsigned index)
{
	wait_awake(index, "the guest finishes its job", [&] { return job_finished(index); });
}

/* Parked between its look at what to do and HLT, a vCPU would sleep on what it is told. */
void guest_vm::wait_awake(unsigned index, std::string_view what,
			  const std::function<bool()> &condition)
{
	wait(what, [&] {
		if (condition())
			return true;
		if (memory(index).mode_seen == guest_mode::halt) {
			parked guard(at(index));

			at(index).make_runnable();
		}
		return false;
	});
}

void guest_vm::wait_checked(std::string_view what, const std::function<bool()> &condition)
{
	std::string trouble;

	bool done = wait_for([&] {
		for (auto &cpu : cpus)
			if (trouble.empty())
				trouble = cpu->trouble();
		return !trouble.empty() || condition();
	});
	if (!trouble.empty())
		throw failure(trouble);
	if (!done) {
		tell_state();
		throw failure(fmt::format("gave up waiting until {}", what));
	}
}

/* What there is to see of vCPUs that do not do what is waited for, without stopping them. */
void guest_vm::tell_state()
{
	for (int look = 0; look < 2; look++) {
		for (auto &cpu : cpus)
			comment("{}", cpu->state_text());
		std::this_thread::sleep_for(std::chrono::milliseconds(100));
	}
}

uint64_t guest_vm::handled(unsigned index, unsigned vector)
{
	return memory(index).handled[vector];
}

uint64_t guest_vm::handled_total()
{
	uint64_t sum = 0;

	for (auto &cpu : cpus)
		sum += cpu->memory->total;
	return sum;
}

} // namespace corbel::selftest
