// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_text.hh"

#include "daemon_call.hh"
#include "job_follow.hh"
#include "schema.hh"
#include "table.hh"

#include "../pool/names.hh"
#include "../qos/words.hh"

#include <cerrno>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

Result<void> check_snapshot(const std::string &text)
{
	const auto name = CORBEL_EXPECT(pool::parse_volume(text));

	if (name.is_snapshot())
		return {};
	return failure(EINVAL, fmt::format("'{}' names no snapshot: POOL/VOLUME@SNAPSHOT is looked "
					   "for.",
					   text));
}

ExitCode show_volumes(const Json &volumes, std::string_view none)
{
	using Align = Table::Align;
	Table table({{"NAME", Align::left},
		     {"SIZE"},
		     {"MAPPED"},
		     {"MODE", Align::left},
		     {"ORIGIN", Align::left, 1},
		     {"DEVICE", Align::left}});

	if (volumes.empty())
		fmt::print("{}\n", none);
	for (const auto &volume : volumes) {
		const auto text = [&](const char *key) {
			const auto &value = volume.at(key);
			return value.is_string() ? printable(value.get<std::string>()) : "-";
		};
		table.add({text("name"), pool::size_text(volume.at("bytes")),
			   pool::size_text(volume.at("mapped_bytes")), text("mode"), text("origin"),
			   text("device")});
	}
	if (!volumes.empty())
		for (const auto &line : table.lines())
			fmt::print("{}\n", line);
	return ExitCode::ok;
}

} /* namespace */

Result<void> check_path(const std::string &text)
{
	if (text.starts_with('/'))
		return {};
	return failure(EINVAL, fmt::format("'{}' is not an absolute path; the daemon has a folder "
					   "of its own.",
					   text));
}

Result<void> check_pool_name(const std::string &text)
{
	if (pool::is_pool_name(text))
		return {};
	return failure(EINVAL, fmt::format("'{}' is no name of a pool: letters, digits, dots and "
					   "underscores, at most 32.",
					   text));
}

Result<void> check_volume_name(const std::string &text)
{
	if (pool::is_volume_name(text))
		return {};
	return failure(EINVAL,
		       fmt::format("'{}' is no such name: letters, digits, dots, underscores "
				   "and dashes, at most 40.",
				   text));
}

Result<void> check_volume(const std::string &text)
{
	(void)CORBEL_EXPECT(pool::parse_volume(text));
	return {};
}

Result<void> check_size(const std::string &text)
{
	(void)CORBEL_EXPECT(pool::parse_size(text));
	return {};
}

void declare_meta(OptionSet &set, std::string &value)
{
	set.add({.name = "meta",
		 .type = "META",
		 .help = "Metadata device of a pool that is not started, or a copy in a file",
		 .place = &value,
		 .required = true});
}

void declare_pool(OptionSet &set, std::string &value)
{
	set.text("pool", value, "POOL", "Its name, as `corbel pool list` shows it",
		 check_pool_name);
	set.last_is_required();
}

void declare_volume(OptionSet &set, std::string &value)
{
	set.text("volume", value, "VOLUME", "POOL/VOLUME, or POOL/VOLUME@SNAPSHOT", check_volume);
	set.last_is_required();
}

void declare_snapshot(OptionSet &set, std::string &value)
{
	set.text("snapshot", value, "SNAPSHOT", "POOL/VOLUME@SNAPSHOT", check_snapshot);
	set.last_is_required();
}

void declare_device(OptionSet &set, std::string &value)
{
	set.text("device", value, "DEVICE",
		 "Number, path or UUID, as `corbel pool show` shows them");
	set.last_is_required();
}

void declare_size(OptionSet &set, std::string &value, const char *help)
{
	set.text("size", value, "SIZE", help, check_size);
	set.last_is_required();
}

void declare_latency(OptionSet &set, std::string &value)
{
	set.text("--latency", value, "TIME",
		 "Go so fast that 99 % of what is read and written meanwhile takes no longer, such "
		 "as 5ms; or 'none'. If not said: half as long again as when nothing moves",
		 [](const std::string &text) -> Result<void> {
			 if (text != "none")
				 (void)CORBEL_EXPECT(workloads::parse_latency(text));
			 return {};
		 });
}

