/* SPDX-License-Identifier: GPL-2.0-or-later */
/* daemon_call.hh - verbs that the daemon of this host does. */
#pragma once

#include "json.hh"
#include "verb.hh"

#include <functional>
#include <optional>

namespace corbel::cli {

using Show = std::function<ExitCode(const Json &answer)>;

/* An answer that does not fit into one message comes in pieces: each adds to arrays of the first. */
void add_piece(std::optional<Json> &answer, const Json &piece);

/*
 * Asks the daemon to do @verb with @arguments, as they were parsed. The answer, one
 * object, is printed if @json, else given to @show.
 */
[[nodiscard]] ExitCode ask_daemon(const Verb &verb, const std::vector<Argument> &arguments,
				  bool json, const Show &show);

/* The same for answers of many objects; @take false: that is enough. */
[[nodiscard]] Result<void> follow_daemon(const Verb &verb, const std::vector<Argument> &arguments,
					 const std::function<bool(const Json &object)> &take);

} /* namespace corbel::cli */
