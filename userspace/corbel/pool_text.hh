/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pool_text.hh - what verbs about pools and volumes take and show in the same way. */
#pragma once

#include "json.hh"
#include "options.hh"
#include "verb.hh"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::cli {

/* The metadata device of a pool that is not started, which must be given. */
void declare_meta(OptionSet &set, std::string &value);
/* All of these must be given. */
void declare_pool(OptionSet &set, std::string &value);
void declare_volume(OptionSet &set, std::string &value);
void declare_snapshot(OptionSet &set, std::string &value);
/* Of a pool, by number, path or UUID. */
void declare_device(OptionSet &set, std::string &value);
void declare_size(OptionSet &set, std::string &value, const char *help);
/* Of verbs that move blocks: how long others' I/O may take meanwhile. */
void declare_latency(OptionSet &set, std::string &value);
/* What a verb that destroys has. */
void declare_yes(OptionSet &set, bool &value);

/* Absolute, as the daemon has a folder of its own. */
[[nodiscard]] Result<void> check_path(const std::string &text);
/* Of one that is called by a name of a pool, of a volume: errors say what is one. */
[[nodiscard]] Result<void> check_pool_name(const std::string &text);
[[nodiscard]] Result<void> check_volume_name(const std::string &text);
[[nodiscard]] Result<void> check_volume(const std::string &text);
[[nodiscard]] Result<void> check_size(const std::string &text);

/*
 * "Pool 'x' is started.", or, of a dry run, "Pool 'x' can be started; nothing was changed.".
 * @subject: what the key of the answer stands for.
 */
[[nodiscard]] ExitCode show_changed(const Json &answer, std::string_view subject,
				    std::string_view key, std::string_view participle);
/* Of such an answer. @others: keys that it has besides. */
[[nodiscard]] Json changed_schema(std::string_view key,
				  const std::vector<std::string> &others = {});

/*
 * What verbs are made of that change what their argument names: `pool start`, `volume
 * delete`; `volume clone` takes a new name, too. Those that destroy are told twice. Of them
 * changed_schema() is the schema.
 */
struct NamedChange {
	void (*declare_name)(OptionSet &set, std::string &value);
	std::string_view subject, key, participle; /* as show_changed() takes them */
	const char *new_name = nullptr; /* help of a second argument, a volume's new name */
};
[[nodiscard]] std::function<ExitCode()> declare_change(OptionSet &set, const Verb &verb,
						       const NamedChange &change);

/* Of those that begin a job about a device of a pool. */
[[nodiscard]] std::function<ExitCode()> declare_device_job(OptionSet &set, const Verb &verb);

/* Of `volume list` and `snapshot list`, whose answer has them as @key. */
[[nodiscard]] std::function<ExitCode()>
declare_volumes(OptionSet &set, const Verb &verb, std::string_view key, std::string_view none);
[[nodiscard]] Json volumes_schema(std::string_view key);

} /* namespace corbel::cli */
