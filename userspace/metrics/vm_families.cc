// SPDX-License-Identifier: GPL-2.0-or-later
#include "vm_families.hh"

#include <set>
#include <tuple>

namespace corbel::metrics {

namespace {

double seconds(std::chrono::milliseconds time)
{
	return static_cast<double>(time.count()) / 1000;
}

/* Adds series of one VM. */
class VmSeries {
public:
	VmSeries(Families &families, const VmView &vm)
		: families_(families),
		  labels_{{"vm", label_value(vm.facts->name)},
			  {"pid", std::to_string(vm.facts->pid)}}
	{}

	void add(Metric metric, double value) { families_.add(metric, labels_, value); }
	void add(Metric metric, std::uint64_t value) { add(metric, static_cast<double>(value)); }
	void add(Metric metric, const char *label, std::string_view kind, double value)
	{
		families_.add(metric, with({{label, label_value(kind)}}), value);
	}
	template <typename Number>
	void add(Metric metric, const char *label, const std::map<std::string, Number> &values)
	{
		for (const auto &[kind, value] : values)
			add(metric, label, kind, static_cast<double>(value));
	}
	void add(Metric metric, const Distribution &distribution)
	{
		families_.add(metric, labels_, distribution);
	}
	[[nodiscard]] Labels with(Labels more) const
	{
		more.insert(more.begin(), labels_.begin(), labels_.end());
		return more;
	}

private:
	Families &families_;
	const Labels labels_;
};

/* Of names that are the same as labels the first counts, and of very many the first ones. */
void add_disks(Families &families, const VmSeries &series, const std::vector<qemu::DiskIo> &disks)
{
	constexpr std::size_t most_disks = 64;
	std::set<std::string> seen;

	for (const auto &disk : disks) {
		const auto name = label_value(disk.id);
		const auto add = [&](Metric metric, const char *label, const char *kind,
				     double value) {
			families.add(metric, series.with({{"disk", name}, {label, kind}}), value);
		};

		if (seen.size() == most_disks)
			return;
		if (!seen.insert(name).second)
			continue;
		add(Metric::vm_disk_bytes, "direction", "read",
		    static_cast<double>(disk.read_bytes));
		add(Metric::vm_disk_bytes, "direction", "write",
		    static_cast<double>(disk.written_bytes));
		for (const auto &[kind, count, ns] :
		     {std::tuple("read", disk.reads, disk.read_ns),
		      std::tuple("write", disk.writes, disk.write_ns),
		      std::tuple("flush", disk.flushes, disk.flush_ns)}) {
			add(Metric::vm_disk_operations, "operation", kind,
			    static_cast<double>(count));
			add(Metric::vm_disk_time, "operation", kind, static_cast<double>(ns) / 1e9);
		}
	}
}

void add_facts(Families &families, VmSeries &series, const VmView &vm, const View &view)
{
	const auto &guest = *vm.facts;
	const auto &arguments = guest.arguments.facts;
	const auto add_age = [&](const char *source, std::chrono::milliseconds age) {
		series.add(Metric::vm_age, "source", source, seconds(age));
		series.add(Metric::vm_stale, "source", source, age > view.stale_after ? 1 : 0);
	};

	families.add(Metric::vm_info,
		     series.with({{"managed_by", std::string(name_of(guest.manager))},
				  {"machine", label_value(arguments.machine)},
				  {"accelerator", label_value(arguments.accelerator)},
				  {"qemu", label_value(guest.monitor.facts.version)}}),
		     1);
	add_age("look", vm.age);
	if (vm.monitor_age)
		add_age("monitor", *vm.monitor_age);
	if (guest.monitor.seen) {
		const bool running = guest.monitor.facts.status == "running";

		series.add(Metric::vm_running, running ? 1.0 : 0.0);
		add_disks(families, series, guest.monitor.facts.disk_io);
	}
	series.add(Metric::vm_vcpus, guest.vcpus ? guest.vcpus : arguments.vcpus);
	if (guest.arguments.seen)
		series.add(Metric::vm_memory_configured, arguments.memory);
}

void add_interrupts(VmSeries &series, const InterruptNumbers &numbers)
{
	series.add(Metric::vm_interrupts_posted, "path", numbers.posted);
	series.add(Metric::vm_interrupts, "outcome", numbers.became);
	series.add(Metric::vm_interrupts_pending, numbers.pending);
	series.add(Metric::vm_interrupt_resyncs, numbers.resyncs);
	series.add(Metric::vm_sampled_vcpus, numbers.sampled_vcpus);
	series.add(Metric::vm_interrupt_latency, numbers.latency);
	if (!numbers.boosts.empty()) {
		series.add(Metric::vm_boosts, "outcome", numbers.boosts);
		series.add(Metric::vm_boost_seconds, static_cast<double>(numbers.boost_ns) / 1e9);
	}
	if (numbers.offered) {
		series.add(Metric::vm_choices_offered, *numbers.offered);
		series.add(Metric::vm_choices, "residency", numbers.chosen);
	}
	if (!numbers.raises.empty()) {
		series.add(Metric::vm_distributor_raises, "outcome", numbers.raises);
		series.add(Metric::vm_distributor_pending, numbers.distributor_pending);
	}
}

void add_numbers(VmSeries &series, const VmNumbers &numbers)
{
	auto events = numbers.kvm;

	series.add(Metric::vm_cpu, "mode", numbers.cpu);
	series.add(Metric::vm_memory_resident, "kind", numbers.resident);
	if (numbers.swapped)
		series.add(Metric::vm_memory_swapped, *numbers.swapped);
	series.add(Metric::vm_io_bytes, "direction", numbers.io_bytes);
	series.add(Metric::vm_io_calls, "direction", numbers.io_calls);
	if (const auto exits = events.extract("exits"))
		series.add(Metric::vm_exits, exits.mapped());
	if (const auto halts = events.extract("halt_exits"))
		series.add(Metric::vm_halts, halts.mapped());
	series.add(Metric::vm_kvm_events, "event", events);
	if (numbers.attached)
		series.add(Metric::vm_attached, std::uint64_t{*numbers.attached});
	if (numbers.interrupts)
		add_interrupts(series, *numbers.interrupts);
}

} /* namespace */

void add_vms(Families &families, const View &view)
{
	for (std::size_t i = 0; i < view.vms.size(); i++) {
		const auto &vm = view.vms[i];

		/* Of two of one number the first has ended; a series may be there once only. */
		if (i + 1 < view.vms.size() && view.vms[i + 1].facts->pid == vm.facts->pid)
			continue;
		VmSeries series(families, vm);
		add_facts(families, series, vm, view);
		if (vm.numbers)
			add_numbers(series, *vm.numbers);
	}
	families.add(Metric::guests, {}, static_cast<double>(view.vms.size()));
	families.add(Metric::gather_stuck, {}, static_cast<double>(view.stuck));
	if (view.search_age)
		families.add(Metric::gather_age, {{"source", "guests"}}, seconds(*view.search_age));
	for (const auto *source : {"modules", "process"}) {
		const auto found = view.failures.find(source);

		families.add(Metric::gather_errors, {{"source", source}},
			     found == view.failures.end() ? 0 : static_cast<double>(found->second));
	}
}

} /* namespace corbel::metrics */
