// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where an interrupt goes, in each mode of the local APIC: every way to address one,
 * several or all of 1, 2 and 4 vCPUs, by MSI, irqfd, IOAPIC pin and IPI, with the
 * observer on it, first with KVM's choice and then with a policy.
 *
 * Each is sent twice: to vCPUs that hold their interrupts back, so that the IRR of
 * KVM_GET_LAPIC shows who got it, and to vCPUs that take it, so that their handlers do.
 */
#include "observed_vm.hh"
#include "tap.hh"
#include "wait.hh"

#include <array>
#include <bit>
#include <memory>
#include <set>

using namespace corbel::selftest;

namespace {

/* A mode: how it writes logical destinations, and everybody's address in an IPI. */
struct apic_mode {
	unsigned (*logical_id)(unsigned index);
	uint32_t ipi_to_everyone;
	bool clusters; /* of two */
	void (*set_up)(guest_vm &vm);
};

constexpr apic_mode xapic_flat = {
	[](unsigned index) { return xapic_logical_id(xapic_model::flat, index); },
	0xff,
	false,
	[](guest_vm &vm) { vm.use_xapic(xapic_model::flat); },
};
constexpr apic_mode xapic_cluster = {
	[](unsigned index) { return xapic_logical_id(xapic_model::cluster, index); },
	0xff,
	true,
	[](guest_vm &vm) { vm.use_xapic(xapic_model::cluster); },
};
/* All of ours are in the first cluster of sixteen. */
constexpr apic_mode x2apic = {
	[](unsigned index) { return 1u << index; },
	~0u,
	false,
	[](guest_vm &) {},
};

enum class way { msi, irqfd, edge, level, ipi };
enum class address { physical, logical, shorthand };
/* `groups`: some sets of two and more vCPUs; one of one if there are no more. */
enum class target { one, groups, all, self, others };
/* `any`: one of those addressed takes it, `choice`: a policy may say which. */
enum class taken_by { each, any, choice };

struct row {
	const char *name;
	way by;
	address how;
	target whom;
	taken_by takers = taken_by::each;
	uint32_t delivery = 0; /* mode, at its place in an MSI's data, a pin or an ICR */
	bool hint = false;
};

constexpr uint32_t lowest = msi_lowest_priority, nmi = msi_nmi;

constexpr row rows[] = {
	{"MSI, fixed, one", way::msi, address::physical, target::one},
	{"MSI, fixed, one of a logical id", way::msi, address::logical, target::one},
	{"MSI, fixed, several", way::msi, address::logical, target::groups},
	{"MSI, fixed, everyone", way::msi, address::physical, target::all},
	{"MSI, lowest priority, one", way::msi, address::physical, target::one, taken_by::each,
	 lowest},
	{"MSI, lowest priority, several", way::msi, address::logical, target::groups,
	 taken_by::choice, lowest},
	{"MSI, lowest priority, everyone", way::msi, address::physical, target::all, taken_by::each,
	 lowest},
	{"MSI, redirection hint, several", way::msi, address::logical, target::groups,
	 taken_by::choice, 0, true},
	{"MSI, NMI, one", way::msi, address::physical, target::one, taken_by::each, nmi},
	{"MSI, NMI, several", way::msi, address::logical, target::groups, taken_by::each, nmi},
	{"MSI, NMI, redirection hint", way::msi, address::logical, target::groups, taken_by::any,
	 nmi, true},
	{"irqfd, fixed, one", way::irqfd, address::physical, target::one},
	{"irqfd, fixed, several", way::irqfd, address::logical, target::groups},
	{"irqfd, lowest priority, several", way::irqfd, address::logical, target::groups,
	 taken_by::choice, lowest},
	{"edge, fixed, one", way::edge, address::physical, target::one},
	{"edge, fixed, several", way::edge, address::logical, target::groups},
	{"edge, lowest priority, several", way::edge, address::logical, target::groups,
	 taken_by::choice, lowest},
	{"level, fixed, one", way::level, address::physical, target::one},
	{"level, lowest priority, several", way::level, address::logical, target::groups,
	 taken_by::choice, lowest},
	{"IPI, self", way::ipi, address::shorthand, target::self},
	{"IPI, all but self", way::ipi, address::shorthand, target::others},
	{"IPI, all and self", way::ipi, address::shorthand, target::all},
	{"IPI, one", way::ipi, address::physical, target::one},
	{"IPI, one of a logical id", way::ipi, address::logical, target::one},
	{"IPI, several", way::ipi, address::logical, target::groups},
	{"IPI, everyone", way::ipi, address::physical, target::all},
	{"IPI, lowest priority, several", way::ipi, address::logical, target::groups, taken_by::any,
	 lowest},
	{"IPI, NMI, one", way::ipi, address::physical, target::one, taken_by::each, nmi},
	{"IPI, NMI, all but self", way::ipi, address::shorthand, target::others, taken_by::each,
	 nmi},
};

/* Of a row, so that KVM's hashing by the vector meets each of four vCPUs. */
constexpr unsigned vectors_each = 4;
constexpr unsigned edge_pin = 5, level_pin = edge_pin + vectors_each;
static_assert(first_vector + std::size(rows) * vectors_each <= nr_vectors);

struct message {
	const row &what;
	unsigned whom; /* a bit each */
	unsigned sender; /* of an IPI */
	uint32_t destination;
	unsigned first; /* vector */

