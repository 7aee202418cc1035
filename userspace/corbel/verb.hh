/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verb.hh - the verbs of the tool as data.
 *
 * Each verb is one entry of all_verbs(), declared in the file named after it. The
 * command line, its help, the manual pages, the shells' completions, `corbel schema`,
 * Documentation/verbs.md and the tests are made from that table.
 */
#pragma once

#include "json.hh"
#include "options.hh"

#include <libcorbel/error.hh>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::cli {

enum class ExitCode : int {
	ok = 0,
	failure = 1,
	usage = 2,
	partial = 3, /* something was done or shown, but not all of it */
};

/* What a verb does to what it is about. */
enum class Effect {
	read, /* nothing stays behind */
	change, /* can be undone by another verb, or by itself */
	destroy, /* cannot be undone; it asks, or must be told twice */
};

/* What it means to do the same again, when it is not known whether it was done. */
enum class Repeat {
	harmless, /* nothing changes by it, or it says what shall be, not what to do */
	own, /* what it makes is its own and ends with it */
	keyed, /* done once for each --key */
};

/* Who does it. */
enum class Home {
	tool, /* as it needs the kernel alone, or nothing */
	daemon, /* corbeld, by the handler of the same words */
};

/* What --json prints. */
enum class Output {
	none, /* there is no --json */
	object, /* one */
	lines, /* one a line, in the order of events */
};

struct Verb {
	std::string_view group; /* "vm" of `corbel vm list`, empty if there is none */
	std::string_view name;
	std::string_view summary;
	std::string_view examples; /* one a line: command, two spaces or more, meaning */
	std::string_view exit_codes = {}; /* sentences on what is not the same for every verb */
	Effect effect;
	Repeat repeat;
	Home home = Home::tool;
	Output output = Output::none;
	/* JSON Schema of that object or line; nothing without --json. */
	Json (*schema)() = nullptr;

	/* Adds the options to @set; what it returns is run once they are parsed. */
	std::function<ExitCode()> (*declare)(OptionSet &set);

	/* "irq show", or "doctor". */
	[[nodiscard]] std::string words() const;
};

extern const Verb doctor_verb;
extern const Verb version_verb;
extern const Verb schema_verb;
extern const Verb completion_verb;
extern const Verb manual_verb;
extern const Verb vm_list_verb;
extern const Verb vm_attach_verb;
extern const Verb vm_detach_verb;
extern const Verb vm_define_verb;
extern const Verb vm_undefine_verb;
extern const Verb vm_start_verb;
extern const Verb vm_stop_verb;
extern const Verb vm_console_verb;
extern const Verb vm_inventory_verb;
extern const Verb irq_show_verb;
extern const Verb irq_top_verb;
extern const Verb irq_record_verb;
extern const Verb irq_policy_verb;
extern const Verb irq_boost_verb;
extern const Verb irq_ledger_verb;
extern const Verb irq_device_verb;
extern const Verb irq_balance_verb;
extern const Verb job_list_verb;
extern const Verb job_show_verb;
extern const Verb job_watch_verb;
extern const Verb job_cancel_verb;
extern const Verb job_resume_verb;
extern const Verb state_backup_verb;
extern const Verb host_init_verb;
extern const Verb host_invite_verb;
extern const Verb host_join_verb;
extern const Verb host_list_verb;
extern const Verb host_remove_verb;
extern const Verb host_rotate_verb;
extern const Verb host_probe_verb;
extern const Verb migrate_verb;
extern const Verb pool_check_verb;
extern const Verb pool_dump_verb;
extern const Verb pool_repair_verb;
extern const Verb pool_create_verb;
extern const Verb pool_list_verb;
extern const Verb pool_show_verb;
extern const Verb pool_start_verb;
extern const Verb pool_stop_verb;
extern const Verb pool_add_device_verb;
extern const Verb pool_evacuate_verb;
extern const Verb pool_remove_device_verb;
extern const Verb pool_shrink_verb;
extern const Verb pool_resize_device_verb;
extern const Verb pool_tier_verb;
extern const Verb pool_import_verb;
extern const Verb pool_delete_verb;
extern const Verb volume_create_verb;
extern const Verb volume_list_verb;
extern const Verb snapshot_list_verb;
extern const Verb volume_delete_verb;
extern const Verb volume_resize_verb;
extern const Verb volume_activate_verb;
extern const Verb volume_deactivate_verb;
extern const Verb volume_clone_verb;
extern const Verb volume_rename_verb;
extern const Verb volume_diff_verb;
extern const Verb volume_defragment_verb;
extern const Verb snapshot_create_verb;
extern const Verb snapshot_delete_verb;
extern const Verb snapshot_rollback_verb;
extern const Verb qos_add_verb;
extern const Verb qos_remove_verb;
extern const Verb qos_list_verb;
extern const Verb qos_policy_verb;
extern const Verb qos_attach_verb;
extern const Verb qos_detach_verb;
extern const Verb qos_show_verb;
extern const Verb qos_top_verb;
extern const Verb qos_heatmap_verb;
extern const Verb record_verb;
extern const Verb replay_verb;
extern const Verb recording_checkpoints_verb;
extern const Verb recording_goto_verb;
extern const Verb recording_console_verb;
extern const Verb status_verb;

[[nodiscard]] std::span<const Verb *const> all_verbs();

/* The verb that is called by @words, such as {"irq", "show"}; null if there is none. */
[[nodiscard]] const Verb *find_verb(std::span<const std::string> words);
/* The same, never null; and the error if there is none. */
[[nodiscard]] Result<const Verb *> verb_of(std::span<const std::string> words);
[[nodiscard]] Error no_verb(std::string_view words);

/* Names of the groups, in the order of the table. */
[[nodiscard]] std::vector<std::string_view> all_groups();

/* How a virtual machine is named, as it is wrapped for the help. */
extern const std::string_view naming;

/* Summary of a group, such as "vm". */
[[nodiscard]] std::string_view group_summary(std::string_view group);

/* "read", "change", "destroy". */
[[nodiscard]] std::string_view name_of(Effect effect);
/* A sentence on what doing it again means. */
[[nodiscard]] std::string_view sentence_of(Repeat repeat);

/* The arguments of @verb, which nothing is done with. */
[[nodiscard]] std::vector<Argument> arguments_of(const Verb &verb);

/* @text line by line, and without the ends of its lines. */
[[nodiscard]] std::vector<std::string_view> lines_of(std::string_view text);
[[nodiscard]] std::string in_one_line(std::string text);

/* One line of the examples. */
struct Example {
	std::string command; /* empty: goes on about the one before it */
	std::string meaning;
};
[[nodiscard]] std::vector<Example> examples_of(const Verb &verb);

/* All that can be said about the exit status of @verb, as it is wrapped for the help. */
[[nodiscard]] std::string exit_status_of(const Verb &verb);

/* Says on stderr why nothing came of it. */
ExitCode report(const Error &error);

/* What a verb came to; an error is reported. */
[[nodiscard]] ExitCode exit_code_of(const Result<void> &result);
[[nodiscard]] ExitCode exit_code_of(const Result<ExitCode> &result);

} /* namespace corbel::cli */
