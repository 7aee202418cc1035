// SPDX-License-Identifier: GPL-2.0-or-later
#include "checks.hh"

#include <corbel/version.h>

#include <algorithm>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

const char *name_of_kind(std::uint32_t kind)
{
	switch (kind) {
	case CORBEL_HOOK_TRACEPOINT:
		return "tracepoint";
	case CORBEL_HOOK_DIRECT:
		return "function";
	case CORBEL_HOOK_OFFSET:
		return "offset";
	case CORBEL_HOOK_NOTIFIER:
		return "notifier";
	case CORBEL_HOOK_SYMBOL:
		return "symbol";
	default:
		return "hook";
	}
}

Finding check_version(const Host &host, const ModuleIdentity &module)
{
	auto both = fmt::format("tool {} and module {}, ABI {}.{}", CORBEL_VERSION, module.version,
				module.abi_major, module.abi_minor);

	if (module.release != host.release)
		return problem(
			"version",
			fmt::format("{}; the module was built for kernel {}", both, module.release),
			"Build the modules for the kernel that runs.");
	if (module.version != CORBEL_VERSION)
		return warning("version",
			       fmt::format("{}: they fit, but are of different releases", both),
			       "Install the tool and the modules from the same release.");
	return ok("version", both);
}

Finding check_capabilities(const corbel_caps &caps)
{
	if (!(caps.features & CORBEL_FEATURE_IRQ))
		return problem("capabilities", "the interrupt observer has not registered itself",
			       "Run `modprobe corbel_irq`, or `insmod corbel_irq.ko` from a "
			       "build.");
	if (!caps.btf)
		return warning("capabilities",
			       "the module could not read the kernel's type "
			       "information when it was loaded",
			       "Load kvm before corbel, then load corbel again.");
	return ok("capabilities",
		  fmt::format("interrupt observer registered, type information read, {} attached, "
			      "time stamps of {} kHz",
			      caps.nr_vms == 1 ? "1 VM" : fmt::format("{} VMs", caps.nr_vms),
			      caps.tsc_khz));
}

} /* namespace */

Finding judge_hook(const corbel_hook_info &hook)
{
	auto name = text_of(hook.name);
	auto check = fmt::format("hook.{}", name);
	auto detail = text_of(hook.detail);
	auto what =
		fmt::format("{}{}{}", name_of_kind(hook.kind), detail.empty() ? "" : ": ", detail);

	switch (hook.state) {
	case CORBEL_HOOK_READY:
		return ok(check, fmt::format("ready, {}", what));
	case CORBEL_HOOK_ACTIVE:
		return ok(check, hook.users ? fmt::format("in use by {}, {}", hook.users, what)
					    : fmt::format("in use, {}", what));
	case CORBEL_HOOK_MISSING:
		return warning(check, fmt::format("missing, {}", what),
			       "Corbel works with less until it is there: compare the kernel with "
			       "the range that is supported.");
	case CORBEL_HOOK_FAILED:
		return problem(check, fmt::format("could not be installed, {}", what),
			       "See `dmesg | grep corbel`; another tracer may hold the function, "
			       "then end it and load the module again.");
	default:
		return warning(check,
			       fmt::format("in a state this tool does not know ({}), {}",
					   hook.state, what),
			       "Use the tool of the module's release.");
	}
}

void check_module_answers(const Host &host, const Result<Device> &device, Findings &findings)
{
	if (!device) {
		findings.push_back(
			problem("device", "the module cannot be asked", device.error().sentence));
		return;
	}
	findings.push_back(check_version(host, device->module()));

	auto caps = device->capabilities();
	if (caps)
		findings.push_back(check_capabilities(*caps));
	else
		findings.push_back(problem("capabilities",
					   "the module does not tell what it can do",
					   caps.error().sentence));

	auto hooks = device->hooks();
	if (hooks)
		std::ranges::transform(*hooks, std::back_inserter(findings), judge_hook);
	else
		findings.push_back(problem("hooks", "the module does not tell its hooks",
					   hooks.error().sentence));
}

} /* namespace corbel::cli */
