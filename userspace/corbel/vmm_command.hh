/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmm_command.hh - what verbs of recordings have corbel-vmm do, which is beside the tool, or in the
 * PATH.
 */
#pragma once

#include "json.hh"
#include "verb.hh"

#include <libcorbel/error.hh>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace corbel::cli {

class VmmCommand {
public:
	explicit VmmCommand(std::string verb);

	/* Of these, what is empty, or false, is left out. */
	void add(std::string_view option, const std::string &value);
	void add(std::string_view option, bool set);
	void add_number(std::string_view option, std::uint64_t value);
	void add_word(std::string word);

	/* In the place of this process, with its input and output. */
	[[nodiscard]] ExitCode become();
	/* With nobody at its input and output: what it reports. */
	[[nodiscard]] ExitCode print_report();
	/* With this terminal as the guest's console, which can be left. */
	[[nodiscard]] ExitCode attend();

private:
	[[nodiscard]] Result<pid_t> start() const;
	[[nodiscard]] std::vector<char *> arguments() const;

	std::string program_;
	std::vector<std::string> words_;
};

/* The images of a guest, as options of a verb that replays: where they are now. */
struct MovedImages {
	std::string kernel, initrd, disk;

	void declare(OptionSet &set);
	void add_to(VmmCommand &command) const;
};

/* What a recording and its replay report. */
[[nodiscard]] Json describe_run();

/* The recording that a verb is about, which must be given. */
void declare_recording(OptionSet &set, std::string &path);

} /* namespace corbel::cli */
