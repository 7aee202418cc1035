// SPDX-License-Identifier: GPL-2.0-or-later
#include "checks.hh"

#include <libcorbel/kernel_release.hh>
#include <libcorbel/text_file.hh>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

constexpr const char *signing_remedy =
	"Sign corbel.ko, corbel_irq.ko, corbel_postcopy.ko, corbel_replay.ko and dm-corbel.ko with a key that this machine trusts "
	"(mokutil --import), or turn Secure Boot off in the firmware.";

Finding check_release(const Host &host)
{
	auto [fit, sentence] = judge_kernel(host.release);

	switch (fit) {
	case KernelFit::supported:
		return ok("kernel_release", sentence);
	case KernelFit::untested:
		return warning("kernel_release", sentence,
			       "Boot the kernel of linux-image-amd64 or linux-image-rt-amd64.");
	case KernelFit::outside:
		break;
	}
	return problem("kernel_release", sentence,
		       "Boot the kernel of Debian 12's package linux-image-amd64 or "
		       "linux-image-rt-amd64.");
}

/* The mode in force is in brackets: none [integrity] confidentiality */
Finding check_lockdown(const Host &host)
{
	auto modes = host.line("/sys/kernel/security/lockdown");

	if (!modes && host.has("/sys/module/corbel"))
		return ok("lockdown", "the mode is not shown (securityfs is not mounted), but it "
				      "let the modules in");
	if (!modes)
		return warning(
			"lockdown",
			"the mode is not shown: /sys/kernel/security/lockdown cannot be read",
			"Mount it with `mount -t securityfs securityfs "
			"/sys/kernel/security`, as root.");
	if (modes->find("[none]") != modes->npos)
		return ok("lockdown", "the kernel is not locked down");
	/* Signed modules do load then, so whether that is a problem depends on them. */
	if (host.has("/sys/module/corbel"))
		return ok("lockdown", fmt::format("the kernel is locked down ({}) and accepted the "
						  "modules",
						  *modes));
	return warning("lockdown",
		       fmt::format("the kernel is locked down ({}), so it takes signed "
				   "modules only",
				   *modes),
		       signing_remedy);
}

/* An EFI variable: four bytes of attributes, then its value. */
bool secure_boot(const Host &host)
{
	auto bytes = text_of_file(host.at("/sys/firmware/efi/efivars/"
					  "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"));

	return bytes && bytes->size() == 5 && bytes->back() == 1;
}

Finding check_signing(const Host &host)
{
	auto enforced = host.line("/sys/module/module/parameters/sig_enforce");
	auto boot = fmt::format("Secure Boot is {}", secure_boot(host) ? "on" : "off");

	if (!enforced)
		return ok("module_signing", fmt::format("{}; this kernel does not check module "
							"signatures",
							boot));
	if (*enforced != "Y")
		return ok("module_signing", fmt::format("{}; unsigned modules are accepted", boot));
	if (host.has("/sys/module/corbel"))
		return ok("module_signing", fmt::format("{}; signatures are enforced and the "
							"modules were accepted",
							boot));
	return warning("module_signing", fmt::format("{}; only signed modules are accepted", boot),
		       signing_remedy);
}

/* The option, and what is missing without it. */
struct Option {
	std::string_view name;
	std::string_view why;
};

constexpr std::array options{
	Option{"CONFIG_KVM", "there is nothing to attach to"},
	Option{"CONFIG_TRACEPOINTS", "interrupts cannot be followed"},
	Option{"CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS", "functions of KVM cannot be followed"},
	Option{"CONFIG_MMU_NOTIFIER", "the end of a VM is not noticed"},
	Option{"CONFIG_DEBUG_INFO_BTF", "private structures of the kernel are not known"},
	Option{"CONFIG_DEBUG_INFO_BTF_MODULES", "private structures of KVM are not known"},
};

Finding check_config(const Host &host)
{
	std::string missing;

	for (const auto &path :
	     {"/boot/config-" + host.release, "/lib/modules/" + host.release + "/build/.config",
	      "/lib/modules/" + host.release + "/config"}) {
		auto config = text_of_file(host.at(path));

		if (!config)
			continue;
		for (const auto &[name, why] : options)
			if (config->find(fmt::format("\n{}=", name)) == config->npos)
				missing += fmt::format("{}{} ({})", missing.empty() ? "" : ", ",
						       name, why);
		if (missing.empty())
			return ok("kernel_config", fmt::format("{} has all {} options looked for",
							       path, options.size()));
		return problem("kernel_config", fmt::format("{} lacks {}", path, missing),
			       "Boot a kernel of Debian 12's packages, which have all of them.");
	}
	return ok("kernel_config", fmt::format("not shown: there is no /boot/config-{}; the hooks "
					       "below tell what matters",
					       host.release));
}

/* In the kernel, or a module that is loaded, or one that can be. */
Finding check_device_mapper(const Host &host)
{
	const auto module =
		fmt::format("/lib/modules/{}/kernel/drivers/md/dm-mod.ko", host.release);

	if (host.has("/sys/class/misc/device-mapper"))
		return ok("device_mapper", "device-mapper is there, for pools of volumes");
	for (const char *packed : {"", ".xz", ".zst", ".gz"})
		if (host.has(module + packed))
			return ok("device_mapper",
				  fmt::format("{}{} can be loaded, for pools of volumes", module,
					      packed));
	return warning("device_mapper",
		       fmt::format("there is no device-mapper, nor {}: there are no pools of "
				   "volumes",
				   module),
		       "Run `modprobe dm_mod`, or boot a kernel of Debian 12's packages, which "
		       "has it.");
}

Finding check_ftrace(const Host &host)
{
	auto enabled = host.line("/proc/sys/kernel/ftrace_enabled");

	if (enabled && *enabled == "0")
		return problem("ftrace",
			       "ftrace is turned off, so functions of KVM cannot be "
			       "followed",
			       "Turn it on with `sysctl kernel.ftrace_enabled=1`.");
	if (!enabled)
		return problem("ftrace",
			       "this kernel has no ftrace (no /proc/sys/kernel/"
			       "ftrace_enabled)",
			       "Boot a kernel with CONFIG_FUNCTION_TRACER, such as Debian's.");
	return ok("ftrace", "ftrace is on");
}

} /* namespace */

bool Host::has(std::string_view path) const
{
	std::error_code ignored;

	return std::filesystem::exists(at(path), ignored);
}

std::optional<std::string> Host::line(std::string_view path) const
{
	return first_line_of(at(path));
}

void check_kernel(const Host &host, Findings &findings)
{
	findings.push_back(check_release(host));
	findings.push_back(check_lockdown(host));
	findings.push_back(check_signing(host));
	findings.push_back(check_config(host));
	findings.push_back(check_device_mapper(host));
	findings.push_back(check_ftrace(host));
}

} /* namespace corbel::cli */
