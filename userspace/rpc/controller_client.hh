/* SPDX-License-Identifier: GPL-2.0-or-later */
/* controller_client.hh - asks the daemon of this host to do a verb. */
#pragma once

#include <libcorbel/error.hh>

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace corbel::rpc {

using Json = nlohmann::ordered_json;

/* $CORBEL_SOCKET, or where the daemon listens unless it is told otherwise. */
[[nodiscard]] std::string controller_socket();

/*
 * Calls @verb; each object of the answer is given to @take until that returns false.
 * Blocks until the answer has ended, at most for @limit. Errors: those of the verb;
 * ECONNREFUSED or ENOENT if there is no daemon, EACCES if this user may not ask it,
 * ETIMEDOUT, ECONNRESET if it ended meanwhile. Signals do not end it.
 */
[[nodiscard]] Result<void> call(const std::string &verb, const Json &arguments,
				const std::function<bool(const Json &)> &take,
				std::optional<std::chrono::milliseconds> limit = std::nullopt);

} /* namespace corbel::rpc */
