/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kernel_release.hh - which kernels Corbel is made for. */
#pragma once

#include <string>
#include <string_view>

namespace corbel {

enum class KernelFit {
	supported, /* Debian's 6.1 packages, flavours amd64 and rt-amd64 */
	untested, /* a 6.1 of another package or flavour */
	outside, /* another series */
};

struct KernelJudgement {
	KernelFit fit;
	std::string sentence;
};

/* @release as in uname -r, such as 6.1.0-42-rt-amd64. */
[[nodiscard]] KernelJudgement judge_kernel(std::string_view release);

} /* namespace corbel */
