// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ledgers in the middle of everything: interrupts by irqfd, ioctl, IPI and a
 * distributor at the same time, while threads are taken out of KVM_RUN and end and
 * others run their vCPUs, ids change their vCPUs, are masked and unmapped, the policy
 * changes, and between rounds the modules are unloaded and loaded again under the
 * running VM. Whenever all is quiet everything sent is accounted for.
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

constexpr unsigned vcpus = 3, ids = 96;
constexpr unsigned by_eventfd = 32, by_ring = 64; /* first ids; those before by ioctl */

/* interrupt_load has the vectors between these. */
constexpr unsigned ipi_first = 0x20, ipi_last = 0x2f;
constexpr unsigned choice_first = 0x30, choice_last = 0x3f;
constexpr unsigned dist_first = interrupt_load::last_irqfd + 1, dist_vectors = 32;
static_assert(dist_first + dist_vectors <= nr_vectors);

constexpr uint64_t job_length = 200;
constexpr unsigned changes_each = 32; /* in a round */

/* What is there from one load of the modules to the next, and what was before it. */
struct session {
	explicit session(guest_vm &vm)
		: device(connect_device()),
		  attachment(attach(device.get(), vm.fd())),
		  irq(open_irq(attachment.get())),
		  dist(irq.get(), ids, vcpus)
	{
		CHECK_EQ(dist.make_ring(8), 0, "ring");
	}

	unique_fd device, attachment, irq;
	distributor dist;
};

/* Sends to no vCPU in particular, and raises ids, each from a thread of its own. */
class senders {
public:
	explicit senders(guest_vm &vm) : vm(vm)
	{
		for (unsigned id = by_eventfd; id < by_ring; id++)
			eventfds.push_back(make_eventfd());
	}
	~senders() { join(); }

	void bind(const distributor &dist)
	{
		for (unsigned id = by_eventfd; id < by_ring; id++)
			CHECK_EQ(dist.bind(id, eventfds[id - by_eventfd].get()), 0, "bind {}", id);
	}

	void start(distributor &dist)
	{
		launch([this](std::mt19937 &random) {
			constexpr uint32_t to_any = msi_address((1 << vcpus) - 1) | msi_logical;
			unsigned vector =
				choice_first + random() % (choice_last - choice_first + 1);

			CHECK_EQ(vm.send_raw_msi(to_any, msi_lowest_priority | vector), 1,
				 "MSI to one of all");
			choices++;
		});
		launch([this, &dist](std::mt19937 &random) {
			CHECK(dist.raise(random() % by_eventfd) >= 0, "raise");
			raised++;
		});
		launch([this](std::mt19937 &random) {
			signal_eventfd(eventfds[random() % eventfds.size()].get());
			raised++;
		});
		launch([this, &dist](std::mt19937 &random) {
			int batch = 1 + random() % 8;

			for (int i = 0; i < batch; i++)
				dist.submit(by_ring + random() % (ids - by_ring));
			CHECK_EQ(dist.kick(), batch, "kick");
			raised += batch;
		});
	}
	void stop()
	{
		join();
		CHECK(!failed, "a sender failed");
	}

	std::atomic<uint64_t> raised = 0, choices = 0;

private:
	/* @send again and again, in bursts of about sixteen, so that others get a turn. */
	template <typename Send>
	void launch(Send send)
	{
		threads.emplace_back([this, send, seed = seed++] {
			std::mt19937 random(seed);
			pace pace(vm);

			try {
				while (!stopping) {
					send(random);
					if (random() % 16 == 0)
						pace.rest(
							std::chrono::microseconds(random() % 2048));
				}
			} catch (const std::exception &error) {
				comment("{}", error.what());
				failed = true;
			}
		});
	}
	void join()
	{
		stopping = true;
		for (std::thread &thread : threads)
			thread.join();
		threads.clear();
		stopping = false;
	}

	guest_vm &vm;
	std::vector<unique_fd> eventfds;
	std::vector<std::thread> threads;
	std::atomic<bool> stopping = false, failed = false;
	unsigned seed = 1;
};

/* Counts of the guest's and ours at a moment when all is quiet. */
struct balance {
	uint64_t sent[vcpus][nr_vectors] = {}; /* by interrupt_load */
	uint64_t accepted[vcpus][nr_vectors] = {};
	uint64_t raised = 0, choices = 0, ipis = 0;
	injections given;
};

