/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool_text.hh - what verbs about pools of blocks take and show in the same way. */
#pragma once

#include "json.hh"
#include "options.hh"

#include <string>

namespace corbel::cli {

/* The metadata device of a pool that is not started, which must be given. */
void declare_meta(OptionSet &set, std::string &value);

} /* namespace corbel::cli */
