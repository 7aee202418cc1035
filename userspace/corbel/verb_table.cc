// SPDX-License-Identifier: GPL-2.0-or-later
#include "verb.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include <fmt/format.h>

namespace corbel::cli {

std::span<const Verb *const> all_verbs()
{
	static constexpr std::array table{
		&doctor_verb,
		&vm_list_verb,
		&vm_attach_verb,
		&vm_detach_verb,
		&vm_define_verb,
		&vm_undefine_verb,
		&vm_start_verb,
		&vm_stop_verb,
		&vm_console_verb,
		&vm_inventory_verb,
		&irq_show_verb,
		&irq_top_verb,
		&irq_record_verb,
		&irq_policy_verb,
		&irq_boost_verb,
		&irq_ledger_verb,
		&irq_device_verb,
		&irq_balance_verb,
		&job_list_verb,
		&job_show_verb,
		&job_watch_verb,
		&job_cancel_verb,
		&job_resume_verb,
		&state_backup_verb,
		&host_init_verb,
		&host_invite_verb,
		&host_join_verb,
		&host_list_verb,
		&host_remove_verb,
		&host_rotate_verb,
		&host_probe_verb,
		&migrate_verb,
		&pool_create_verb,
		&pool_list_verb,
		&pool_show_verb,
		&pool_start_verb,
		&pool_stop_verb,
		&pool_add_device_verb,
		&pool_remove_device_verb,
		&pool_evacuate_verb,
		&pool_shrink_verb,
		&pool_resize_device_verb,
		&pool_tier_verb,
		&pool_import_verb,
		&pool_delete_verb,
		&pool_check_verb,
		&pool_dump_verb,
		&pool_repair_verb,
		&volume_create_verb,
		&volume_list_verb,
		&snapshot_list_verb,
		&volume_delete_verb,
		&volume_resize_verb,
		&volume_activate_verb,
		&volume_deactivate_verb,
		&volume_clone_verb,
		&volume_rename_verb,
		&volume_diff_verb,
		&volume_defragment_verb,
		&snapshot_create_verb,
		&snapshot_delete_verb,
		&snapshot_rollback_verb,
		&qos_add_verb,
		&qos_remove_verb,
		&qos_list_verb,
		&qos_policy_verb,
		&qos_attach_verb,
		&qos_detach_verb,
		&qos_show_verb,
		&qos_top_verb,
		&qos_heatmap_verb,
		&record_verb,
		&replay_verb,
		&recording_checkpoints_verb,
		&recording_goto_verb,
		&recording_console_verb,
		&status_verb,
		&schema_verb,
		&manual_verb,
		&completion_verb,
		&version_verb,
	};

	return table;
}

std::string Verb::words() const
{
	return group.empty() ? std::string(name) : fmt::format("{} {}", group, name);
}

const Verb *find_verb(std::span<const std::string> words)
{
	const auto called = fmt::format("{}", fmt::join(words, " "));
	const auto verbs = all_verbs();
	const auto found = std::ranges::find_if(
		verbs, [&](const Verb *verb) { return verb->words() == called; });

	return found == verbs.end() ? nullptr : *found;
}

Error no_verb(std::string_view words)
{
	return {ENOENT, fmt::format("There is no verb '{}': `corbel --help` shows those there are.",
				    words)};
}

Result<const Verb *> verb_of(std::span<const std::string> words)
{
	if (const Verb *verb = find_verb(words))
		return verb;
	return std::unexpected(no_verb(fmt::format("{}", fmt::join(words, " "))));
}

std::vector<std::string_view> all_groups()
{
	std::vector<std::string_view> groups;

	for (const Verb *verb : all_verbs())
		if (!verb->group.empty() && std::ranges::find(groups, verb->group) == groups.end())
			groups.push_back(verb->group);
	return groups;
}

const std::string_view naming =
	"A virtual machine is named by the pid of its process, by pid:fd where a process has\n"
	"several, by the guest's name (name:TEXT if that looks like a number), or by id:N, the\n"
	"number of an attachment.";

std::string_view group_summary(std::string_view group)
{
	if (group == "vm")
		return "Find virtual machines, attach to them, start those of your own and stop them";
	if (group == "irq")
		return "See the interrupts of a virtual machine, and say who takes them";
	if (group == "job")
		return "Follow the long work that the daemon does, cancel it, take it up again";
	if (group == "host")
		return "Say who this host is, and pair it with others";
	if (group == "pool")
		return "Devices that volumes share, what lies where, and whether it fits together";
	if (group == "volume")
		return "Virtual disks in a pool, that take room as they are written to";
	if (group == "snapshot")
		return "What volumes held at an instant, kept, and gone back to";
	if (group == "qos")
		return "What each virtual disk on a LUN may do, and what it does";
	if (group == "recording")
		return "Go anywhere in a recorded guest, and sit at it while it is recorded";
	if (group == "state")
		return "What the daemon of this host remembers";
	return {};
}

std::string_view name_of(Effect effect)
{
	switch (effect) {
	case Effect::read:
		return "read";
	case Effect::change:
		return "change";
	case Effect::destroy:
		return "destroy";
	}
	return "unknown";
}

std::string_view sentence_of(Repeat repeat)
{
	switch (repeat) {
	case Repeat::harmless:
		return "Doing it again changes nothing more.";
	case Repeat::own:
		return "What it makes is its own and ends with it.";
	case Repeat::keyed:
		return "Doing it again with the same --key changes nothing more.";
	}
	return {};
}

std::vector<Argument> arguments_of(const Verb &verb)
{
	OptionSet set;

	(void)verb.declare(set);
	return set.arguments();
}

std::vector<std::string_view> lines_of(std::string_view text)
{
	std::vector<std::string_view> lines;

	while (!text.empty()) {
		lines.push_back(text.substr(0, text.find('\n')));
		text.remove_prefix(std::min(text.size(), lines.back().size() + 1));
	}
	return lines;
}

std::string in_one_line(std::string text)
{
	std::ranges::replace(text, '\n', ' ');
	return text;
}

std::vector<Example> examples_of(const Verb &verb)
{
	std::vector<Example> examples;

	for (const auto line : lines_of(verb.examples)) {
		const auto gap = line.find("  ");
		const auto text = line.find_first_not_of(' ', gap);

		examples.push_back(
			{std::string(line.substr(0, gap)),
			 text == line.npos ? std::string() : std::string(line.substr(text))});
	}
	return examples;
}

std::string exit_status_of(const Verb &verb)
{
	auto text = std::string("0 success, 1 failure, 2 wrong usage.");

	if (!verb.exit_codes.empty())
		text += fmt::format(" {}", verb.exit_codes);
	return text;
}

ExitCode report(const Error &error)
{
	fmt::print(stderr, "corbel: {}\n", error.sentence);
	return ExitCode::failure;
}

ExitCode exit_code_of(const Result<void> &result)
{
	return result ? ExitCode::ok : report(result.error());
}

ExitCode exit_code_of(const Result<ExitCode> &result)
{
	return result ? *result : report(result.error());
}

} /* namespace corbel::cli */
