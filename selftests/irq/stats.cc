// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stats descriptors: laid out as KVM's own, the same numbers as the other ioctls give,
 * every drop under its reason, and readable when the VM is gone.
 */
#include "distributor.hh"
#include "kvm_state.hh"
#include "stats_reader.hh"
#include "wait.hh"

#include <cstring>
#include <optional>

using namespace corbel::selftest;

namespace {

using scalars = std::map<std::string, uint64_t>;

void check_balance(const scalars &of, std::string_view what)
{
	const auto at = [&](const char *name) { return of.at(name); };

	CHECK_EQ(at("posted_device") + at("posted_ipi") + at("posted_local") + at("restored"),
		 at("delivered") + at("coalesced") + at("dropped_refused") +
			 at("dropped_vanished") + at("pending"),
		 "the balance of {}", what);
}

/* What the stats of a set of vectors have to be, from the counts of each. */
void add_vector(scalars &sum, const corbel_irq_vector &vector, bool pending)
{
	sum["posted_device"] += vector.accepted[CORBEL_IRQ_PATH_DEVICE];
	sum["posted_ipi"] += vector.accepted[CORBEL_IRQ_PATH_IPI];
	sum["posted_local"] += vector.accepted[CORBEL_IRQ_PATH_LOCAL];
	sum["restored"] += vector.restored;
	sum["delivered"] += vector.injected - vector.extint;
	sum["coalesced"] += vector.coalesced;
	sum["extint"] += vector.extint;
	sum["pending"] += pending;
	sum["dropped"] += vector.dropped;
}

void check_same(const scalars &got, const scalars &want, std::string_view what)
{
	for (const auto &[name, value] : want) {
		if (name == "dropped")
			CHECK_EQ(got.at("dropped_refused") + got.at("dropped_vanished"), value,
				 "{} of {}", name, what);
		else
			CHECK_EQ(got.at(name), value, "{} of {}", name, what);
	}
}

/* The stats of the VM, of each vCPU and of each vector, against CORBEL_IRQ_VECTORS_GET. */
void check_against_vectors(int irq, unsigned vcpus)
{
	scalars vm;

	for (unsigned i = 0; i < vcpus; i++) {
		const corbel_irq_vcpu now = irq_vcpu(irq, i);
		const auto vectors = irq_vectors(irq, i);
		scalars vcpu;

		for (unsigned v = 0; v < CORBEL_IRQ_VECTORS; v++) {
			const bool pending = test_vector(now.record, v);
			scalars one;

			add_vector(one, vectors[v], pending);
			add_vector(vcpu, vectors[v], pending);
			add_vector(vm, vectors[v], pending);
			if (v < first_vector || v % 16 == 0)
				check_same(irq_stats(irq, i, v).read_scalars(), one,
					   fmt::format("vCPU {}, vector {:#x}", i, v));
		}
		vcpu["vcpus"] = 1;
		vcpu["reinjected"] = now.reinjected;
		vcpu["other_modes"] = now.nmi;
		const scalars got = irq_stats(irq, i).read_scalars();
		check_same(got, vcpu, fmt::format("vCPU {}", i));
		check_balance(got, fmt::format("vCPU {}", i));
		vm["reinjected"] += now.reinjected;
		vm["other_modes"] += now.nmi;
	}
	vm["vcpus"] = vcpus;
	vm["resyncs"] = irq_info(irq).resyncs;
	const scalars got = irq_stats(irq).read_scalars();
	check_same(got, vm, "the VM");
	check_balance(got, "the VM");
}

/* By the reader that reads KVM's, and in pieces of any size. */
void read_like_kvm()
{
	observed_vm observed(2);
	stats_reader kvm(unique_fd(KVM_CALL(observed.vm.fd(), KVM_GET_STATS_FD, 0)));
	CHECK(kvm.id().starts_with("kvm-"), "the reader finds '{}' in KVM's", kvm.id());
	CHECK(kvm.read().contains("remote_tlb_flush"), "the reader does not read KVM's");

	const stats_reader ours = irq_stats(observed.irq.get());
	const __u64 vm_id = irq_info(observed.irq.get()).vm_id;
	CHECK(ours.id() == fmt::format("corbel-{}", vm_id), "the VM is '{}'", ours.id());
	CHECK(irq_stats(observed.irq.get(), 1).id() == fmt::format("corbel-{}/vcpu-1", vm_id),
	      "a vCPU's name");
	CHECK(irq_stats(observed.irq.get(), 1, 80).id() ==
		      fmt::format("corbel-{}/vcpu-1/vector-80", vm_id),
	      "a vector's name");
	CHECK_EQ(ours.header().name_size, kvm.header().name_size, "as KVM's");
	CHECK(ours.header().id_offset >= sizeof(kvm_stats_header) &&
		      ours.header().desc_offset >= ours.header().id_offset + 48 &&
		      ours.header().data_offset >=
			      ours.header().desc_offset +
				      ours.header().num_desc * (sizeof(kvm_stats_desc) + 48),
	      "parts overlap: id at {}, descriptors at {}, data at {}", ours.header().id_offset,
	      ours.header().desc_offset, ours.header().data_offset);
	for (const auto &[name, value] : ours.read()) {
		const bool instant =
			name == "pending" || name == "vcpus" || name == "sampled_vcpus";

		CHECK_EQ(value.descriptor.flags & KVM_STATS_TYPE_MASK,
			 instant ? KVM_STATS_TYPE_INSTANT : KVM_STATS_TYPE_CUMULATIVE, "{}", name);
		CHECK_EQ(value.descriptor.flags & KVM_STATS_UNIT_MASK, KVM_STATS_UNIT_NONE, "{}",
			 name);
		CHECK_EQ(value.descriptor.exponent, 0, "{}", name);
	}

	std::vector<char> whole(ours.size() + 100, 0x55), pieces(whole);
	CHECK_EQ(pread(ours.fd(), whole.data(), whole.size(), 0), ours.size(), "all at once");
	for (size_t step : {1, 7, 64, 1000}) {
		size_t at = 0;

		for (ssize_t got; at < ours.size(); at += got) {
			got = pread(ours.fd(), pieces.data() + at, step, at);
			CHECK_EQ(got, std::min(step, ours.size() - at), "{} bytes at {}", step, at);
		}
		CHECK(whole == pieces, "in pieces of {} it is another file", step);
		std::memset(pieces.data(), 0x55, pieces.size());
	}
	size_t at = 0;
	for (ssize_t got; (got = read(ours.fd(), pieces.data() + at, 100)) > 0; at += got)
		;
	CHECK_EQ(at, ours.size(), "read to the end");
	CHECK(whole == pieces, "read from start to end it is another file");
	CHECK_EQ(pread(ours.fd(), pieces.data(), 1, ours.size()), 0, "at the end");
}

void agree_with_the_rest()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();
	const stats_reader all = irq_stats(irq);
	interrupt_load load(vm);
	scalars before = all.read_scalars();

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	load.start();
	vm.start_job(0, {.kind = job_kind::ipi, .target = 1, .count = 500});
	/* Counts of all that is counted where it happens only grow. */
	for (unsigned i = 0; i < 200; i++) {
		scalars now = all.read_scalars();

		for (const char *name : {"posted_device", "posted_ipi", "posted_local", "restored",
					 "delivered", "resyncs"})
			CHECK(now[name] >= before[name], "{} goes from {} to {}", name,
			      before[name], now[name]);
		before = now;
	}
	vm.finish_job(0);
	load.stop();
	/* Left pending, so that this is in the balance too. */
	vm.set_mode(1, guest_mode::masked);
	for (unsigned vector : {0x50, 0x51, 0x52, 0x52})
		vm.send_msi(1, vector);
	wait_idle(vm);
	check_ledger(irq, 2);
	check_against_vectors(irq, 2);
	const scalars now = all.read_scalars();
	CHECK(now.at("posted_device") >= load.sent() && now.at("posted_ipi") >= 500,
	      "{} by device, {} by IPI", now.at("posted_device"), now.at("posted_ipi"));
	CHECK_EQ(now.at("pending"), 3u, "pending");
	CHECK_EQ(now.at("sampled_vcpus"), 0u, "sampled");
}