class scene {
public:
	scene()
	{
		ensure_corbel();
		vm.emplace(vcpus);
		load.emplace(*vm);
		other.emplace(*vm);
		vm->start();
		vm->set_mode(1, guest_mode::halt);
		open();
		before = read();
	}

	uint64_t sent() const { return load->sent() + other->raised + other->choices + ipis; }

	uint64_t raised() const { return other->raised; }
	uint64_t choices() const { return other->choices; }

	void run_round()
	{
		load->start();
		other->start(now->dist);
		for (unsigned step = 0; step < changes_each; step++)
			change_something(step);
		other->stop();
		load->stop();
		check_quiet();
	}

	/* Under the load of what does not need the modules. */
	void reload()
	{
		load->start();
		now.reset();
		unload_corbel();
		uint64_t handled = vm->handled_total();
		vm->wait("the VM goes on", [&] { return vm->handled_total() > handled + 20; });
		ensure_corbel();
		open();
		vm->wait("interrupts are observed", [&] {
			for (unsigned i = 0; i < vcpus; i++)
				if (sum_paths(irq_vcpu(now->irq.get(), i).accepted) < 20)
					return false;
			return true;
		});
		load->stop();
		wait_all_handled();
		check_ledgers();
		before = read();
		reloads++;
	}

	std::optional<guest_vm> vm;
	unsigned kills = 0, maps = 0, policies = 0, reloads = 0;
	uint64_t handled_twice = 0;

private:
	void open();
	void change_something(unsigned step);
	void map_some();
	void wait_all_handled();
	void check_ledgers();
	void check_quiet();
	balance read();

	std::optional<interrupt_load> load;
	std::optional<session> now;
	std::optional<senders> other; /* its threads use what is there now: the first to go */
	std::mt19937 random{7};
	uint64_t ipis = 0;
	uint64_t dist_raised = 0; /* with the distributor of now */
	balance before;
};

corbel_dist_entry any_entry(unsigned id, std::mt19937 &random)
{
	return make_entry(id, random() % vcpus, dist_first + id % dist_vectors, random() % 256,
			  random() % 8 ? 0 : CORBEL_DIST_MASKED);
}

void scene::open()
{
	std::vector<corbel_dist_entry> entries;

	now.emplace(*vm);
	dist_raised = 0;
	for (unsigned id = 0; id < ids; id++)
		entries.push_back(any_entry(id, random));
	CHECK_EQ(now->dist.map(entries), 0, "mapping all");
	other->bind(now->dist);
	irq_check(now->irq.get(), CORBEL_IRQ_CHECK_ON);
}

/* Some ids anew, and one or none of them unmapped. */
void scene::map_some()
{
	std::vector<corbel_dist_entry> entries;

	for (unsigned n = 1 + random() % 8; n; n--)
		entries.push_back(any_entry(random() % ids, random));
	if (random() % 4 == 0)
		entries.back() = {.id = entries.back().id};
	CHECK_EQ(now->dist.map(entries), 0, "mapping anew");
	maps++;
}

void scene::change_something(unsigned step)
{
	static constexpr guest_mode modes[] = {guest_mode::spin, guest_mode::halt,
					       guest_mode::exits};
	unsigned index = random() % vcpus, id = random() % ids;

	switch (step % 8) {
	case 0:
		vm->at(index).stop();
		vm->at(index).start();
		kills++;
		break;
	case 1:
		set_irq_policy(now->irq.get(), 1 + random() % CORBEL_IRQ_POLICY_MAX);
		policies++;
		break;
	case 2:
		now->dist.set_masked(id, 1, true);
		break;
	case 3:
		now->dist.set_masked(id, 1 + random() % (ids - id), false);
		break;
	case 4:
		if (!vm->job_finished(0))
			break;
		vm->start_job(0, {.kind = job_kind::ipi,
				  .target = static_cast<uint32_t>(1 + random() % (vcpus - 1)),
				  .first = ipi_first,
				  .last = ipi_last,
				  .count = job_length});
		ipis += job_length;
		break;
	case 5:
		vm->set_mode(index, modes[random() % std::size(modes)]);
		break;
	default:
		map_some();
	}
}

void scene::wait_all_handled()
{
	vm->finish_job(0);
	now->dist.set_masked(0, ids, false);
	for (unsigned i = 0; i < vcpus; i++)
		vm->wait("the distributor gives out what is pending",
			 [&] { return !now->dist.status(i); });
	wait_idle(*vm);
}