	bool is_nmi() const { return what.delivery == nmi; }
	unsigned counted_as(unsigned n) const { return is_nmi() ? nmi_vector : first + n; }
	unsigned arrivals() const
	{
		return what.takers == taken_by::each ? std::popcount(whom) : 1;
	}
};

class table {
public:
	table(const apic_mode &mode, unsigned vcpus)
		: mode(mode), vcpus(vcpus), observed(vcpus), expected(vcpus)
	{
		mode.set_up(vm);
		vm.start();
		for (unsigned i = 1; i < vcpus; i++)
			vm.set_mode(i, at_rest(i));
	}

	void run(unsigned policy)
	{
		set_irq_policy(irq, policy);
		__u64 before = irq_policy(irq).offered;
		choices = 0;
		for (const row &what : rows)
			run_row(what);
		check_counts();
		CHECK_EQ(irq_policy(irq).offered - before,
			 policy == CORBEL_IRQ_POLICY_OFF ? 0 : choices, "choices of the policy");
	}

	uint64_t sent = 0, choices = 0;

private:
	static guest_mode at_rest(unsigned index)
	{
		return index ? guest_mode::halt : guest_mode::spin;
	}
	unsigned everyone() const { return (1u << vcpus) - 1; }

	void run_row(const row &what);
	uint32_t destination_of(const row &what, unsigned whom) const;
	void send(const message &it, unsigned n);
	void send_through_pin(const message &it, unsigned n);
	unsigned new_takers(const message &it, unsigned n);
	void expect(const message &it, unsigned n, unsigned takers);
	void await_expected();
	void send_held(const message &it);
	void send_live(const message &it);
	void check_counts();

