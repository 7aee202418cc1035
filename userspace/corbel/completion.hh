/* SPDX-License-Identifier: GPL-2.0-or-later */
/* completion.hh - scripts that complete the command line, made from the table of verbs. */
#pragma once

#include <string>

namespace corbel::cli {

[[nodiscard]] std::string bash_completion();
[[nodiscard]] std::string zsh_completion();
[[nodiscard]] std::string fish_completion();

} /* namespace corbel::cli */
