/* SPDX-License-Identifier: GPL-2.0-or-later */
/* command_line.hh - from the table of verbs to one that runs. */
#pragma once

#include "verb.hh"

namespace corbel::cli {

/* Parses, runs one verb and returns its exit code; prints help and usage itself. */
[[nodiscard]] ExitCode run(int argc, const char *const *argv);

} /* namespace corbel::cli */
