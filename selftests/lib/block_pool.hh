/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool of dm-corbel on RAM disks (brd), driven as an operator would, by dmsetup; and its
 * metadata read from outside by the same logic on the host's side, when it is stopped.
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace corbel::selftest {

/* Loads dm-corbel and what it needs; skips the case where that cannot be. */
void ensure_block();

/* Output of a shell command, which must succeed. */
std::string shell(const std::string &command);
/* Its exit status; what it said is in @output. */
int try_shell(const std::string &command, std::string *output = nullptr);

/* RAM disks of one size, /dev/ram0 and on, empty; one set at a time. */
class ram_disks {
public:
	ram_disks(unsigned count, uint64_t bytes);
	~ram_disks();
	ram_disks(const ram_disks &) = delete;

	static std::string path(unsigned number);
};

/* A device of device-mapper, removed at the end. */
class dm_device {
public:
	/* @table: without the start. */
	dm_device(std::string name, uint64_t sectors, const std::string &table);
	~dm_device();
	dm_device(const dm_device &) = delete;
	dm_device(dm_device &&other) noexcept : name(std::move(other.name)) { other.name.clear(); }

	std::string path() const { return "/dev/mapper/" + name; }
	std::string status() const;
	/* A field of its statistics (Linux's Documentation/block/stat.rst), from 0 on. */
	uint64_t statistic(unsigned field) const;
	/* What the message answers. */
	std::string message(const std::string &text) const;
	/* The same past dmsetup: @text may be of any length. */
	void send(const std::string &text) const;
	/* Its exit status is not 0. */
	bool refuses(const std::string &text) const;
	void reload(uint64_t sectors, const std::string &table) const;
	void remove();

	std::string name;
};

struct pool_devices {
	std::string meta;
	std::vector<std::string> data;
	uint32_t block_bytes = 64 << 10;
};

/* Metadata and labels, over whatever was there. */
void format_pool(const pool_devices &devices);
/* A label for one more device of the pool on @meta. */
void format_data(const std::string &meta, const std::string &device, const std::string &tier);

/* The table that joins them, and how long it is. */
std::string pool_table(const pool_devices &devices, const std::string &options = {});
uint64_t pool_sectors(const pool_devices &devices);
uint64_t device_sectors(const std::string &path);

/* By the logic alone: the first @count blocks of @volume get a place, and hold whatever lies there. */
void map_blocks(const std::string &meta, uint64_t volume, uint64_t count);

/* Fails the case if what is on the metadata device does not fit together. */
void check_pool(const std::string &meta);
/* How much does not; -1: it cannot be opened. */
int64_t violations_of(const std::string &meta);

} // namespace corbel::selftest
