/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command_line.hh - from the words of the command line to the verb they name. */
#pragma once

#include "verb.hh"

#include <expected>
#include <functional>

namespace corbel::cli {

/*
 * What is to be done, or the exit status if that is all: help was asked for, or the usage
 * is wrong and stderr says how.
 */
[[nodiscard]] std::expected<std::function<ExitCode()>, ExitCode> parse(int argc,
								       const char *const *argv);

/* Parses and does it. */
ExitCode run(int argc, const char *const *argv);

} /* namespace corbel::cli */
