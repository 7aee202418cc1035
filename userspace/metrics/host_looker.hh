/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_looker.hh - the VMs of this host.
 *
 * What is read, and why there:
 *
 *   /proc/PID/stat, status, io   the process. Not smaps_rollup: it walks all of the
 *                                guest's memory, while the guest's own faults wait.
 *   /sys/kernel/debug/kvm/PID-*  KVM's counts. KVM_GET_STATS_FD would be the ABI for it,
 *                                but KVM answers it to nobody but the process that has
 *                                the VM (EIO for a descriptor that was borrowed).
 *   /dev/corbel                  interrupts of VMs that are observed already. Opened for
 *                                each look: held open it would keep the modules loaded.
 */
#pragma once

#include "vm_numbers.hh"

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

namespace corbel::metrics {

class HostLooker final : public VmLooker {
public:
	explicit HostLooker(std::filesystem::path proc = "/proc",
			    std::filesystem::path kvm = "/sys/kernel/debug/kvm",
			    std::filesystem::path device = "/dev/corbel")
		: proc_(std::move(proc)), kvm_(std::move(kvm)), device_(std::move(device))
	{}

	[[nodiscard]] VmNumbers look(pid_t pid) override;

private:
	using Clock = std::chrono::steady_clock;
	/* KVM's folders, by the process that made the VM. */
	using Folders = std::multimap<pid_t, std::filesystem::path>;

	void look_at_process(pid_t pid, VmNumbers &numbers) const;
	void look_at_kvm(pid_t pid, VmNumbers &numbers);
	[[nodiscard]] std::shared_ptr<const Folders> kvm_folders();

	std::filesystem::path proc_, kvm_, device_;
	std::mutex lock_;
	std::shared_ptr<const Folders> folders_;
	Clock::time_point listed_{};
};

/* What the modules at @device know of the VMs of @pid; no module is no error. */
[[nodiscard]] Result<void> look_at_interrupts(const std::filesystem::path &device, pid_t pid,
					      VmNumbers &numbers);

} /* namespace corbel::metrics */
