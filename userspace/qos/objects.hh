/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * objects.hh - virtual disks, or parts of them, that have a policy on a LUN, wherever they lie.
 *
 * A disk is looked at when it is attached, and again whenever it may lie elsewhere. What has
 * changed of all that are looked at goes to the target as one change. A range that another
 * object has had is another's only when that one has been looked at, too, and has it no more;
 * so ranges that move between disks are nobody's at no time.
 *
 * Answers are what the verbs of the same names print. Called from any thread.
 */
#pragma once

#include "heat.hh"
#include "layouts.hh"
#include "luns.hh"

#include <set>

namespace corbel::workloads {

struct HeatWish {
	std::string lun, object; /* no object: all of the LUN */
	std::uint64_t cell_bytes = 0; /* 0: as small as there is room for */
	bool on = false, off = false;
};

class Objects {
public:
	Objects(Luns &luns, Layouts &layouts) : luns_(luns), layouts_(layouts) {}

	/* ---- what verbs do; with @dry_run they check all of it ---- */

	/* Numbers of @wish are found here. */
	[[nodiscard]] Result<Json> attach(ObjectRecord wish, bool dry_run);
	[[nodiscard]] Result<Json> detach(const std::string &lun, const std::string &object,
					  bool dry_run);
	/* All of a LUN if @object is empty. */
	[[nodiscard]] Result<Json> show(const std::string &lun, const std::string &object,
					bool histograms);
	[[nodiscard]] Result<Json> heatmap(const HeatWish &wish, bool dry_run);

	/* ---- what a follower does ---- */

	/* Paths of all disks, and what they are. */
	[[nodiscard]] std::map<std::string, extents::Format> paths();
	/* What has that path may lie elsewhere now. */
	void look(const std::string &path, const Warn &warn);
	/* Those that could not be looked at, or not be had, before. */
	void look_again(const Warn &warn);

private:
	using Names = std::set<std::string>;
	using Look = std::map<std::string, Known>;

	[[nodiscard]] Result<Known> look_at(const LunRecord &lun, const ObjectRecord &object);
	void look(const std::string &lun, Names names, const Warn &warn);
	[[nodiscard]] Names holders(const std::string &lun, const Look &looked);
	void part_with(const std::string &lun, Look &looked);
	[[nodiscard]] Result<void> send(const LunRecord &lun, const Look &looked,
					const std::vector<ObjectRecord> &objects);
	[[nodiscard]] Result<void> apply(const LunRecord &lun, Look looked);
	[[nodiscard]] Result<void> read_back(const LunRecord &lun);

	[[nodiscard]] Result<Json> change_policy(LunRecord &lun, ObjectRecord object,
						 const ObjectRecord &wish, bool dry_run);
	[[nodiscard]] Result<void> check_free(const ObjectRecord &wish, const Known &found);
	[[nodiscard]] Result<void> begin(LunRecord &lun, ObjectRecord object, Known found);

	Luns &luns_;
	Layouts &layouts_;
};

} /* namespace corbel::workloads */
