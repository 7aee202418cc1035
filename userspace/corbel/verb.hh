/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verb.hh - the verbs of the tool as data.
 *
 * Each verb is one entry of all_verbs(), declared in the file named after it.
 * The command line, its help and the tests are made from that table.
 */
#pragma once

#include <libcorbel/error.hh>

#include <functional>
#include <span>
#include <string_view>

namespace corbel::cli {

class OptionSet;

enum class ExitCode : int {
	ok = 0,
	failure = 1,
	usage = 2,
	partial = 3, /* something was done or shown, but not all of it */
};

struct Verb {
	std::string_view group; /* "vm" of `corbel vm list`, empty if there is none */
	std::string_view name;
	std::string_view summary;
	std::string_view examples; /* one a line: command, two spaces or more, meaning */
	std::string_view exit_codes; /* sentences on what is not the same for every verb */

	/* Adds the options to @set; what it returns is run once they are parsed. */
	std::function<ExitCode()> (*declare)(OptionSet &set);
};

extern const Verb doctor_verb;
extern const Verb version_verb;
extern const Verb vm_list_verb;
extern const Verb vm_attach_verb;
extern const Verb vm_detach_verb;
extern const Verb irq_show_verb;
extern const Verb irq_top_verb;
extern const Verb irq_record_verb;
extern const Verb irq_policy_verb;
extern const Verb irq_boost_verb;
extern const Verb irq_ledger_verb;
extern const Verb irq_device_verb;

[[nodiscard]] std::span<const Verb *const> all_verbs();

/* Summary of a group, such as "vm". */
[[nodiscard]] std::string_view group_summary(std::string_view group);

/* Says on stderr why nothing came of it. */
ExitCode report(const Error &error);

} /* namespace corbel::cli */
