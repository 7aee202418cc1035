// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The distributor under load: every way to raise at once, while ids change their
 * vCPUs, are masked and unmasked, and vCPUs come and go. At the end nothing is
 * missing and nothing is there twice.
 */
#include "distributor.hh"
#include "injections.hh"
#include "kvm_state.hh"
#include "module.hh"
#include "wait.hh"

#include <optional>
#include <random>

using namespace corbel::selftest;

namespace {

constexpr unsigned ids = 192, vcpus = 3;
constexpr unsigned by_ioctl = 64, by_eventfd = 128; /* first ids; then by the ring */

struct raisers {
	/* @mapped: all ids are, all the time. */
	raisers(dist_vm &it, uint64_t each, bool mapped) : it(it), each(each), mapped(mapped)
	{
		CHECK_EQ(it.dist.make_ring(8), 0, "ring");
		for (unsigned id = by_ioctl; id < by_eventfd; id++) {
			sources.push_back(make_eventfd());
			CHECK_EQ(it.dist.bind(id, sources.back().get()), 0, "bind {}", id);
		}
		for (unsigned i = 0; i < 2; i++)
			start([this, i] { raise_by_ioctl(i); });
		for (unsigned i = 0; i < 2; i++)
			start([this, i] { raise_by_eventfds(i); });
		start([this] { submit(); });
	}
	~raisers()
	{
		stop = true;
		for (std::thread &thread : threads)
			thread.join();
	}

	template <typename Body>
	void start(Body body)
	{
		threads.emplace_back([this, body] {
			try {
				body();
			} catch (const std::exception &error) {
				comment("{}", error.what());
				failed = true;
			}
			finished++;
		});
	}
	bool done() const { return finished == threads.size(); }

	void raise_by_ioctl(unsigned seed)
	{
		std::mt19937 random(seed);

		for (uint64_t n = 0; n < each && !stop; n++) {
			if (random() % 16) {
				CHECK(it.dist.raise(random() % by_ioctl) >= mapped, "raise");
				sent++;
				continue;
			}
			std::vector<__u32> list(1 + random() % 20);
			for (__u32 &id : list)
				id = random() % by_ioctl;
			int taken = it.dist.raise(list);
			CHECK(taken == static_cast<int>(list.size()) || (!mapped && taken >= 0),
			      "a list: {}", taken);
			sent += list.size();
		}
	}
	void raise_by_eventfds(unsigned seed)
	{
		std::mt19937 random(seed + 10);

		for (uint64_t n = 0; n < each && !stop; n++, sent++)
			signal_eventfd(sources[random() % sources.size()].get());
	}
	void submit()
	{
		std::mt19937 random(20);

		for (uint64_t n = 0; n < each && !stop;) {
			unsigned batch = 1 + random() % 100;

			for (unsigned i = 0; i < batch; i++)
				it.dist.submit(by_eventfd + random() % (ids - by_eventfd));
			CHECK_EQ(it.dist.kick(), static_cast<int>(batch), "kick");
			sent += batch;
			n += batch;
		}
	}