void tell_drops_apart()
{
	observed_vm observed(2);
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();
	const stats_reader all = irq_stats(irq), other = irq_stats(irq, 1, 0x69);
	auto expect = [&](uint64_t refused, uint64_t vanished, const char *what) {
		const scalars now = all.read_scalars();

		CHECK_EQ(now.at("dropped_refused"), refused, "{}", what);
		CHECK_EQ(now.at("dropped_vanished"), vanished, "{}", what);
		check_balance(now, what);
		check_against_vectors(irq, 2);
	};

	vm.start(guest_mode::masked);
	for (unsigned vector : {0x60, 0x61, 0x62})
		CHECK_EQ(vm.send_msi(1, vector), 1, "MSI");
	expect(0, 0, "three pending");
	{
		parked guard(vm.at(1));
		kvm_lapic_state state = vm.at(1).lapic();

		set_lapic_bit(state, lapic_irr, 0x60, false);
		set_lapic_bit(state, lapic_irr, 0x61, false);
		set_lapic_bit(state, lapic_irr, 0x70, true);
		vm.at(1).set_lapic(state);
	}
	expect(0, 2, "KVM_SET_LAPIC took two away and brought one");
	CHECK_EQ(all.read_scalars().at("restored"), 1u, "brought by KVM_SET_LAPIC");
	CHECK_EQ(vm.send_raw_msi(msi_address(1), msi_init), 1, "INIT");
	vm.wait("INIT empties the IRR", [&] { return !count_vectors(observed.read(1).irr); });
	expect(0, 4, "INIT took the rest");
	for (unsigned i = 0; i < 3; i++)
		CHECK(vm.send_msi(1, 0x69) <= 0, "a disabled APIC took an interrupt");
	expect(3, 4, "refused");
	const scalars one = other.read_scalars();
	CHECK_EQ(one.at("dropped_refused"), 3u, "of its vector");
	CHECK_EQ(one.at("dropped_vanished"), 0u, "of its vector");
	CHECK_EQ(one.at("posted_device"), 3u, "of its vector");
	CHECK(!one.contains("resyncs") && !one.contains("other_modes"),
	      "what is of no vector is counted as a vector's");
	CHECK(all.read_scalars().at("other_modes") >= 1, "INIT is not by vector");
}

