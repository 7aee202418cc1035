/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vm_numbers.hh - what can be counted of a VM, and who looks. */
#pragma once

#include "families.hh"

#include <libcorbel/stats.hh>

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <sys/types.h>

namespace corbel::metrics {

/* In seconds. Round and the same everywhere, so that hosts can be added up. */
inline constexpr std::array latency_bounds{
	5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4,
	1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1,  0.2,	0.5,  1.0,
};

/* Of all attachments of a process together. */
struct InterruptNumbers {
	Values posted; /* by path */
	Values became; /* by outcome */
	std::uint64_t pending = 0;
	std::uint64_t resyncs = 0;
	std::uint64_t sampled_vcpus = 0;
	Distribution latency{latency_bounds};
	Values boosts; /* empty: off */
	std::uint64_t boost_ns = 0;
	std::optional<std::uint64_t> offered; /* none: there is no policy */
	Values chosen; /* by residency */
	Values raises; /* of distributors, by outcome; empty: there are none */
	std::uint64_t distributor_pending = 0;
};

/* A part that is empty could not be had. */
struct VmNumbers {
	std::map<std::string, double> cpu; /* seconds, by mode */
	Values resident; /* bytes, by kind */
	std::optional<std::uint64_t> swapped;
	Values io_bytes, io_calls; /* by direction */
	Values kvm; /* as KVM calls them */
	std::optional<unsigned> attached; /* none: there are no modules */
	std::optional<InterruptNumbers> interrupts;
	std::set<std::string> failed; /* sources that should have answered */
};

/* Called by several threads at once, of one VM by one. May take for ever. */
class VmLooker {
public:
	VmLooker() = default;
	VmLooker(const VmLooker &) = delete;
	virtual ~VmLooker() = default;

	[[nodiscard]] virtual VmNumbers look(pid_t pid) = 0;
};

} /* namespace corbel::metrics */
