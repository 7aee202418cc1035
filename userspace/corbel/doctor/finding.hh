/* SPDX-License-Identifier: GPL-2.0-or-later */
/* finding.hh - what `corbel doctor` has to say, and how bad it is. */
#pragma once

#include "../irq_json.hh"

#include <string>
#include <vector>

namespace corbel::cli {

enum class Severity { ok, warning, problem };

struct Finding {
	std::string check; /* stable, for scripts: kernel_release, hook.kvm_entry, ... */
	Severity severity;
	std::string summary;
	std::string remedy; /* a sentence; empty exactly if all is well */
};

using Findings = std::vector<Finding>;

[[nodiscard]] Finding ok(std::string check, std::string summary);
[[nodiscard]] Finding warning(std::string check, std::string summary, std::string remedy);
[[nodiscard]] Finding problem(std::string check, std::string summary, std::string remedy);

[[nodiscard]] std::size_t count_of(const Findings &findings, Severity severity);
[[nodiscard]] Json json_of(const Findings &findings);
[[nodiscard]] std::string show_findings(const Findings &findings);

} /* namespace corbel::cli */
