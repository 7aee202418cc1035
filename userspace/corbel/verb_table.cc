// SPDX-License-Identifier: GPL-2.0-or-later
#include "verb.hh"

#include <array>
#include <cstdio>

#include <fmt/format.h>

namespace corbel::cli {

std::span<const Verb *const> all_verbs()
{
	static constexpr std::array table{
		&doctor_verb,	 &vm_list_verb,	   &vm_attach_verb,  &vm_detach_verb,
		&irq_show_verb,	 &irq_top_verb,	   &irq_record_verb, &irq_policy_verb,
		&irq_boost_verb, &irq_ledger_verb, &irq_device_verb, &version_verb,
	};

	return table;
}

std::string_view group_summary(std::string_view group)
{
	if (group == "vm")
		return "Find virtual machines, attach to them and detach again";
	if (group == "irq")
		return "See the interrupts of a virtual machine, and say who takes them";
	return {};
}

ExitCode report(const Error &error)
{
	fmt::print(stderr, "corbel: {}\n", error.sentence);
	return ExitCode::failure;
}

} /* namespace corbel::cli */
