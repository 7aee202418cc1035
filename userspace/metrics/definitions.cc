// SPDX-License-Identifier: GPL-2.0-or-later
#include "definitions.hh"

namespace corbel::metrics {

const std::array<Definition, metric_count> &definitions()
{
	using enum prometheus::MetricType;

	static constexpr std::array<Definition, metric_count> all{{
		{"corbel_build_info", Gauge, "1; which release the daemon is of"},
		{"corbel_start_time_seconds", Gauge,
		 "When the daemon was started, since the epoch"},
		{"corbel_uptime_seconds", Gauge, "For how long the daemon has run"},
		{"corbel_scrape_duration_seconds", Gauge, "What the scrape before this one took"},
		{"corbel_gather_age_seconds", Gauge,
		 "Since when what a source says has not been seen anew"},
		{"corbel_gather_errors_total", Counter, "Looks at a source that failed"},
		{"corbel_gather_stuck", Gauge, "Looks at VMs that have not come back in time"},
		{"corbel_state_version", Gauge, "Changes of the daemon's state so far"},
		{"corbel_modules_loaded", Gauge, "1 if the modules of Corbel are loaded"},
		{"corbel_warnings", Gauge, "How often the daemon warned, of what is not cleared"},
		{"corbel_guests", Gauge, "Guests that run on this host"},
		{"corbel_jobs", Gauge, "Jobs that are remembered"},
		{"corbel_jobs_ended_total", Counter, "Jobs that ended while the daemon ran"},
		{"corbel_job_duration_seconds", Histogram,
		 "From the submission to the end of jobs that ended while the daemon ran"},
		{"corbel_job_warnings", Gauge, "Warnings of jobs that are remembered"},
		{"corbel_vm_info", Gauge, "1; what the VM is"},
		{"corbel_vm_stale", Gauge,
		 "1 if what the source says of the VM has not been seen anew for too long"},
		{"corbel_vm_age_seconds", Gauge,
		 "Since when what the source says of the VM has not been seen anew"},
		{"corbel_vm_running", Gauge, "1 if its monitor says that it runs, 0 if paused"},
		{"corbel_vm_vcpus", Gauge, "vCPUs that it has"},
		{"corbel_vm_cpu_seconds_total", Counter,
		 "CPU time of its process; guest: in the guest, user: in the process itself"},
		{"corbel_vm_memory_configured_bytes", Gauge, "Memory that the guest was given"},
		{"corbel_vm_memory_resident_bytes", Gauge, "Memory of its process that is in RAM"},
		{"corbel_vm_memory_swapped_bytes", Gauge,
		 "Memory of its process that is swapped out"},
		{"corbel_vm_io_bytes_total", Counter, "What its process made disks do"},
		{"corbel_vm_io_calls_total", Counter,
		 "System calls of its process that read or write"},
		{"corbel_vm_disk_bytes_total", Counter, "What its disks did for the guest"},
		{"corbel_vm_disk_operations_total", Counter,
		 "Completed operations of its disks, for the guest"},
		{"corbel_vm_disk_seconds_total", Counter,
		 "How long the operations of its disks took, in all"},
		{"corbel_vm_exits_total", Counter, "Exits of its vCPUs, from KVM"},
		{"corbel_vm_halts_total", Counter, "Exits for HLT, from KVM"},
		{"corbel_vm_kvm_events_total", Counter, "Other counts of KVM"},
		{"corbel_vm_attached", Gauge, "Attachments of the modules that it has"},
		{"corbel_vm_interrupts_posted_total", Counter,
		 "Interrupts that local APICs accepted, by who sent them"},
		{"corbel_vm_interrupts_total", Counter, "What became of interrupts"},
		{"corbel_vm_interrupts_pending", Gauge, "Vectors that wait now"},
		{"corbel_vm_interrupt_latency_seconds", Histogram,
		 "From acceptance by the local APIC to injection, in at most a quarter more"},
		{"corbel_vm_interrupt_resyncs_total", Counter,
		 "How often a record was held against the IRR"},
		{"corbel_vm_sampled_vcpus", Gauge,
		 "vCPUs whose interrupts are not counted exactly"},
		{"corbel_vm_boosts_total", Counter, "What came of interrupts for preempted vCPUs"},
		{"corbel_vm_boost_seconds_total", Counter, "CPU time of boosted vCPUs"},
		{"corbel_vm_choices_offered_total", Counter,
		 "Interrupts for which a vCPU was chosen"},
		{"corbel_vm_choices_total", Counter, "Chosen vCPUs, by where they were"},
		{"corbel_vm_distributor_raises_total", Counter,
		 "What became of what distributors were asked for"},
		{"corbel_vm_distributor_pending", Gauge, "Virtual interrupts that wait now"},
	}};
	static_assert(all.back().name, "each of enum Metric has a line");

	return all;
}

} /* namespace corbel::metrics */
