// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/kernel_release.hh>

#include <gtest/gtest.h>

namespace {

using corbel::judge_kernel;
using corbel::KernelFit;

TEST(kernel_release, debian_packages_are_supported)
{
	EXPECT_EQ(judge_kernel("6.1.0-42-amd64").fit, KernelFit::supported);
	EXPECT_EQ(judge_kernel("6.1.0-7-rt-amd64").fit, KernelFit::supported);
}

TEST(kernel_release, other_builds_of_the_series_are_untested)
{
	for (const char *release :
	     {"6.1.0-42-cloud-amd64", "6.1.99", "6.1.99-custom", "6.1.0-amd64", "6.1.0-42-arm64",
	      "6.1.0-x-amd64", "6.1.0--amd64"})
		EXPECT_EQ(judge_kernel(release).fit, KernelFit::untested) << release;
}

TEST(kernel_release, other_series_are_outside)
{
	for (const char *release :
	     {"6.10.0-1-amd64", "6.12.5", "5.10.0-9-amd64", "6.1", "", "amd64"})
		EXPECT_EQ(judge_kernel(release).fit, KernelFit::outside) << release;
	EXPECT_NE(judge_kernel("6.12.5").sentence.find("6.12.5"), std::string::npos);
}

} /* namespace */
