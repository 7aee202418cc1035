/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dump.hh - all that a pool's metadata says, in pieces of JSON as it is read. */
#pragma once

#include "survey.hh"

#include "../../kmod/block/pool.hh"

#include <nlohmann/json.hpp>

#include <functional>
#include <optional>

namespace corbel::pool {

/* False: nobody wants more. */
using Take = std::function<bool(const nlohmann::ordered_json &piece)>;

/*
 * The superblock, devices, volumes and their maps, the middle and the reverse map; or
 * @volume alone: ENOENT if there is none. Entries that lie side by side are one piece. What is
 * damaged is a piece that says so, and the rest goes on. False: there was such.
 */
[[nodiscard]] Result<bool> dump(block::Pool &pool, std::optional<std::uint64_t> volume,
				const std::string &path, const Take &take);

} /* namespace corbel::pool */
