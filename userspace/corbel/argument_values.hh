/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * argument_values.hh - the arguments of a verb as JSON, on their way to the daemon.
 *
 * An object: keys are long names without their dashes. What has not been given is not in
 * it; nor is --json, which says how the tool shows the answer.
 */
#pragma once

#include "json.hh"
#include "options.hh"

#include <nlohmann/json.hpp>

#include <span>

namespace corbel::cli {

/* "dry-run" of "--dry-run". */
[[nodiscard]] std::string key_of(const Argument &argument);

/* As they were parsed. */
[[nodiscard]] Json values_of(std::span<const Argument> arguments);

/*
 * EINVAL, naming the argument: @values is not what the command line of a verb with
 * @arguments would let through. For whoever gets them from somebody else.
 */
[[nodiscard]] Result<void> check_values(std::span<const Argument> arguments, const Json &values);

} /* namespace corbel::cli */
