/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device under QoS, what its objects have counted, and what they should have.
 */
#pragma once

#include "base64.hh"
#include "block_pool.hh"
#include "file.hh"
#include "tap.hh"

#include "block/qos/range_set.hh"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <sstream>

namespace corbel::selftest {

struct op_counts {
	uint64_t ios, bytes, errors, service_ns;
};

struct object_counts {
	std::array<op_counts, 4> by_op; /* read, write, discard, flush */
	uint64_t throttled, throttled_ns;
};

/* The 18 numbers of an object, with spaces between. */
inline object_counts counts_from(const std::string &numbers)
{
	std::istringstream text(numbers);
	object_counts counts;

	for (op_counts &each : counts.by_op)
		text >> each.ios >> each.bytes >> each.errors >> each.service_ns;
	text >> counts.throttled >> counts.throttled_ns;
	CHECK(text, "not what an object counts: {}", numbers);
	return counts;
}

inline object_counts counts_of(const dm_device &device, unsigned object)
{
	return counts_from(device.message(fmt::format("stats {}", object)));
}

/* A device of its own on a RAM disk. */
struct qos_on_ram {
	static constexpr uint64_t bytes = 32 << 20, sectors = bytes / 512;

	explicit qos_on_ram(const std::string &options = {})
		: disks(1, bytes),
		  device("corbel-test", sectors, "corbel-qos " + disks.path(0) + " 0 " + options),
		  fd(open(device.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC))
	{
		CHECK(fd, "{}: {}", device.path(), std::strerror(errno));
	}

	ram_disks disks;
	dm_device device;
	unique_fd fd;
};

/* `set` of these: see kmod/block/qos/range_set.hh. */
inline std::string set_message(const std::vector<uint32_t> &objects,
			       const std::vector<qos::Range> &ranges)
{
	const auto object_count = static_cast<uint32_t>(objects.size());
	const auto range_count = static_cast<uint32_t>(ranges.size());
	const qos::RangeSetHeaderV1 header{qos::range_set_version, 0, object_count, range_count};
	std::string set(qos::range_set_bytes(object_count, range_count), 0);

	std::memcpy(set.data(), &header, sizeof(header));
	std::memcpy(&set[sizeof(header)], objects.data(), objects.size() * sizeof(uint32_t));
	if (range_count)
		std::memcpy(set.data() + set.size() - ranges.size() * sizeof(qos::Range),
			    ranges.data(), ranges.size() * sizeof(qos::Range));
	return "set " + encode_base64(set.data(), set.size());
}

/* By each sector, whose it is; and what is to be counted of I/O, for its owner and its cell. */
class qos_model {
public:
	struct cell {
		uint64_t reads, writes, bytes_read, bytes_written;

		bool operator==(const cell &) const = default;
	};

	qos_model(uint64_t sectors, unsigned objects, unsigned cell_shift = 54)
		: owner(sectors), counts(objects), shift(cell_shift)
	{}

	/* Ranges of all objects but rest, as they lie now. */
	std::vector<qos::Range> ranges() const
	{
		std::vector<qos::Range> all;

		for (uint64_t from = 0; from < owner.size();) {
			const uint64_t end = end_of(from, owner.size());
			if (owner[from])
				all.push_back({{from}, end - from, {owner[from]}, 0});
			from = end;
		}
		return all;
	}

	/* One I/O for each owner. */
	void done(bool write, uint64_t from, uint64_t sectors)
	{
		for (uint64_t first = from; first < from + sectors;) {
			const uint64_t end = end_of(first, from + sectors);
			op_counts &of = counts[owner[first]].by_op[write];
			of.ios++;
			of.bytes += (end - first) * 512;
			(write ? cells[first >> shift].writes : cells[first >> shift].reads)++;
			for (; first < end; first++)
				(write ? cells[first >> shift].bytes_written
				       : cells[first >> shift].bytes_read) += 512;
		}
	}

	std::vector<unsigned> owner;
	std::vector<object_counts> counts;
	std::map<uint64_t, cell> cells;

private:
	uint64_t end_of(uint64_t from, uint64_t end) const
	{
		uint64_t at = from;

		while (at < end && owner[at] == owner[from])
			at++;
		return at;
	}

	unsigned shift;
};

} // namespace corbel::selftest
