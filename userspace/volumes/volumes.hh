/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volumes.hh - volumes, snapshots and clones by their names.
 *
 * The pool knows numbers, which are not used twice; names are kept here. One that was made
 * when nobody was left to write down its name is shown as #N, and can be deleted so.
 *
 * Answers are what the verbs of the same names print. Called from any thread.
 */
#pragma once

#include "pools.hh"

#include "../pool/names.hh"

namespace corbel::volumes {

using pool::VolumeName;

class Volumes {
public:
	explicit Volumes(Pools &pools) : pools_(pools) {}

	/* ---- with @dry_run they check all of it ---- */

	[[nodiscard]] Result<Json> create(const VolumeName &name, std::uint64_t bytes,
					  bool activate, bool dry_run);
	/* Of @pool, or of all that are started; snapshots or all else. */
	[[nodiscard]] Result<Json> list(const std::string &pool, bool snapshots);
	[[nodiscard]] Result<Json> remove(const VolumeName &name, bool dry_run);
	[[nodiscard]] Result<Json> resize(const VolumeName &name, std::uint64_t bytes,
					  bool dry_run);
	[[nodiscard]] Result<Json> activate(const VolumeName &name, bool dry_run);
	[[nodiscard]] Result<Json> deactivate(const VolumeName &name, bool dry_run);
	/* With its snapshots; or one that has no name gets one. */
	[[nodiscard]] Result<Json> rename(const VolumeName &name, const std::string &as,
					  bool dry_run);
	/* Of all of them at one instant, each as VOLUME@@label. */
	[[nodiscard]] Result<Json> snapshot(const std::vector<VolumeName> &names,
					    const std::string &label, bool dry_run);
	/* To what @snapshot holds. */
	[[nodiscard]] Result<Json> roll_back(const VolumeName &snapshot, bool dry_run);
	[[nodiscard]] Result<Json> clone(const VolumeName &source, const std::string &as,
					 bool dry_run);

	/* The pool's number of one that is there. ENOENT, in words. */
	[[nodiscard]] Result<std::uint64_t> id_of(const VolumeName &name);
	/* Where they differ, in order, until @take says false. */
	using Take = std::function<bool(const Json &range)>;
	[[nodiscard]] Result<void> diff(const VolumeName &a, const VolumeName &b, const Take &take);

private:
	/* A pool that is started, and what is in it. */
	struct View {
		PoolRecord pool;
		Mapped device;
		PoolStatus status;
		std::vector<VolumeRecord> records;
		std::vector<VolumeStatus> known;
		std::vector<Mapped> mapped;

		[[nodiscard]] const VolumeStatus *find(std::uint64_t id) const;
		[[nodiscard]] const Mapped *device_of(std::uint64_t id) const;
		[[nodiscard]] std::string name_of(std::uint64_t id) const;
		[[nodiscard]] std::uint64_t block_bytes() const { return status.block_bytes(); }
		[[nodiscard]] std::uint64_t blocks_of(std::uint64_t bytes) const
		{
			return (bytes + block_bytes() - 1) / block_bytes();
		}
	};
	/* A volume that the pool has. */
	struct Found {
		VolumeRecord record; /* no name: it has none */
		VolumeStatus status;
	};

	[[nodiscard]] Result<View> view(const std::string &pool);
	/* ENOENT, in words. */
	[[nodiscard]] Result<Found> find(const View &view, const VolumeName &name);
	[[nodiscard]] Result<void> require_new(const View &view, const std::string &name);
	[[nodiscard]] Result<void> require_inactive(const View &view, std::uint64_t id,
						    std::string_view what_for);
	[[nodiscard]] Result<std::string> message(const View &view, const std::string &text);
	[[nodiscard]] Json json_of(const View &view, const VolumeStatus &volume);

	Pools &pools_;
};

} /* namespace corbel::volumes */
