// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Recorders come and go, in whatever order and under running vCPUs; others are left alone.
 */
#include "kvm_state.hh"
#include "module.hh"
#include "observed_vm.hh"
#include "process.hh"
#include "recorder.hh"
#include "tap.hh"
#include "wait.hh"

#include <csignal>
#include <optional>
#include <thread>

using namespace corbel::selftest;

namespace {

/* Never leaves by itself; tells the last value. */
GUEST_CODE void spin_reading(guest_cpu *cpu)
{
	for (;;) {
		cpu->last_tsc = guest::read_tsc();
		cpu->loops.store(cpu->loops.load(std::memory_order_relaxed) + 1,
				 std::memory_order_relaxed);
	}
}

constexpr unsigned reads = 1000;

GUEST_CODE void read_and_tell(guest_cpu *cpu)
{
	for (;;) {
		uint64_t sum = 0;

		for (unsigned i = 0; i < reads; i++) {
			cpu->last_tsc = guest::read_tsc();
			sum = (sum << 7 | sum >> 57) ^ cpu->last_tsc;
		}
		cpu->loops.store(sum, std::memory_order_relaxed);
		guest::out(port_done, 0);
	}
}

/* A guest that reads its counter all the time on a thread of its own. */
struct spinning_vm {
	spinning_vm()
	{
		vm.at(0).set_entry(spin_reading, vm.stack_top(0));
		vm.at(0).start();
		wait_moving();
	}

	void wait_moving()
	{
		const uint64_t before = vm.memory(0).loops;

		vm.wait("the guest goes on", [&] { return vm.memory(0).loops > before + 10; });
	}
	void wait_own_counter()
	{
		const uint64_t before = guest::read_tsc();

		vm.wait("its counter is the CPU's",
			[&] { return is_own_counter(vm.memory(0).last_tsc, before); });
	}
	/* With time that begins now, ours are small. */
	void wait_ours(const recorder &log)
	{
		log.begin(CORBEL_REPLAY_CLOCK);
		vm.wait("its counter is ours", [&] {
			return log.area().last && vm.memory(0).last_tsc <= log.area().last;
		});
	}