/* What is made of all vCPUs counts those too that come later. */
void count_later_vcpus()
{
	observed_vm observed(1, 2);
	const stats_reader all = irq_stats(observed.irq.get());

	CHECK_EQ(all.read_scalars().at("vcpus"), 1u, "at first");
	observed.vm.add_vcpu();
	wait_until("the vCPU is seen", [&] { return all.read_scalars().at("vcpus") == 2; });
	observed.vm.start();
	CHECK_EQ(observed.vm.send_msi(1, 0x50), 1, "MSI");
	observed.vm.wait("it is handled", [&] { return observed.vm.handled(1, 0x50) == 1; });
	wait_idle(observed.vm);
	CHECK_EQ(all.read_scalars().at("delivered"), 1u, "delivered");
	check_against_vectors(observed.irq.get(), 2);
}

/*
 * Observation begins in the middle of interrupts. One that was pending before and is
 * injected before its record is taken has to be in the ledger all the same.
 */
void balance_from_the_start()
{
	ensure_corbel();
	guest_vm vm(2);
	interrupt_load load(vm, 11);
	unique_fd device = connect_device();

	vm.start();
	vm.set_mode(1, guest_mode::halt);
	for (unsigned round = 0; round < amount(12, 200); round++) {
		load.start();
		unique_fd attachment = attach(device.get(), vm.fd());
		unique_fd irq = open_irq(attachment.get());
		load.stop();
		wait_idle(vm);
		check_ledger(irq.get(), 2);
		check_against_vectors(irq.get(), 2);
	}
}

scalars scalars_of(const corbel_dist_counts &of)
{
	return {{"posted", of.raised},		 {"restored", of.restored},
		{"delivered", of.delivered},	 {"coalesced", of.coalesced},
		{"dropped_refused", of.refused}, {"dropped_withdrawn", of.withdrawn},
		{"pending", of.pending}};
}

/* 0 or a negative error number. */
int get_slot(int irq, unsigned slot, corbel_irq_dist_get &get)
{
	get = {.slot = slot};
	return request(irq, CORBEL_IRQ_DIST_GET, get);
}

