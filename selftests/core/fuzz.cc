// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Structure-aware fuzzer of the ioctl interface.
 *
 *   fuzz [--seed N] [--seconds N] [--threads N]
 *
 * Each thread draws a sequence of operations from its own generator: ioctls with
 * structs that are mostly right and then mutated, mappings, closes, interrupts,
 * new VMs; one more thread kills VMs of other processes and makes new ones, and
 * one scribbles over every ring's control page and over the structs that the
 * others are passing at that moment. The same seed, number of threads and kernel
 * draw the same sequences.
 *
 * There is no oracle for a single answer here (core/hostile has it). What must
 * hold: the kernel logs no splat, and when all is closed nothing is left.
 */
#include "fuzz_worker.hh"
#include "kvm_state.hh"
#include "module.hh"
#include "tap.hh"
#include "wait.hh"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>

using namespace corbel::selftest;

namespace {

struct options {
	uint64_t seed = std::time(nullptr);
	/* At --scale 60: an hour. */
	double seconds = scale() > 1 ? 60 * scale() : 25;
	unsigned threads = 3;
} chosen;

/* What has not succeeded yet. */
std::string untried(fuzz_statistics &sum)
{
	std::string names;

	if (chosen.seconds < 20)
		return names;
	for (const abi_entry &entry : abi_table())
		if (sum.answers[entry.name][0] == 0)
			names += fmt::format(" {}", entry.name);
	return names;
}

void print_results(fuzz_statistics &sum)
{
	comment("{} operations, of them {} ioctls; {} VMs were killed", sum.operations, sum.ioctls,
		sum.kills);
	for (const auto &[name, answers] : sum.answers) {
		std::string text;

		for (const auto &[error, count] : answers)
			text += fmt::format(" {} {}", error_name(error), count);
		comment("{}:{}", name, text);
	}
	CHECK(untried(sum).empty(), "too little was tried, these never succeeded:{}", untried(sum));
}

/* Attachments that a sequence left pinned. */
void unpin_all()
{
	unique_fd device = connect_device();

	for (const corbel_vm_info &info : list_vms(device.get())) {
		corbel_vm_open argument = {};

		argument.vm_id = info.vm_id;
		unique_fd vm(request(device.get(), CORBEL_VM_OPEN, argument));
		if (vm)
			set_pin(vm.get(), false);
	}
}

/* Every thread draws for that long. @first: the number of the first one's generator. */
void draw_sequences(fuzz_statistics &sum, unsigned first)
{
	std::vector<fuzz_statistics> statistics(chosen.threads + 1);
	std::vector<std::string> troubles(chosen.threads + 1);
	{
		/* The hooks of recorders stay: each time they go, tasks are waited for. */
		guest_vm recorded(1);
		const recorder log(connect_device().get(), recorded.at(0).fd());
		victims killed(chosen.seed + first);
		scribbler scribbles(chosen.seed + first);
		std::atomic<bool> stop = false;
		std::vector<std::thread> threads;

		auto run = [&](unsigned i) {
			fuzz_worker worker(chosen.seed, first + i, killed, scribbles);

			while (!stop)
				worker.step();
			statistics[i] = worker.statistics;
		};
		auto kill = [&] {
			while (!stop)
				killed.replace_one();
			statistics.back().kills = killed.kills;
		};
		for (unsigned i = 0; i <= chosen.threads; i++) {
			threads.emplace_back([&, i] {
				try {
					if (i < chosen.threads)
						run(i);
					else
						kill();
				} catch (const std::exception &error) {
					troubles[i] = error.what();
				}
			});
		}
		std::this_thread::sleep_for(std::chrono::duration<double>(chosen.seconds));
		stop = true;
		for (std::thread &thread : threads)
			thread.join();
	}
	for (const std::string &trouble : troubles)
		CHECK(trouble.empty(), "a thread stopped: {}", trouble);
	for (const fuzz_statistics &one : statistics)
		sum += one;
}

void fuzz()
{
	ensure_corbel();
	keep_no_packets();
	kvm_state before = read_kvm_state();
	slab_usage usage;
	{
		/* What the modules allocate once and keep. */
		(void)qos_device_number();
		guest_vm vm(1);
		unique_fd attachment = attach(connect_device().get(), vm.fd());
		open_irq(attachment.get());
		attachment.reset();
		usage = read_settled_slab_usage(ours);
	}
	comment("seed {}, {} threads, {} s; the same again: fuzz --seed {} --threads {} --seconds {}",
		chosen.seed, chosen.threads, chosen.seconds, chosen.seed, chosen.threads,
		chosen.seconds);

	fuzz_statistics sum;

	/* Where the machine is slow, the least likely ioctl has too few tries in one go. */
	for (unsigned i = 0; i < 6 && (i == 0 || !untried(sum).empty()); i++)
		draw_sequences(sum, i * chosen.threads);
	unpin_all();
	unique_fd device = connect_device();
	wait_until("all attachments are gone", [&] { return query(device.get()).nr_vms == 0; });
	wait_until("all hooks are released", [&] {
		return std::ranges::all_of(
			list_hooks(device.get()),
			[](const corbel_hook_info &hook) { return hook.users == 0; });
	});
	device.reset();
	wait_kvm_state(before);
	wait_connections_closed();
	wait_slab_usage(usage, ours);
	print_results(sum);
}

/* Counts tell nothing if the modules do not work any more. */
void still_work()
{
	ensure_corbel();
	guest_vm vm(1);
	unique_fd device = connect_device();
	unique_fd attachment = attach(device.get(), vm.fd());
	unique_fd irq = open_irq(attachment.get());

	CHECK_EQ(vm.send_msi(0, 0x50), 1, "MSI");
	CHECK_EQ(count_vectors(irq_vcpu(irq.get(), 0).record), 1u, "pending");
}

constexpr test_case cases[] = {
	{"random sequences", fuzz},
	{"the modules still work", still_work},
};

} // namespace

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!std::strcmp(argv[i], "--seed"))
			chosen.seed = std::strtoull(argv[i + 1], nullptr, 0);
		else if (!std::strcmp(argv[i], "--seconds"))
			chosen.seconds = std::atof(argv[i + 1]);
		else if (!std::strcmp(argv[i], "--threads"))
			chosen.threads = std::atoi(argv[i + 1]);
	}
	return run_cases(1, argv, cases);
}
