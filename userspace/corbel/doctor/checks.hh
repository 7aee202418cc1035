/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checks.hh - the examinations of `corbel doctor`.
 *
 * They read files below a root folder and change nothing, so that a test can
 * give them a host of its own making.
 */
#pragma once

#include "finding.hh"

#include <libcorbel/device.hh>

#include <filesystem>
#include <string>
#include <string_view>

namespace corbel::cli {

struct Host {
	std::filesystem::path root = "/";
	std::string release; /* as in uname -r */

	[[nodiscard]] std::filesystem::path at(std::string_view path) const
	{
		return root / path.substr(path.starts_with('/'));
	}
	[[nodiscard]] bool has(std::string_view path) const;
	/* Nothing if the file cannot be read. */
	[[nodiscard]] std::optional<std::string> line(std::string_view path) const;
};

/* Kernel series, lockdown, signature enforcement, configuration, ftrace. */
void check_kernel(const Host &host, Findings &findings);

/* Vendor module, hardware interrupt posting, type information. */
void check_kvm(const Host &host, Findings &findings);

/*
 * Whether the modules are loaded, and whether they are those that were built:
 * the files in @folder, else in the first of the usual places that has them.
 */
void check_modules(const Host &host, const std::filesystem::path &folder, Findings &findings);

/* What the module itself says: version, capabilities, and every hook. */
void check_module_answers(const Host &host, const Result<Device> &device, Findings &findings);

/* One hook as the module describes it. */
[[nodiscard]] Finding judge_hook(const corbel_hook_info &hook);

} /* namespace corbel::cli */