	dist_vm &it;
	const uint64_t each;
	const bool mapped;
	std::vector<unique_fd> sources;
	std::vector<std::thread> threads;
	std::atomic<unsigned> finished = 0;
	std::atomic<uint64_t> sent = 0;
	std::atomic<bool> stop = false, failed = false;
};

corbel_dist_entry any_entry(unsigned id, std::mt19937 &random)
{
	/* The vector stays, so that it tells at the guest which ids it was. */
	return make_entry(id, random() % vcpus, 0x30 + id, random() % 256,
			  random() % 8 ? 0 : CORBEL_DIST_MASKED);
}

void change_something(dist_vm &it, std::mt19937 &random, unsigned step)
{
	unsigned id = random() % ids;

	if (step % 64 == 0) {
		/* Where it is then: halted, spinning, or parked for a moment. */
		parked guard(it.vm.at(random() % vcpus));
		std::this_thread::yield();
	} else if (step % 4 == 1) {
		it.dist.set_masked(id, 1 + random() % (ids - id), false);
	} else if (step % 4 == 2) {
		it.dist.set_masked(id, 1, true);
	} else {
		std::vector<corbel_dist_entry> entries;

		for (unsigned n = 1 + random() % 8; n; n--)
			entries.push_back(any_entry(random() % ids, random));
		CHECK_EQ(it.dist.map(entries), 0, "mapping anew");
	}
}

void check_totals(dist_vm &it, uint64_t sent)
{
	it.dist.set_masked(0, ids, false);
	it.wait_given_out();
	it.check_quiet();
	corbel_dist_counts total = it.dist.total();
	std::vector<corbel_dist_counts> counts = it.dist.counts(0, ids);
	__u64 handled = 0, coalesced = 0;

	CHECK_EQ(total.raised, sent, "raised");
	CHECK_EQ(total.pending + total.refused + total.withdrawn + total.restored, 0u,
		 "pending or dropped");
	injections none;
	none.of_vector.resize(vcpus);
	none.handled.resize(vcpus);
	uint64_t twice = check_injections(none, read_injections(it.vm, it.observed.irq.get()));
	std::vector<std::array<corbel_irq_vector, CORBEL_IRQ_VECTORS>> vectors;
	for (unsigned i = 0; i < vcpus; i++)
		vectors.push_back(irq_vectors(it.observed.irq.get(), i));
	/* Each vector is one id's, wherever it went. */
	for (unsigned id = 0; id < ids; id++) {
		__u64 arrived = 0;

		for (unsigned i = 0; i < vcpus; i++) {
			const corbel_irq_vector &of = vectors[i][0x30 + id];

			arrived += of.injected + of.coalesced;
			handled += of.injected;
			coalesced += of.coalesced;
		}
		CHECK_EQ(counts[id].delivered, arrived, "id {}: delivered and arrived", id);
	}
	CHECK_EQ(total.raised, handled + coalesced + total.coalesced,
		 "raised = handled + coalesced");
	comment("{} raised: {} handled, {} coalesced here and {} in the local APIC, {} doorbells; {} handled twice",
		total.raised, handled, total.coalesced, coalesced, it.dist.info().doorbells, twice);
}

void remap_under_load()
{
	dist_vm it(vcpus, ids);
	unique_fd bell = make_eventfd();
	std::mt19937 random(1);
	unsigned changes = 0;

	for (unsigned id = 0; id < ids; id++)
		it.dist.map(id, id % vcpus, 0x30 + id, id);
	CHECK_EQ(it.dist.set_doorbell(CORBEL_DIST_ALL_VCPUS, bell.get()), 0, "doorbell");
	it.vm.start();
	it.vm.set_mode(1, guest_mode::halt);
	it.vm.set_mode(2, guest_mode::exits);

	raisers load(it, amount(8000, 200000), true);
	while (!load.done())
		change_something(it, random, ++changes);
	CHECK(!load.failed, "a raiser failed");
	comment("{} changes meanwhile", changes);
	check_totals(it, load.sent);
}

/* Everything is saved and restored in the middle of it, and ids unmapped: what is
 * refused, withdrawn or restored then is counted as such. */
void reset_under_load()
{
	dist_vm it(vcpus, ids);
	std::mt19937 random(2);

	it.vm.start();
	it.vm.set_mode(1, guest_mode::halt);
	raisers load(it, amount(2000, 50000), false);
	for (unsigned step = 0; !load.done(); step++) {
		std::vector<corbel_dist_entry> entries;

		for (unsigned id = 0; id < ids; id++)
			entries.push_back(any_entry(id, random));
		CHECK_EQ(it.dist.map(entries), 0, "mapping all");
		auto saved = it.dist.read();
		if (step % 3 == 0)
			CHECK_EQ(it.dist.reset(), 0, "reset");
		CHECK_EQ(it.dist.map(saved, CORBEL_DIST_RESTORE), 0, "restore");
	}
	it.dist.set_masked(0, ids, false);
	it.wait_given_out();
	it.check_quiet();
	corbel_dist_counts total = it.dist.total();
	comment("{} raised, {} restored, {} delivered, {} coalesced, {} refused, {} withdrawn",
		total.raised, total.restored, total.delivered, total.coalesced, total.refused,
		total.withdrawn);
	CHECK(!load.failed, "a raiser failed");
	CHECK_EQ(total.raised, load.sent.load(), "raised");
}

/* Refused while the device is open; with it closed, in the middle of signals. */
void unload_under_load()
{
	need_own_modules();
	ensure_kvm();
	kvm_state before = read_kvm_state();
	std::optional<guest_vm> vm(std::in_place, 2);
	unique_fd source = make_eventfd();
	std::atomic<bool> stop = false;

	vm->start();
	vm->set_mode(1, guest_mode::halt);
	std::thread writer([&] {
		while (!stop) {
			signal_eventfd(source.get());
			if (read_eventfd(source.get()))
				std::this_thread::yield();
		}
	});
	for (unsigned round = 0; round < 3; round++) {
		ensure_corbel();
		uint64_t handled = vm->handled_total();
		{
			unique_fd device = connect_device();
			unique_fd attachment = attach(device.get(), vm->fd());
			unique_fd irq = open_irq(attachment.get());
			distributor dist(irq.get(), 64, 2);

			dist.map(5, round % 2, 0x55);
			CHECK_EQ(dist.bind(5, source.get()), 0, "bind");
			vm->wait("interrupts come",
				 [&] { return vm->handled_total() > handled + 100; });
			CHECK_EQ(set_pin(attachment.get(), true), 0, "pin");
			irq.reset();
			attachment.reset();
			device.reset();
			CHECK_EQ(unload_module("corbel_irq"), -EWOULDBLOCK, "the device is open");
			handled = vm->handled_total();
			vm->wait("it goes on", [&] { return vm->handled_total() > handled; });
		}
		unload_corbel();
		CHECK(!module_loaded("corbel_irq") && !module_loaded("corbel"), "unloaded");
		CHECK(read_file("/proc/kallsyms").find("[corbel") == std::string::npos,
		      "symbols are still there");
	}
	stop = true;
	writer.join();
	wait_idle(*vm);
	vm.reset();
	wait_kvm_state(before);
}

constexpr test_case cases[] = {
	{"mapped anew under load", remap_under_load},
	{"reset and restored under load", reset_under_load},
	{"unloaded in the middle of signals", unload_under_load},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
