/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * records.hh - what is remembered of QoS: which devices are under it, policies, and whose disk
 * is to have which.
 *
 * The kernel knows numbers, and forgets all of it with the table of a device. What is written
 * here comes first; a LUN that is not settled may not have been told all of it.
 */
#pragma once

#include "policy.hh"
#include "words.hh"

#include "../state/store.hh"

#include <optional>
#include <string>
#include <vector>

namespace corbel::workloads {

struct LunRecord {
	std::string name, uuid;
	std::string device; /* path */
	std::uint64_t sectors = 0;
	std::uint64_t depth = 0, io_bytes = 0;
	std::uint64_t next = 1; /* the object that is made next */
	std::uint64_t heat_shift = 0; /* of the cells of its heat map; 0: it has none */
	bool settled = true;
};

struct ObjectRecord {
	std::string lun, name;
	std::uint64_t number = 0, budget = 0; /* of the target */
	std::string policy;
	bool shared = false;
	bool histograms = false;
	std::string path; /* of its disk; empty: it has ranges */
	std::string format; /* of it: raw, qcow2, or empty: as it looks */
	std::string vm, disk; /* how that was found, or empty */
	std::vector<ByteRange> ranges; /* of the LUN */
	std::uint64_t partition = 0; /* of the disk; 0: not one */
	std::optional<ByteRange> part; /* of the disk */
	bool leaving = false; /* it is being detached */
};

class Records {
public:
	explicit Records(state::Store &store) : store_(store) {}

	/* ENOENT, in words. */
	[[nodiscard]] Result<LunRecord> lun(const std::string &name);
	[[nodiscard]] Result<std::vector<LunRecord>> luns();
	/* EEXIST: @is_new, and there is one. */
	[[nodiscard]] Result<void> put(const LunRecord &lun, bool is_new = false);
	/* With all of its objects. */
	[[nodiscard]] Result<void> erase(const LunRecord &lun);

	[[nodiscard]] Result<PolicyRecord> policy(const std::string &name);
	[[nodiscard]] Result<std::vector<PolicyRecord>> policies();
	[[nodiscard]] Result<void> put(const PolicyRecord &policy);
	[[nodiscard]] Result<void> erase(const PolicyRecord &policy);

	/* Of a LUN, by name; of all of them. */
	[[nodiscard]] Result<std::vector<ObjectRecord>> objects(const std::string &lun);
	[[nodiscard]] Result<std::vector<ObjectRecord>> objects();
	/* Both at once. */
	[[nodiscard]] Result<void> put(const LunRecord &lun, const ObjectRecord &object);
	[[nodiscard]] Result<void> erase(const LunRecord &lun, const ObjectRecord &object);

private:
	state::Store &store_;
};

} /* namespace corbel::workloads */
