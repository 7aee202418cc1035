/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volume_disks.hh - disks of VMs that are volumes of this host's pools, when VMs come and go.
 *
 * A volume is thin: its pool must have room for all of it, but gets the blocks while they are
 * copied, which has ended before the commit point. A pool that becomes full meanwhile has the VM
 * stay where it is.
 */
#pragma once

#include "../migrate/storage.hh"
#include "../volumes/volumes.hh"

namespace corbel::daemon {

/* Called from any thread; waits for what else is done with pools. */
class PoolVolumes final : public migrate::VolumeDisks {
public:
	/* @pools outlives it. */
	explicit PoolVolumes(volumes::Pools &pools) : pools_(pools), volumes_(pools) {}

	[[nodiscard]] std::vector<std::string>
	obstacles(const std::vector<migrate::DiskIdentity> &coming) override;
	[[nodiscard]] Result<void> make(migrate::MadeDisk &disk, const std::string &session,
					std::uint64_t size,
					const std::function<Result<void>()> &keep) override;
	[[nodiscard]] Result<void> remove(const migrate::MadeDisk &disk,
					  const std::string &session) override;
	[[nodiscard]] Result<std::optional<std::string>>
	put_aside(const migrate::DiskIdentity &disk, const std::string &session) override;

private:
	/* Whoever looks at new devices has it open for a moment. */
	[[nodiscard]] Result<void> deactivate(const pool::VolumeName &name);
	/* Nothing: there is none, or no such pool. */
	[[nodiscard]] Result<std::optional<std::uint64_t>> id_of(const pool::VolumeName &name);

	volumes::Pools &pools_;
	volumes::Volumes volumes_;
};

} /* namespace corbel::daemon */
