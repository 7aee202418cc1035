/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * names.hh - how pools, volumes and snapshots are called.
 *
 *   POOL                     letters, digits, dots, underscores
 *   POOL/VOLUME              dashes as well; or #N, the number of one that has no name
 *   POOL/VOLUME@SNAPSHOT
 *
 * No dash in the name of a pool: those of device-mapper are corbel-POOL-VOLUME.
 */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <string>
#include <string_view>

namespace corbel::pool {

[[nodiscard]] bool is_pool_name(std::string_view name);
/* Of a volume, or of a snapshot without its volume. */
[[nodiscard]] bool is_volume_name(std::string_view name);

struct VolumeName {
	std::string pool;
	std::string volume; /* with "@SNAPSHOT" if it is one */

	[[nodiscard]] bool is_snapshot() const;
	/* Of a snapshot, what it was made of. */
	[[nodiscard]] std::string of() const;
	[[nodiscard]] std::string text() const { return pool + "/" + volume; }

	bool operator==(const VolumeName &) const = default;
};
/* EINVAL, with what is wrong. */
[[nodiscard]] Result<VolumeName> parse_volume(const std::string &text);

/* "10G", "512M", "64K", "1T" or bytes: EINVAL. */
[[nodiscard]] Result<std::uint64_t> parse_size(const std::string &text);
/* "10G" where that is exact, else "1.5G" or so. */
[[nodiscard]] std::string size_text(std::uint64_t bytes);

} /* namespace corbel::pool */