void sum_up_distributors()
{
	observed_vm observed(2);
	const int irq = observed.irq.get();
	auto dist = std::make_unique<distributor>(irq, 600, 2);
	unique_fd bell = make_eventfd();
	corbel_irq_dist_get get;
	std::optional<stats_reader> all(dist_stats(dist->fd()));

	CHECK(all->id() == fmt::format("corbel-{}/dist", irq_info(irq).vm_id), "'{}'", all->id());
	CHECK_EQ(dist->set_doorbell(CORBEL_DIST_ALL_VCPUS, bell.get()), 0, "doorbell");
	for (unsigned id = 0; id < 500; id++)
		dist->map(id, id % 2, 0x30 + id % 200, 0, id % 3 ? 0 : CORBEL_DIST_MASKED);
	for (unsigned id = 0; id < 600; id += 1 + id % 2)
		dist->raise(id);
	for (unsigned id = 0; id < 100; id++)
		dist->unmap(id);
	auto check = [&] {
		const corbel_dist_counts total = dist->total();
		scalars want = scalars_of(total);

		want["ids"] = 600;
		want["doorbells"] = dist->info().doorbells;
		CHECK(all->read_scalars() == want, "the stats are not the sum of the ledger");
		CHECK_EQ(get_slot(irq, 0, get), 0, "CORBEL_IRQ_DIST_GET");
		CHECK_EQ(get.ids, 600u, "ids");
		CHECK_EQ(get.vcpus, 2u, "vcpus");
		CHECK_EQ(get.doorbells, dist->info().doorbells, "doorbells");
		CHECK(!std::memcmp(&get.counts, &total, sizeof(total)), "the counts of slot 0");
		return total;
	};
	const corbel_dist_counts waiting = check();
	CHECK(waiting.pending > 100 && waiting.refused >= 50 && waiting.withdrawn > 20,
	      "{} pending, {} refused, {} withdrawn", waiting.pending, waiting.refused,
	      waiting.withdrawn);
	CHECK(get.doorbells > 0, "no doorbell was rung");
	observed.vm.start();
	for (unsigned i = 0; i < 2; i++)
		observed.vm.wait("all is given out", [&] { return !dist->status(i); });
	CHECK(check().delivered > 50, "nothing was delivered");

	/* Slots, and a distributor that lives on for its stats. */
	CHECK_EQ(get_slot(irq, 1, get), -ENOENT, "there is one");
	std::optional<distributor> second(std::in_place, irq, 8, 1);
	CHECK_EQ(get_slot(irq, 1, get), 0, "there are two");
	CHECK_EQ(get.ids, 8u, "the second one's");
	second.reset();
	CHECK_EQ(get_slot(irq, 1, get), -ENOENT, "there is one again");
	const scalars last = all->read_scalars();
	dist.reset();
	CHECK_EQ(get_slot(irq, 0, get), 0, "its stats keep it");
	CHECK(all->read_scalars() == last, "its counts changed by closing it");
	all.reset();
	CHECK_EQ(get_slot(irq, 0, get), -ENOENT, "nothing keeps it");
}

/* Read by one thread while the VM and all other descriptors go. */
void outlive_the_vm()
{
	ensure_corbel();
	const kvm_state before = read_kvm_state();
	unique_fd device = connect_device();

	for (unsigned round = 0; round < 6; round++) {
		std::optional<guest_vm> vm(std::in_place, 2);
		unique_fd attachment = attach(device.get(), vm->fd());
		unique_fd irq = open_irq(attachment.get());
		std::optional<distributor> dist(std::in_place, irq.get(), 64, 2);
		std::optional<stats_reader> all(irq_stats(irq.get())), of(dist_stats(dist->fd()));
		std::atomic<bool> stop = false;

		vm->start(round % 2 ? guest_mode::masked : guest_mode::spin);
		for (unsigned id = 0; id < 64; id++)
			dist->map(id, id % 2, 0x40 + id);
		std::thread reader([&] {
			while (!stop) {
				all->read();
				of->read();
			}
		});
		for (unsigned i = 0; i < 2000; i++)
			dist->raise(i % 64);
		vm.reset();
		wait_until("its end is seen", [&] { return irq_info(irq.get()).ended; });
		wait_kvm_state(before);
		stop = true;
		reader.join();
		check_against_vectors(irq.get(), 2);
		check_balance(irq_stats(irq.get()).read_scalars(), "a VM that has ended");
		CHECK(all->read_scalars().at("posted_device") > 0, "nothing was counted");
		scalars want = scalars_of(dist->total());
		want["ids"] = 64;
		want["doorbells"] = 0;
		CHECK(of->read_scalars() == want, "the distributor's stats after the end");
		CHECK(dist_stats(dist->fd()).read_scalars() == want, "made after the end");
		/* In any order. */
		if (round % 3 == 0)
			irq.reset();
		if (round % 2)
			dist.reset();
		if (round % 3 == 1)
			all.reset();
		attachment.reset();
		of->read();
	}
	wait_kvm_state(before);
	wait_until("all attachments are gone", [&] { return query(device.get()).nr_vms == 0; });
}

constexpr test_case cases[] = {
	{"laid out as KVM's", read_like_kvm},
	{"the numbers of the other ioctls", agree_with_the_rest},
	{"why it was dropped", tell_drops_apart},
	{"attached under load", balance_from_the_start},
	{"vCPUs that come later", count_later_vcpus},
	{"a distributor's totals", sum_up_distributors},
	{"the VM ends first", outlive_the_vm},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
