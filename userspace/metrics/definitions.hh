/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * definitions.hh - every metric there is. A scrape names them all, also those that have no
 * series now, so that dashboards and alert rules can be held against it.
 *
 * Names and labels are stable: they may be added to, never renamed.
 */
#pragma once

#include <array>
#include <cstddef>

#include <prometheus/metric_type.h>

namespace corbel::metrics {

enum class Metric : unsigned {
	build,
	start_time,
	uptime,
	scrape_duration,
	gather_age,
	gather_errors,
	gather_stuck,
	state_version,
	modules_loaded,
	warnings,
	guests,
	jobs,
	jobs_ended,
	job_duration,
	job_warnings,
	vm_info,
	vm_stale,
	vm_age,
	vm_running,
	vm_vcpus,
	vm_cpu,
	vm_memory_configured,
	vm_memory_resident,
	vm_memory_swapped,
	vm_io_bytes,
	vm_io_calls,
	vm_disk_bytes,
	vm_disk_operations,
	vm_disk_time,
	vm_exits,
	vm_halts,
	vm_kvm_events,
	vm_attached,
	vm_interrupts_posted,
	vm_interrupts,
	vm_interrupts_pending,
	vm_interrupt_latency,
	vm_interrupt_resyncs,
	vm_sampled_vcpus,
	vm_boosts,
	vm_boost_seconds,
	vm_choices_offered,
	vm_choices,
	vm_distributor_raises,
	vm_distributor_pending,
	count, /* none of them */
};

struct Definition {
	const char *name;
	prometheus::MetricType type;
	const char *help;
};

inline constexpr std::size_t metric_count = static_cast<std::size_t>(Metric::count);

/* In the order of enum Metric. */
[[nodiscard]] const std::array<Definition, metric_count> &definitions();

} /* namespace corbel::metrics */
