// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"

namespace corbel::cli {

void declare_meta(OptionSet &set, std::string &value)
{
	set.add({.name = "meta",
		 .type = "META",
		 .help = "Metadata device of a pool that is not started, or a copy in a file",
		 .place = &value,
		 .required = true});
}

} /* namespace corbel::cli */