	guest_vm vm{1, 0, irqchip::none};
};

corbel_hook_info hook_named(int device, const std::string &part)
{
	for (const corbel_hook_info &hook : list_hooks(device))
		if (std::string(hook.name).find(part) != std::string::npos)
			return hook;
	throw failure("no hook is called " + part);
}

void wait_hooks(int device, unsigned users)
{
	wait_until("the hooks are as they should be", [&] {
		return hook_named(device, "_handle_exit").users == users &&
		       hook_named(device, "kvm_entry").users == users;
	});
}

/* Once it is let go; a vCPU that was running when its recorder was closed is a little later. */
unique_fd enrol_again(int device, int vcpu)
{
	int result = 0;

	wait_until("the vCPU can be enrolled", [&] {
		result = try_enrol(device, vcpu, CORBEL_REPLAY_MIN_ENTRIES);
		CHECK(result >= 0 || result == -EBUSY, "enrolling answers {}", error_name(result));
		return result >= 0;
	});
	return unique_fd(result);
}

void arm_and_disarm_live()
{
	ensure_corbel();
	const unique_fd device = connect_device();
	spinning_vm guest;

	for (unsigned turn = 0; turn < 2; turn++) {
		guest.wait_own_counter();
		/* Closed at once, and again as soon as that is through. */
		enrol_again(device.get(), guest.vm.at(0).fd()).reset();
		enrol_again(device.get(), guest.vm.at(0).fd()).reset();
		wait_hooks(device.get(), 0);
		std::optional<recorder> log(std::in_place, device.get(), guest.vm.at(0).fd());
		wait_hooks(device.get(), 1);
		guest.wait_own_counter();
		guest.wait_ours(*log);
		/* Off and on while it runs. */
		log->area().mode = CORBEL_REPLAY_OFF;
		guest.wait_own_counter();
		guest.wait_ours(*log);
		CHECK(log->area().nr_armed >= 2, "armed {} times", __u64{log->area().nr_armed});
		/* The mapping keeps it as well. */
		log->close();
		guest.wait_ours(*log);
		CHECK_EQ(try_enrol(device.get(), guest.vm.at(0).fd(), 256), -EBUSY, "enrolled");
		log.reset();
		guest.wait_own_counter();
		wait_hooks(device.get(), 0);
	}
}

/* Records and replays on its own thread; how often the sums differed. */
void record_and_replay(recorded_vm &guest, unsigned turns, std::atomic<unsigned> &wrong)
{
	for (unsigned turn = 0; turn < turns; turn++) {
		guest.restart();
		guest.log.begin(CORBEL_REPLAY_RECORD);
		guest.run_to_port();
		const uint64_t sum = guest.memory().loops;

		guest.restart();
		guest.log.begin(CORBEL_REPLAY_REPLAY, reads);
		guest.run_to_port();
		if (guest.memory().loops == sum && guest.log.area().head == reads)
			continue;
		comment("turn {}: {:#x} recorded, {:#x} replayed, {} entries taken", turn, sum,
			guest.memory().loops.load(), uint64_t{guest.log.area().head});
		wrong++;
	}
}

void record_two_beside_a_third()
{
	constexpr unsigned turns = 4;
	ensure_corbel();
	const unique_fd device = connect_device();
	recorded_vm first(device.get(), read_and_tell), second(device.get(), read_and_tell);
	guest_vm third(1, 0, irqchip::none);
	std::atomic<unsigned> wrong = 0;
	std::atomic<unsigned> running = 2;

	third.at(0).set_entry(read_and_tell, third.stack_top(0));
	CHECK_EQ(third.at(0).run_to_exit(), KVM_EXIT_IO, "the third one");
	auto body = [&](recorded_vm &guest) {
		try {
			record_and_replay(guest, turns, wrong);
		} catch (const std::exception &error) {
			comment("{}", error.what());
			wrong++;
		}
		running--;
	};
	std::jthread one(body, std::ref(first)), two(body, std::ref(second));
	uint64_t least = ~0ull;
	while (running) {
		const uint64_t exits = read_kvm_stat(third.fd(), "exits");
		const uint64_t before = guest::read_tsc();

		CHECK_EQ(third.at(0).run_to_exit(), KVM_EXIT_IO, "the third one");
		wrong += !is_own_counter(third.memory(0).last_tsc, before);
		least = std::min(least, read_kvm_stat(third.fd(), "exits") - exits);
	}
	one.join();
	two.join();
	CHECK_EQ(wrong.load(), 0u, "differences");
	CHECK_EQ(first.log.area().nr_tsc, 2 * turns * reads, "reads of the first");
	CHECK_EQ(second.log.area().nr_tsc, 2 * turns * reads, "reads of the second");
	comment("{} reads of the third took at least {} exits", reads, least);
	CHECK(least < reads / 2, "the third one's reads leave the guest: {} exits", least);
}

/* The recorder keeps the vCPU, and with it the VM. */
void close_vcpu_first()
{
	ensure_corbel();
	const kvm_state before = read_kvm_state();
	const unique_fd device = connect_device();
	std::optional<recorder> log;
	{
		guest_vm vm(1, 0, irqchip::none);

		vm.at(0).set_entry(read_and_tell, vm.stack_top(0));
		log.emplace(device.get(), vm.at(0).fd());
		log->begin(CORBEL_REPLAY_CLOCK);
		CHECK_EQ(vm.at(0).run_to_exit(), KVM_EXIT_IO, "running");
	}
	CHECK_EQ(read_kvm_state().references, before.references + 1, "the VM is held");
	log.reset();
	wait_kvm_state(before);
	wait_hooks(device.get(), 0);
}

/* A recorder in a process that is killed in the middle of KVM_RUN, with or without another's hold. */
void kill_owner()
{
	ensure_corbel();
	const kvm_state before = read_kvm_state();
	const unique_fd device = connect_device();

	for (bool handed_over : {false, true}) {
		child_process child([](child_process &self) {
			const unique_fd own = connect_device();
			spinning_vm guest;
			recorder log(own.get(), guest.vm.at(0).fd());

			guest.wait_ours(log);
			self.tell(log.fd());
			for (;;)
				pause();
		});
		unique_fd copy = child.take_fd(static_cast<int>(child.hear()));
		if (!handed_over)
			copy.reset();
		child.kill(SIGKILL);
		child.reap();
		if (handed_over) {
			wait_until("the other one's descriptor is the last", [&] {
				return read_kvm_state().references == before.references + 1;
			});
			wait_hooks(device.get(), 1);
			mapped area(copy.get(), page_bytes);
			CHECK(area.read(0, 12), "reads answered");
			copy.reset();
		}
		wait_kvm_state(before);
	}
	wait_hooks(device.get(), 0);
}

void refuse_unload_while_used()
{
	need_own_modules();
	ensure_corbel();
	spinning_vm guest;
	unique_fd device = connect_device();
	std::optional<recorder> log(std::in_place, device.get(), guest.vm.at(0).fd());

	CHECK(query(device.get()).features & CORBEL_FEATURE_REPLAY, "features");
	guest.wait_ours(*log);
	CHECK_EQ(unload_module("corbel_replay"), -EWOULDBLOCK, "a recorder is open");
	log->close();
	CHECK_EQ(unload_module("corbel_replay"), -EWOULDBLOCK, "a recorder is mapped");
	log.reset();
	wait_until("nobody uses it", [] { return module_references("corbel_replay") == 0; });
	CHECK_EQ(unload_module("corbel_replay"), 0, "nobody uses it");
	guest.wait_own_counter();
	CHECK_EQ(query(device.get()).features & CORBEL_FEATURE_REPLAY, 0u, "features without it");
	CHECK_EQ(try_enrol(device.get(), guest.vm.at(0).fd(), 256), -EOPNOTSUPP, "without it");
	CHECK_EQ(load_module("corbel_replay"), 0, "loading it again");
	log.emplace(device.get(), guest.vm.at(0).fd());
	guest.wait_ours(*log);
}

/* KVM's vendor module goes and comes while ours stay. */
void follow_vendor_module()
{
	need_own_modules();
	ensure_corbel();
	const unique_fd device = connect_device();
	const std::string vendor = kvm_vendor_module();

	for (unsigned turn = 0; turn < 2; turn++) {
		wait_until("KVM is not in use", [&] { return module_references(vendor) == 0; });
		CHECK_EQ(unload_module(vendor), 0, "unloading {}", vendor);
		CHECK_EQ(hook_named(device.get(), "_handle_exit").state, CORBEL_HOOK_MISSING,
			 "without {}", vendor);
		ensure_kvm();
		const corbel_hook_info hook = hook_named(device.get(), "_handle_exit");
		CHECK_EQ(hook.state, CORBEL_HOOK_READY, "{}: {}", hook.name, hook.detail);
		recorded_vm guest(device.get(), read_and_tell);
		std::atomic<unsigned> wrong = 0;
		record_and_replay(guest, 2, wrong);
		CHECK_EQ(wrong.load(), 0u, "differences");
	}
}

/* A vCPU with interrupts that is observed and checked as well: both see its entries. */
void share_entries()
{
	ensure_corbel();
	observed_vm observed(1);
	const unique_fd device = connect_device();

	irq_check(observed.irq.get(), CORBEL_IRQ_CHECK_ON);
	std::optional<recorder> log(std::in_place, device.get(), observed.vm.at(0).fd());
	log->begin(CORBEL_REPLAY_CLOCK);
	CHECK_EQ(observed.vm.send_msi(0, 0x55), 1, "MSI");
	observed.vm.start(guest_mode::exits);
	observed.vm.wait("both see entries", [&] {
		return log->area().nr_entries > 100 && irq_check(observed.irq.get()).entries > 100;
	});
	CHECK(log->area().nr_tsc >= 1, "the handler's read");
	CHECK_EQ(hook_named(device.get(), "kvm_entry").users, 2u, "users");
	irq_check(observed.irq.get(), CORBEL_IRQ_CHECK_OFF);
	const uint64_t entries = log->area().nr_entries;
	observed.vm.wait("ours goes on", [&] { return log->area().nr_entries > entries + 100; });
	log.reset();
	wait_hooks(device.get(), 0);
}

/* A halted vCPU is in KVM_RUN and enters no guest: closing does not wait for it. */
void close_under_halted()
{
	ensure_corbel();
	const unique_fd device = connect_device();
	guest_vm vm(1);
	std::optional<recorder> log(std::in_place, device.get(), vm.at(0).fd());
	log->begin(CORBEL_REPLAY_CLOCK);
	vm.start(guest_mode::halt);
	vm.wait("it is halted",
		[&] { return vm.at(0).state_text().find("kvm_vcpu_halt") != std::string::npos; });
	log.reset();
	CHECK_EQ(unload_module("corbel_replay"), -EWOULDBLOCK, "the vCPU has not entered since");
	wait_hooks(device.get(), 1);
	CHECK_EQ(vm.send_msi(0, 0x55), 1, "MSI");
	vm.wait("it handles it", [&] { return vm.handled(0, 0x55) == 1; });
	wait_hooks(device.get(), 0);
	wait_until("nobody uses it", [] { return module_references("corbel_replay") == 0; });
	const uint64_t now = guest::read_tsc();
	CHECK_EQ(vm.send_msi(0, 0x55), 1, "MSI");
	vm.wait("it handles it", [&] { return vm.handled(0, 0x55) == 2; });
	CHECK(is_own_counter(vm.memory(0).last_tsc, now), "its counter is not the CPU's");
}

constexpr test_case cases[] = {
	{"armed and disarmed while it runs", arm_and_disarm_live},
	{"two recorded beside a third that is not", record_two_beside_a_third},
	{"the vCPU's descriptor is closed first", close_vcpu_first},
	{"its owner is killed", kill_owner},
	{"unloading is refused while there is a recorder", refuse_unload_while_used},
	{"KVM's vendor module goes and comes", follow_vendor_module},
	{"beside an observer that checks", share_entries},
	{"closed under a halted vCPU", close_under_halted},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
