// SPDX-License-Identifier: GPL-2.0-or-later
#include "irq_json.hh"
#include "schema.hh"
#include "verb.hh"

#include <libcorbel/device.hh>

#include <corbel/version.h>

#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

Json json_of_versions(const Result<Device> &device)
{
	Json json{{"tool_version", CORBEL_VERSION},
		  {"tool_abi_major", CORBEL_ABI_MAJOR},
		  {"tool_abi_minor", CORBEL_ABI_MINOR}};

	if (device) {
		const auto &module = device->module();

		json["module"] = {{"version", module.version},
				  {"abi_major", module.abi_major},
				  {"abi_minor", module.abi_minor},
				  {"kernel_release", module.release},
				  {"srcversion", module.srcversion}};
	} else {
		json["module"] = nullptr;
	}
	return json;
}

/* Not to reach the module is no failure here: the tool's version is known. */
ExitCode show_versions(bool as_json)
{
	auto device = Device::open();

	if (as_json) {
		fmt::print("{}\n", dump(json_of_versions(device), 2));
		return ExitCode::ok;
	}
	fmt::print("tool {} (ABI {}.{})\n", CORBEL_VERSION, CORBEL_ABI_MAJOR, CORBEL_ABI_MINOR);
	if (device)
		fmt::print("module {} (ABI {}.{}), built for kernel {}, srcversion {}\n",
			   device->module().version, device->module().abi_major,
			   device->module().abi_minor, device->module().release,
			   device->module().srcversion);
	else
		fmt::print("module unknown: {}\n", device.error().sentence);
	return ExitCode::ok;
}

Json describe()
{
	namespace s = schema;

	return s::object({{"tool_version", s::string()},
			  {"tool_abi_major", s::count()},
			  {"tool_abi_minor", s::count()},
			  {"module", s::nullable(s::object({{"version", s::string()},
							    {"abi_major", s::count()},
							    {"abi_minor", s::count()},
							    {"kernel_release", s::string()},
							    {"srcversion", s::string()}}))}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto json = std::make_shared<bool>(false);

	set.json(*json);
	return [json] { return show_versions(*json); };
}

} /* namespace */

const Verb version_verb{
	.group = "",
	.name = "version",
	.summary = "Versions of the tool and of the loaded module",
	.examples = "corbel version          the tool, and the module if it can be asked\n"
		    "corbel version --json   the same for scripts",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