	const apic_mode &mode;
	const unsigned vcpus;
	observed_vm observed;
	guest_vm &vm = observed.vm;
	const int irq = observed.irq.get();
	std::set<std::pair<unsigned, unsigned>> irqfds;
	/* What the guest should have handled, by vCPU and vector. */
	std::vector<std::array<uint64_t, nr_vectors>> expected;
};

uint32_t table::destination_of(const row &what, unsigned whom) const
{
	uint32_t destination = 0;

	if (what.whom == target::all)
		return what.by == way::ipi ? mode.ipi_to_everyone : 0xff;
	for (unsigned i = 0; i < vcpus; i++) {
		if (whom >> i & 1)
			destination |= what.how == address::logical ? mode.logical_id(i) : i;
	}
	return destination;
}

void table::run_row(const row &what)
{
	std::vector<std::pair<unsigned, unsigned>> pairs; /* whom, sender */

	for (unsigned i = 0; i < vcpus; i++) {
		switch (what.whom) {
		case target::one:
			pairs.push_back({1u << i, (i + 1) % vcpus});
			break;
		case target::self:
			pairs.push_back({1u << i, i});
			break;
		case target::others:
			pairs.push_back({everyone() & ~(1u << i), i});
			break;
		case target::all:
			if (!i || what.by == way::ipi)
				pairs.push_back({everyone(), i});
			break;
		case target::groups:
			break;
		}
	}
	if (what.whom == target::groups) {
		pairs.push_back({mode.clusters ? everyone() & 3 : everyone(), 0});
		if (vcpus == 4)
			pairs.push_back({mode.clusters ? 0xc : 0xe, 1});
	}
	for (const auto &[whom, sender] : pairs) {
		message it = {what, whom, sender, destination_of(what, whom),
			      first_vector + static_cast<unsigned>(&what - rows) * vectors_each};

		if (!it.is_nmi())
			send_held(it);
		send_live(it);
		for (unsigned i = 0; i < vcpus; i++)
			check_record_is_lapic(observed, i);
	}
}

void table::send_through_pin(const message &it, unsigned n)
{
	bool level = it.what.by == way::level;
	unsigned pin = (level ? level_pin : edge_pin) + n;
	std::vector<std::unique_ptr<parked>> guards;

	vm.write_redirection(pin, (it.first + n) | it.what.delivery |
					  (it.what.how == address::logical ? 1 << 11 : 0) |
					  (level ? 1 << 15 : 0) |
					  static_cast<uint64_t>(it.destination) << 56);
	/* A level that is low again when it is handled does not come again. */
	for (unsigned i = 0; level && i < vcpus; i++)
		guards.push_back(std::make_unique<parked>(vm.at(i)));
	vm.pulse_line(pin);
}

void table::send(const message &it, unsigned n)
{
	const uint32_t address = msi_address(it.destination) |
				 (it.what.how == address::logical ? msi_logical : 0) |
				 (it.what.hint ? msi_redirection_hint : 0);
	const uint32_t data = it.what.delivery | (it.first + n);
	uint32_t command = it.what.delivery | icr::assert_level;

	sent++;
	choices += it.what.takers == taken_by::choice && std::popcount(it.whom) > 1;
	switch (it.what.by) {
	case way::msi:
		CHECK_EQ(vm.send_raw_msi(address, data), static_cast<int>(it.arrivals()),
			 "{}: KVM_SIGNAL_MSI", it.what.name);
		return;
	case way::irqfd:
		if (irqfds.insert({it.whom, it.first + n}).second)
			vm.add_raw_irqfd(address, data, it.whom, it.first + n);
		vm.send_irqfd(it.whom, it.first + n);
		return;
	case way::edge:
	case way::level:
		send_through_pin(it, n);
		return;
	case way::ipi:
		break;
	}
	if (it.what.how == address::logical)
		command |= icr::logical;
	if (it.what.how == address::shorthand)
		command |= it.what.whom == target::self	 ? icr::to_self
			   : it.what.whom == target::all ? icr::to_all
							 : icr::to_others;
	vm.start_job(it.sender, {.kind = job_kind::ipi,
				 .target = it.destination,
				 .command = command,
				 .first = it.first + n,
				 .last = it.first + n,
				 .count = 1});
	vm.finish_job(it.sender);
}

/* A bit for each vCPU whose handler has run since it was last expected to. */
unsigned table::new_takers(const message &it, unsigned n)
{
	unsigned takers = 0;

	for (unsigned i = 0; i < vcpus; i++)
		takers |= (vm.handled(i, it.counted_as(n)) > expected[i][it.counted_as(n)]) << i;
	return takers;
}

void table::expect(const message &it, unsigned n, unsigned takers)
{
	if (it.what.takers == taken_by::each)
		CHECK_EQ(takers, it.whom, "{}, from {}, vector {:#x}: who has it", it.what.name,
			 it.sender, it.counted_as(n));
	else
		CHECK(std::has_single_bit(takers) && !(takers & ~it.whom),
		      "{}, from {}, vector {:#x}: for one of {:#x}, taken by {:#x}", it.what.name,
		      it.sender, it.counted_as(n), it.whom, takers);
	for (unsigned i = 0; i < vcpus; i++)
		expected[i][it.counted_as(n)] += takers >> i & 1;
}

void table::await_expected()
{
	for (unsigned i = 0; i < vcpus; i++)
		for (unsigned v = 0; v < nr_vectors; v++)
			vm.wait(fmt::format("vCPU {} handles vector {:#x}", i, v),
				[&] { return vm.handled(i, v) >= expected[i][v]; });
}

/* Nobody takes it yet: who is outside KVM, or the sender with its interrupts off. */
void table::send_held(const message &it)
{
	const bool guest_sends = it.what.by == way::ipi;
	std::vector<std::unique_ptr<parked>> guards;
	unsigned takers[vectors_each] = {};
	unsigned pending = 0;

	if (guest_sends)
		vm.set_mode(it.sender, guest_mode::masked);
	for (unsigned i = 0; i < vcpus; i++)
		if (!guest_sends || i != it.sender)
			guards.push_back(std::make_unique<parked>(vm.at(i)));
	for (unsigned n = 0; n < vectors_each; n++)
		send(it, n);
	for (unsigned i = 0; i < vcpus; i++) {
		parked guard(vm.at(i));
		kvm_lapic_state state = vm.at(i).lapic();

		for (unsigned n = 0; n < vectors_each; n++)
			takers[n] |= lapic_bit(state, lapic_irr, it.first + n) << i;
		for (unsigned vector = 0; vector < nr_vectors; vector++)
			pending += lapic_bit(state, lapic_irr, vector);
		check_record_is_lapic(observed, i);
	}
	for (unsigned n = 0; n < vectors_each; n++)
		expect(it, n, takers[n]);
	CHECK_EQ(pending, vectors_each * it.arrivals(), "{}: vectors pending", it.what.name);
	guards.clear();
	if (guest_sends)
		vm.set_mode(it.sender, at_rest(it.sender));
	await_expected();
}

void table::send_live(const message &it)
{
	for (unsigned n = 0; n < vectors_each; n++) {
		send(it, n);
		vm.wait(fmt::format("{}: it is handled", it.what.name), [&] {
			return static_cast<unsigned>(std::popcount(new_takers(it, n))) >=
			       it.arrivals();
		});
		expect(it, n, new_takers(it, n));
	}
}

/* Nothing came that was not sent, nor to anybody else, and the observer agrees. */
void table::check_counts()
{
	wait_idle(vm);
	check_record_is_irr(irq, vcpus);
	check_ledger(irq, vcpus);
	for (unsigned i = 0; i < vcpus; i++) {
		auto vectors = irq_vectors(irq, i);

		for (unsigned v = 0; v < nr_vectors; v++)
			CHECK_EQ(vm.handled(i, v), expected[i][v], "vCPU {} vector {:#x}", i, v);
		for (const row &what : rows) {
			unsigned path =
				what.by == way::ipi ? CORBEL_IRQ_PATH_IPI : CORBEL_IRQ_PATH_DEVICE;
			unsigned first = first_vector + (&what - rows) * vectors_each;

			for (unsigned v = first; v < first + vectors_each; v++) {
				CHECK_EQ(vectors[v].accepted[path], expected[i][v],
					 "{}: accepted by vCPU {}", what.name, i);
				CHECK_EQ(vectors[v].injected, expected[i][v],
					 "{}: injected to vCPU {}", what.name, i);
			}
		}
		CHECK_EQ(observed.read(i).nmi, expected[i][nmi_vector], "vCPU {}: NMIs", i);
	}
}

template <const apic_mode &mode, unsigned vcpus>
void run_table()
{
	table all(mode, vcpus);

	for (unsigned policy : {CORBEL_IRQ_POLICY_OFF, CORBEL_IRQ_POLICY_RESIDENT_FIRST,
				CORBEL_IRQ_POLICY_LEAST_PENDING})
		all.run(policy);
	comment("{} sent, each where it should go", all.sent);
}

constexpr test_case cases[] = {
	{"xAPIC, flat, 1 vCPU", run_table<xapic_flat, 1>},
	{"xAPIC, flat, 2 vCPUs", run_table<xapic_flat, 2>},
	{"xAPIC, flat, 4 vCPUs", run_table<xapic_flat, 4>},
	{"xAPIC, clusters, 1 vCPU", run_table<xapic_cluster, 1>},
	{"xAPIC, clusters, 2 vCPUs", run_table<xapic_cluster, 2>},
	{"xAPIC, clusters, 4 vCPUs", run_table<xapic_cluster, 4>},
	{"x2APIC, 1 vCPU", run_table<x2apic, 1>},
	{"x2APIC, 2 vCPUs", run_table<x2apic, 2>},
	{"x2APIC, 4 vCPUs", run_table<x2apic, 4>},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