void scene::check_ledgers()
{
	const int irq = now->irq.get();

	check_record_is_irr(irq, vcpus);
	check_ledger(irq, vcpus);
	now->dist.total();
	now->dist.check_pages();
	for (unsigned i = 0; i < vcpus; i++) {
		parked guard(vm->at(i));
		kvm_lapic_state state = vm->at(i).lapic();

		for (unsigned v = 0; v < nr_vectors; v++)
			CHECK(!lapic_bit(state, lapic_irr, v), "vCPU {}: {:#x} is pending", i, v);
		CHECK_EQ(irq_vcpu(irq, i).pending, 0u, "vCPU {}", i);
	}
	corbel_irq_check check = irq_check(irq);
	CHECK_EQ(check.missing, 0u, "VM entries with a vector that the record did not have");
	CHECK_EQ(check.status_wrong, 0u, "VM entries with the status bit wrong");
}

balance scene::read()
{
	balance counts;

	counts.given = read_injections(*vm, now->irq.get());
	for (unsigned i = 0; i < vcpus; i++) {
		auto vectors = irq_vectors(now->irq.get(), i);

		for (unsigned v = 0; v < nr_vectors; v++) {
			counts.sent[i][v] = load->sent(i, v);
			counts.accepted[i][v] = sum_paths(vectors[v].accepted);
		}
	}
	counts.raised = other->raised;
	counts.choices = other->choices;
	counts.ipis = ipis;
	return counts;
}

/*
 * What was sent since the last such moment is what was accepted; what was injected is what
 * KVM says; and the guest handled that.
 */
void scene::check_quiet()
{
	std::vector<corbel_dist_counts> of_ids;
	uint64_t ipis_accepted = 0, choices_accepted = 0;
	uint64_t dist_accepted[dist_vectors] = {}, delivered[dist_vectors] = {};

	wait_all_handled();
	check_ledgers();
	balance counts = read();
	handled_twice += check_injections(before.given, counts.given);
	for (unsigned i = 0; i < vcpus; i++) {
		for (unsigned v = first_vector; v < nr_vectors; v++) {
			uint64_t accepted = counts.accepted[i][v] - before.accepted[i][v];

			if (v <= ipi_last)
				ipis_accepted += accepted;
			else if (v <= choice_last)
				choices_accepted += accepted;
			else if (v >= dist_first)
				dist_accepted[v - dist_first] += counts.accepted[i][v];
			else
				CHECK_EQ(accepted, counts.sent[i][v] - before.sent[i][v],
					 "vCPU {} vector {:#x}: accepted, sent", i, v);
		}
	}
	CHECK_EQ(ipis_accepted, counts.ipis - before.ipis, "IPIs accepted, sent");
	CHECK_EQ(choices_accepted, counts.choices - before.choices, "choices accepted, sent");
	/* The distributor's are counted from its beginning, as its ledger is. */
	of_ids = now->dist.counts(0, ids);
	for (unsigned id = 0; id < ids; id++)
		delivered[id % dist_vectors] += of_ids[id].delivered;
	for (unsigned n = 0; n < dist_vectors; n++)
		CHECK_EQ(dist_accepted[n], delivered[n], "vector {:#x}: accepted, delivered",
			 dist_first + n);
	dist_raised += counts.raised - before.raised;
	CHECK_EQ(now->dist.total().raised, dist_raised, "raised");
	before = counts;
}

void balance_in_spite_of_all()
{
	need_own_modules();
	ensure_kvm();
	kvm_state at_first = read_kvm_state();
	const uint64_t wanted = amount(8000, 1000000);
	{
		scene all;
		unsigned rounds = 0;

		for (; all.vm->handled_total() < wanted || rounds < 2; rounds++) {
			all.run_round();
			all.reload();
			comment("{} of {} handled, {} sent", all.vm->handled_total(), wanted,
				all.sent());
		}
		comment("{} sent in {} rounds, {} handled; {} threads ended in KVM_RUN, {} mappings, {} "
			"policies, {} loads of the modules; {} raised, {} choices, {} handled twice; out of balance: 0",
			all.sent(), rounds, all.vm->handled_total(), all.kills, all.maps,
			all.policies, all.reloads, all.raised(), all.choices(), all.handled_twice);
		CHECK(all.raised() > wanted / 100 && all.choices() > wanted / 100,
		      "hardly anything was raised");
	}
	unload_corbel();
	wait_kvm_state(at_first);
}

constexpr test_case cases[] = {
	{"balanced whatever comes", balance_in_spite_of_all},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
