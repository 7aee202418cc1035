/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader of KVM's binary statistics, written after KVM_GET_STATS_FD in KVM's
 * documentation and with its structs alone. What it can read of KVM it must be able to
 * read of us.
 */
#pragma once

#include "file.hh"
#include <corbel/kvm_abi.hh>
#include "tap.hh"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace corbel::selftest {

struct stats_value {
	kvm_stats_desc descriptor;
	std::vector<uint64_t> values;
};

class stats_reader {
public:
	/* Takes over the descriptor and looks at all that does not change. */
	explicit stats_reader(unique_fd fd);

	int fd() const { return descriptor.get(); }
	const std::string &id() const { return name; }
	const kvm_stats_header &header() const { return head; }
	/* Where the values end, in bytes. */
	size_t size() const { return head.data_offset + data_bytes; }

	/* All values, of one read. */
	std::map<std::string, stats_value> read() const;
	/* Of those with one value each. */
	std::map<std::string, uint64_t> read_scalars() const;

private:
	struct place {
		std::string name;
		kvm_stats_desc descriptor;
	};

	unique_fd descriptor;
	kvm_stats_header head = {};
	std::string name;
	std::vector<place> places;
	size_t data_bytes = 0;
};

/* CORBEL_IRQ_STATS, which has to succeed. */
stats_reader irq_stats(int irq, unsigned vcpu = ~0u, unsigned vector = ~0u);
/* CORBEL_DIST_STATS. */
stats_reader dist_stats(int dist);
/* CORBEL_QOS_STATS, of a device of one target. */
stats_reader qos_stats(int device, const std::string &path, unsigned object);

} // namespace corbel::selftest
