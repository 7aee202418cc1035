// SPDX-License-Identifier: GPL-2.0-or-later
#include "target_option.hh"

#include "target.hh"

#include <CLI/CLI.hpp>

namespace corbel::cli {

CLI::Option *add_target(CLI::App &app, std::string &target)
{
	return app
		.add_option("vm", target,
			    "pid, pid:fd, name of the guest, name:TEXT, or id:N of an attachment")
		->type_name("VM")
		->check([](const std::string &text) {
			auto parsed = parse_target(text);

			return parsed ? std::string() : parsed.error().sentence;
		});
}

} /* namespace corbel::cli */
