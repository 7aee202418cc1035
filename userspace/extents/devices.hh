/* SPDX-License-Identifier: GPL-2.0-or-later */
/* devices.hh - block devices that lie on others, down to a LUN. */
#pragma once

#include "volume_map.hh"

#include <volumes/mapper.hh>

#include <sys/types.h>

#include <optional>
#include <string>

namespace corbel::extents {

struct Device {
	std::string name; /* "sdb1" */
	std::uint64_t bytes;
	std::optional<dev_t> whole; /* it is a partition of that one */
	std::uint64_t start = 0; /* there */
	bool mapped = false; /* by device-mapper */
	std::vector<dev_t> below; /* what device-mapper or others say that it lies on */
};

/* What the kernel says of block devices. */
class Devices {
public:
	Devices() = default;
	Devices(const Devices &) = delete;
	virtual ~Devices() = default;

	[[nodiscard]] virtual Result<Device> look(dev_t number) = 0;
	[[nodiscard]] virtual Result<std::vector<volumes::Row>> table(dev_t number) = 0;
	/* The pool whose device it is. */
	[[nodiscard]] virtual PoolAsker pool(dev_t number) = 0;
};

/* By sysfs and libdevmapper. */
[[nodiscard]] Devices &kernel_devices();

/* Where what is on @device lies on @lun: ascending by offset, empty if nothing of it does. */
[[nodiscard]] Result<std::vector<Extent>> place_device(Devices &devices, dev_t device, dev_t lun);

/* All that place_device() can depend on: another text, maybe another place. */
struct Chain {
	std::string text;
	bool on_pool = false; /* blocks may move, of which device-mapper has an event */

	friend bool operator==(const Chain &, const Chain &) = default;
};
[[nodiscard]] Chain describe_chain(Devices &devices, dev_t device);

/* "partition", "linear volume", "volume of a pool", "whole device" */
[[nodiscard]] Result<std::string> kind_of_device(Devices &devices, dev_t number);

} /* namespace corbel::extents */
