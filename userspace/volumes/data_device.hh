/* SPDX-License-Identifier: GPL-2.0-or-later */
/* data_device.hh - block devices that a pool takes, and the labels on those with its data. */
#pragma once

#include "../../kmod/block/format.hh"
#include "../../kmod/block/label.hh"
#include "../../kmod/block/store.hh"
#include "../pool/meta_device.hh"

#include <libcorbel/error.hh>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace corbel::volumes {

/* As uuid_text() writes it. */
struct Label {
	std::string pool, device, tier;
	std::uint64_t data_start;
};

/*
 * To be written to, nobody else's until it is let go. EBUSY: it is in use; EEXIST: it holds
 * something, and not @force.
 */
[[nodiscard]] Result<std::unique_ptr<pool::MetaDevice>> take_device(const std::string &path,
								    bool force);
/* "ext4", "data of pool ...": what is known to be on it; else nothing. */
[[nodiscard]] Result<std::string> contents_of(pool::MetaDevice &device);
/* What tells file systems, pools and the like apart is gone from it. */
[[nodiscard]] Result<void> clear_device(pool::MetaDevice &device);

[[nodiscard]] Result<block::Uuid> make_uuid();
[[nodiscard]] Result<block::Uuid> uuid_of(const std::string &text);

[[nodiscard]] Result<void> write_label(pool::MetaDevice &device, const block::Uuid &pool,
				       const block::Uuid &uuid, const std::string &tier);
/* ENOENT: it has none. */
[[nodiscard]] Result<Label> read_label(const std::string &path);
/* So that no pool takes it for its own any more. */
[[nodiscard]] Result<void> erase_label(const std::string &path, const std::string &device);

/* Paths of all that this host has. */
[[nodiscard]] std::vector<std::string> block_devices();
/*
 * Where the device with these UUIDs is: @path, or, as names of disks change, one of @others.
 * ENOENT: it is none of them.
 */
[[nodiscard]] Result<std::string>
find_device(const std::string &path, const std::string &pool, const std::string &device,
	    const std::vector<std::string> &others = block_devices());
/* A superblock of the pool whose metadata is there, if it is; nobody need have it for himself. */
[[nodiscard]] std::optional<block::SuperblockV1> super_on(const std::string &path);

/* "8:16"; of a file its path. */
[[nodiscard]] Result<std::string> number_of(const std::string &path);

[[nodiscard]] Result<std::uint64_t> bytes_of(const std::string &path);

/* Blocks of @block_bytes that fit on @bytes behind the label. */
[[nodiscard]] std::uint64_t data_blocks(std::uint64_t bytes, std::uint64_t block_bytes);

} /* namespace corbel::volumes */
