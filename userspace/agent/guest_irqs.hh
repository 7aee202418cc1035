/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_irqs.hh - the interrupts of the machine this runs on, by what the kernel shows
 * of them in /proc.
 *
 * All that is ever opened is opened below one folder, taken when this is made.
 */
#pragma once

#include <agent/protocol.hh>

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <string>
#include <string_view>
#include <vector>

namespace corbel::agent {

/* One line of /proc/interrupts that has a number. */
struct InterruptLine {
	std::uint32_t number = 0;
	std::vector<CpuCount> counts; /* without zeros */
	std::string name; /* chip, pin and those who handle it */
	bool handled = false; /* by anybody */
};

[[nodiscard]] std::vector<InterruptLine> parse_interrupts(std::string_view text);
/* Of /proc/cpuinfo: the CPUs that are online. */
[[nodiscard]] std::vector<Cpu> parse_cpuinfo(std::string_view text);

class GuestIrqs {
public:
	[[nodiscard]] static Result<GuestIrqs> open(const char *proc = "/proc");

	[[nodiscard]] Result<std::vector<Cpu>> online() const;
	/* By number; those that somebody handles. */
	[[nodiscard]] Result<std::vector<GuestIrq>> irqs() const;

	[[nodiscard]] Result<CpuSet> affinity(std::uint32_t irq) const;
	[[nodiscard]] Result<CpuSet> effective(std::uint32_t irq) const;
	/* EIO: the kernel does not let it be moved. ENOENT: there is none. */
	[[nodiscard]] Result<void> set_affinity(std::uint32_t irq, const CpuSet &cpus) const;

private:
	explicit GuestIrqs(ScopedFd proc) : proc_(std::move(proc)) {}

	[[nodiscard]] Result<std::string> read(const std::string &path) const;
	[[nodiscard]] Result<CpuSet> read_set(std::uint32_t irq, const char *file) const;

	ScopedFd proc_;
};

} /* namespace corbel::agent */
