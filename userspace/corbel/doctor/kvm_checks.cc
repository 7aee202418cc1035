// SPDX-License-Identifier: GPL-2.0-or-later
#include "checks.hh"

#include <libcorbel/text_file.hh>

#include <array>
#include <string_view>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Vendor {
	std::string_view module;
	/* The parameter that lets hardware post interrupts behind KVM's back. */
	std::string_view posting;
};

constexpr std::array vendors{Vendor{"kvm_amd", "avic"}, Vendor{"kvm_intel", "enable_apicv"}};

void check_vendor(const Host &host, Findings &findings)
{
	for (const auto &[module, posting] : vendors) {
		auto folder = fmt::format("/sys/module/{}", module);

		if (!host.has(folder))
			continue;
		findings.push_back(ok("kvm_vendor", fmt::format("{} is loaded", module)));

		auto value = host.line(fmt::format("{}/parameters/{}", folder, posting));
		if (value && (*value == "Y" || *value == "1"))
			findings.push_back(warning(
				"interrupt_posting",
				fmt::format("{} may let the hardware post interrupts ({}={}); the "
					    "records of such vCPUs are sampled, not exact",
					    module, posting, *value),
				fmt::format("Where exact records matter, stop all guests and run "
					    "`modprobe -r {0} && modprobe {0} {1}=0`.",
					    module, posting)));
		else
			findings.push_back(ok("interrupt_posting",
					      fmt::format("hardware does not post interrupts "
							  "({}={})",
							  posting, value.value_or("not there"))));
		return;
	}
	findings.push_back(problem("kvm_vendor",
				   "neither kvm_amd nor kvm_intel is loaded, so no "
				   "KVM guest can run",
				   "Run `modprobe kvm_amd` or `modprobe kvm_intel`; if that fails, "
				   "turn virtualization on in the firmware."));
}

/* Type information starts with the number 0xeB9F. */
Finding check_btf(const Host &host, std::string_view check, std::string_view module)
{
	auto path = fmt::format("/sys/kernel/btf/{}", module);
	auto head = text_of_file(host.at(path), 2);

	if (head && *head == "\x9f\xeb")
		return ok(std::string(check), fmt::format("{} is readable", path));
	if (head)
		return problem(std::string(check),
			       fmt::format("{} holds no type information", path),
			       "Boot a kernel of Debian 12's packages.");
	if (module == "kvm" && !host.has("/sys/module/kvm"))
		return problem(std::string(check),
			       fmt::format("{} is not there, as kvm is not "
					   "loaded",
					   path),
			       "Load KVM first: `modprobe kvm_amd` or `modprobe kvm_intel`.");
	return problem(std::string(check), fmt::format("{} cannot be read", path),
		       "Run this as root, on a kernel with CONFIG_DEBUG_INFO_BTF_MODULES.");
}

} /* namespace */

void check_kvm(const Host &host, Findings &findings)
{
	check_vendor(host, findings);
	findings.push_back(check_btf(host, "btf_kernel", "vmlinux"));
	findings.push_back(check_btf(host, "btf_kvm", "kvm"));
}

} /* namespace corbel::cli */
