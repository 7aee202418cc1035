/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target_option.hh - the argument that names a virtual machine. */
#pragma once

#include <string>

namespace CLI {
class App;
class Option;
}

namespace corbel::cli {

/* What cannot name one, whatever runs, is wrong usage. */
CLI::Option *add_target(CLI::App &app, std::string &target);

} /* namespace corbel::cli */