void declare_yes(OptionSet &set, bool &value)
{
	set.flag("--yes", value, "That is meant");
}

ExitCode show_changed(const Json &answer, std::string_view subject, std::string_view key,
		      std::string_view participle)
{
	const auto name = printable(answer.at(std::string(key)).get<std::string>());

	if (!answer.at("changed").get<bool>())
		fmt::print("{} {} is {} already.\n", subject, name, participle);
	else if (answer.at("dry_run").get<bool>())
		fmt::print("{} {} can be {}; nothing was changed.\n", subject, name, participle);
	else
		fmt::print("{} {} is {}.\n", subject, name, participle);
	if (const auto device = answer.find("device");
	    device != answer.end() && device->is_string() && !answer.at("dry_run").get<bool>())
		fmt::print("{}\n", printable(device->get<std::string>()));
	if (const auto warnings = answer.find("warnings"); warnings != answer.end())
		for (const auto &warning : *warnings)
			fmt::print(stderr, "corbel: {}\n", warning.get<std::string>());
	return ExitCode::ok;
}

Json changed_schema(std::string_view key, const std::vector<std::string> &others)
{
	namespace s = schema;
	std::vector<s::Key> keys{{key, s::string("its name")}};

	for (const auto &other : others) {
		if (other == "bytes")
			keys.push_back({other, s::count("its size")});
		else if (other == "warnings")
			keys.push_back({other, s::array(s::string(), "what did not come with it")});
		else
			keys.push_back({other, s::nullable(s::string())});
	}
	return s::joined(s::object(keys), s::object(s::change()));
}

std::function<ExitCode()> declare_change(OptionSet &set, const Verb &verb,
					 const NamedChange &change)
{
	struct Options {
		std::string name, new_name;
		bool yes = false;
		bool dry_run = false;
		bool json = false;
	};
	auto options = std::make_shared<Options>();

	change.declare_name(set, options->name);
	if (change.new_name) {
		set.text("name", options->new_name, "NAME", change.new_name, check_volume_name);
		set.last_is_required();
	}
	if (verb.effect == Effect::destroy)
		declare_yes(set, options->yes);
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [&verb, change, options, arguments = set.arguments()] {
		return ask_daemon(verb, arguments, options->json, [&](const Json &answer) {
			return show_changed(answer, change.subject, change.key, change.participle);
		});
	};
}

std::function<ExitCode()> declare_device_job(OptionSet &set, const Verb &verb)
{
	struct Options : JobOptions {
		std::string pool, device, latency;
	};
	auto options = std::make_shared<Options>();

	declare_pool(set, options->pool);
	declare_device(set, options->device);
	declare_latency(set, options->latency);
	declare_job(set, *options);
	return [&verb, options, arguments = set.arguments()] {
		return begin_job(verb, arguments, *options);
	};
}

std::function<ExitCode()> declare_volumes(OptionSet &set, const Verb &verb, std::string_view key,
					  std::string_view none)
{
	struct Options {
		std::string pool;
		bool json = false;
	};
	auto options = std::make_shared<Options>();

	set.text("pool", options->pool, "POOL", "Of this pool alone", check_pool_name);
	set.json(options->json);
	return [&verb, key, none, options, arguments = set.arguments()] {
		return ask_daemon(verb, arguments, options->json, [&](const Json &answer) {
			return show_volumes(answer.at(std::string(key)), none);
		});
	};
}

Json volumes_schema(std::string_view key)
{
	namespace s = schema;

	return s::object(
		{{key, s::array(s::object(
			       {{"name", s::string("POOL/VOLUME; POOL/#ID: it has none")},
				{"id", s::count("which is not used again")},
				{"bytes", s::count()},
				{"mapped_bytes", s::count("that it has contents for")},
				{"origin", s::nullable(s::string("what it was made from"))},
				{"created_generation", s::count()},
				{"mode", s::one_of_words({"rw", "ro", "deleting"})},
				{"device", s::nullable(s::string("while it is active"))},
				{"open", s::nullable(s::count("how often its device is"))}}))}});
}

} /* namespace corbel::cli */
