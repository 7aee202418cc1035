// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/kernel_release.hh>

#include <algorithm>

#include <fmt/format.h>

namespace corbel {

namespace {

bool is_number(std::string_view text)
{
	return !text.empty() &&
	       std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/* Debian: VERSION-ABI-FLAVOUR, the ABI being a number. */
std::string_view debian_flavour(std::string_view release)
{
	auto abi = release.find('-');

	if (abi == release.npos)
		return {};
	release.remove_prefix(abi + 1);
	auto flavour = release.find('-');
	if (flavour == release.npos || !is_number(release.substr(0, flavour)))
		return {};
	return release.substr(flavour + 1);
}

} /* namespace */

KernelJudgement judge_kernel(std::string_view release)
{
	auto flavour = debian_flavour(release);

	if (!release.starts_with("6.1.") && !release.starts_with("6.1-"))
		return {KernelFit::outside,
			fmt::format("kernel {} is outside the range: Corbel is made for Debian's "
				    "6.1 kernels",
				    release)};
	if (release.starts_with("6.1.0-") && (flavour == "amd64" || flavour == "rt-amd64"))
		return {KernelFit::supported,
			fmt::format("kernel {} is a Debian 6.1 package, flavour {}", release,
				    flavour)};
	return {KernelFit::untested,
		fmt::format("kernel {} is a 6.1 but not one of Debian's packages amd64 or "
			    "rt-amd64, so nothing here was tried on it",
			    release)};
}

} /* namespace corbel */
