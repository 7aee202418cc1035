// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_handlers.hh"

#include "arguments.hh"
#include "job_handlers.hh"
#include "job_view.hh"

#include "../volumes/defragment.hh"
#include "../volumes/evacuation.hh"
#include "../volumes/tiering.hh"

#include <cerrno>
#include <chrono>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::daemon {

namespace {

using volumes::Pools;
using volumes::VolumeName;
using volumes::Volumes;

Result<VolumeName> name_in(const Json &arguments, const char *key)
{
	return pool::parse_volume(text(arguments, key));
}

/* What cannot be undone is told twice. */
Result<void> require_yes(const Json &arguments, std::string_view what)
{
	if (is_dry(arguments) || arguments.value("yes", false))
		return {};
	return failure(EPERM, fmt::format("{}: say --yes if that is meant.", what));
}

Result<Json> create(Pools &pools, const Json &arguments)
{
	volumes::PoolWish wish{.name = text(arguments, "name"),
			       .meta = text(arguments, "meta"),
			       .data = {},
			       .block_bytes = CORBEL_EXPECT(
				       pool::parse_size(arguments.value("block-size", "64K"))),
			       .force = arguments.value("force", false)};

	for (const auto &device : arguments.at("data"))
		wish.data.push_back(CORBEL_EXPECT(volumes::parse_device(device)));
	return pools.create(wish, is_dry(arguments));
}

/* 20260131-120000 */
std::string time_of_now()
{
	return fmt::format("{:%Y%m%d-%H%M%S}", fmt::gmtime(std::chrono::system_clock::now()));
}

Result<Json> snapshot(Volumes &volumes, const Json &arguments)
{
	std::vector<VolumeName> names;
	const auto label = text(arguments, "name");

	for (const auto &volume : arguments.at("volume"))
		names.push_back(CORBEL_EXPECT(pool::parse_volume(volume)));
	if (names.empty())
		return failure(EINVAL, "No volume is named.");
	return volumes.snapshot(names, label.empty() ? time_of_now() : label, is_dry(arguments));
}

Result<Json> remove_volume(Volumes &volumes, const Json &arguments)
{
	const auto name = CORBEL_EXPECT(name_in(arguments, "volume"));

	if (name.is_snapshot())
		return failure(EINVAL,
			       fmt::format("{0} is a snapshot: `corbel snapshot delete {0}`.",
					   name.text()));
	CORBEL_EXPECT(require_yes(arguments,
				  fmt::format("The contents of {} will be lost", name.text())));
	return volumes.remove(name, is_dry(arguments));
}

Result<Json> remove_snapshot(Volumes &volumes, const Json &arguments)
{
	const auto name = CORBEL_EXPECT(name_in(arguments, "snapshot"));

	CORBEL_EXPECT(
		require_yes(arguments, fmt::format("What {} alone has will be lost", name.text())));
	return volumes.remove(name, is_dry(arguments));
}

Result<Json> roll_back(Volumes &volumes, const Json &arguments)
{
	const auto name = CORBEL_EXPECT(name_in(arguments, "snapshot"));

	CORBEL_EXPECT(
		require_yes(arguments, fmt::format("What was written to {}/{} since will be lost",
						   name.pool, name.of())));
	return volumes.roll_back(name, is_dry(arguments));
}

Result<void> diff(Volumes &volumes, const Json &arguments, Reply &reply)
{
	return volumes.diff(CORBEL_EXPECT(name_in(arguments, "a")),
			    CORBEL_EXPECT(name_in(arguments, "b")),
			    [&](const Json &range) { return reply.send(range); });
}

/* One that keeps @bytes of a device. */
Result<Json> begin(Pools &pools, jobs::Engine &engine, const char *kind, const Json &arguments,
		   std::uint64_t bytes, std::string plan)
{
	const auto argument = CORBEL_EXPECT(volumes::evacuation_of(pools, text(arguments, "pool"),
								   text(arguments, "device"), bytes,
								   text(arguments, "latency")));

	return begin_job(engine, kind, argument, arguments, std::move(plan));
}

/* Of a pool there is one at most. */
Result<std::optional<jobs::Job>> tiering_of(jobs::Engine &engine, const std::string &pool)
{
	for (auto &job : CORBEL_EXPECT(engine.list()))
		if (job.kind == volumes::tier_kind && !is_final(job.state) &&
		    job.argument.at("pool") == pool)
			return std::move(job);
	return std::nullopt;
}

Result<Json> tier(Pools &pools, jobs::Engine &engine, const Json &arguments)
{
	const auto pool = text(arguments, "pool");
	const auto guard = pools.changing();
	const auto before = CORBEL_EXPECT(tiering_of(engine, pool));

	if (arguments.value("off", false)) {
		Json answer{{"job", nullptr},
			    {"plan", fmt::format("Pool {} is tiered no more.", pool)},
			    {"dry_run", is_dry(arguments)},
			    {"changed", before.has_value()}};

		(void)CORBEL_EXPECT(pools.records().pool(pool));
		if (before) {
			const auto ended =
				CORBEL_EXPECT(engine.cancel(before->id, is_dry(arguments)));
			answer["job"] = view_of(ended, engine);
		}
		return answer;
	}
	const jobs::Json argument{
		{"pool", pool},
		{"promote", arguments.value("promote", 4)},
		{"demote", arguments.value("demote", 90)},
		{"most", arguments.value("most", 1024)},
		{"every", arguments.value("every", 60)},
		{"once", arguments.value("once", false)},
		{"target", CORBEL_EXPECT(volumes::mover_target(text(arguments, "latency")))}};
	const auto key = text(arguments, "key");
	if (before && (key.empty() || before->key != key))
		return failure(EEXIST,
			       fmt::format("Pool '{0}' is tiered by job {1} already: `corbel "
					   "pool tier {0} --off` ends it.",
					   pool, before->id));
	return begin_job(engine, volumes::tier_kind, argument, arguments,
			 fmt::format("Moves blocks of pool {} that are used often to upper tiers, "
				     "and others down.",
				     pool));
}

void add_pools(Dispatcher &dispatcher, Pools &pools, jobs::Engine &engine)
{
	dispatcher.add_object(cli::pool_create_verb,
			      [&](const Json &arguments) { return create(pools, arguments); });
	dispatcher.add_object(cli::pool_list_verb, [&](const Json &) { return pools.list(); });
	dispatcher.add_object(cli::pool_show_verb, [&](const Json &arguments) {
		return pools.show(text(arguments, "pool"));
	});
	dispatcher.add_object(cli::pool_start_verb, [&](const Json &arguments) {
		return pools.start(text(arguments, "pool"), is_dry(arguments));
	});
	dispatcher.add_object(cli::pool_stop_verb, [&](const Json &arguments) {
		return pools.stop(text(arguments, "pool"), is_dry(arguments));
	});
	dispatcher.add_object(
		cli::pool_add_device_verb, [&](const Json &arguments) -> Result<Json> {
			return pools.add_device(
				text(arguments, "pool"),
				CORBEL_EXPECT(volumes::parse_device(text(arguments, "device"))),
				arguments.value("force", false), is_dry(arguments));
		});
	dispatcher.add_object(cli::pool_resize_device_verb, [&](const Json &arguments) {
		return pools.resize_device(text(arguments, "pool"), text(arguments, "device"),
					   is_dry(arguments));
	});
	dispatcher.add_object(cli::pool_import_verb, [&](const Json &arguments) {
		return pools.import({.name = text(arguments, "name"),
				     .meta = arguments.value("meta", std::vector<std::string>()),
				     .places = volumes::block_devices()},
				    is_dry(arguments));
	});
	dispatcher.add_object(cli::pool_delete_verb, [&](const Json &arguments) {
		return pools.erase({.pool = text(arguments, "pool"),
				    .confirm = text(arguments, "confirm"),
				    .force = arguments.value("force", false)},
				   is_dry(arguments));
	});
	dispatcher.add_object(cli::pool_evacuate_verb, [&](const Json &arguments) {
		return begin(pools, engine, volumes::evacuate_kind, arguments, 0,
			     fmt::format("Moves all data away from device {} of pool {}.",
					 text(arguments, "device"), text(arguments, "pool")));
	});
	dispatcher.add_object(cli::pool_tier_verb, [&](const Json &arguments) {
		return tier(pools, engine, arguments);
	});
	dispatcher.add_object(cli::pool_remove_device_verb, [&](const Json &arguments) {
		return begin(pools, engine, volumes::remove_kind, arguments, 0,
			     fmt::format("Moves all data away from device {} of pool {}, and takes "
					 "it from the pool.",
					 text(arguments, "device"), text(arguments, "pool")));
	});
	dispatcher.add_object(cli::pool_shrink_verb, [&](const Json &arguments) -> Result<Json> {
		const auto size = text(arguments, "size");

		return begin(pools, engine, volumes::shrink_kind, arguments,
			     CORBEL_EXPECT(pool::parse_size(size)),
			     fmt::format("Moves what lies behind the first {} of data of device {} "
					 "of pool {}, and ends it there.",
					 size, text(arguments, "device"), text(arguments, "pool")));
	});
}

} /* namespace */

void add_pool_handlers(Dispatcher &dispatcher, Pools &pools, jobs::Engine &engine)
{
	/* One volume, named by @key, and what is done with it. */
	const auto add = [&](const cli::Verb &verb, auto &&call) {
		dispatcher.add_object(verb, [&pools, call](const Json &arguments) -> Result<Json> {
			Volumes volumes(pools);

			return call(volumes, arguments);
		});
	};

	add_pools(dispatcher, pools, engine);
	add(cli::volume_create_verb, [](Volumes &volumes, const Json &arguments) -> Result<Json> {
		return volumes.create(CORBEL_EXPECT(name_in(arguments, "volume")),
				      CORBEL_EXPECT(pool::parse_size(text(arguments, "size"))),
				      arguments.value("activate", false), is_dry(arguments));
	});
	add(cli::volume_list_verb, [](Volumes &volumes, const Json &arguments) {
		return volumes.list(text(arguments, "pool"), false);
	});
	add(cli::volume_delete_verb, remove_volume);
	add(cli::volume_resize_verb, [](Volumes &volumes, const Json &arguments) -> Result<Json> {
		return volumes.resize(CORBEL_EXPECT(name_in(arguments, "volume")),
				      CORBEL_EXPECT(pool::parse_size(text(arguments, "size"))),
				      is_dry(arguments));
	});
	add(cli::volume_activate_verb, [](Volumes &volumes, const Json &arguments) -> Result<Json> {
		return volumes.activate(CORBEL_EXPECT(name_in(arguments, "volume")),
					is_dry(arguments));
	});
	add(cli::volume_deactivate_verb,
	    [](Volumes &volumes, const Json &arguments) -> Result<Json> {
		    return volumes.deactivate(CORBEL_EXPECT(name_in(arguments, "volume")),
					      is_dry(arguments));
	    });
	add(cli::volume_clone_verb, [](Volumes &volumes, const Json &arguments) -> Result<Json> {
		return volumes.clone(CORBEL_EXPECT(name_in(arguments, "volume")),
				     text(arguments, "name"), is_dry(arguments));
	});
	add(cli::volume_rename_verb, [](Volumes &volumes, const Json &arguments) -> Result<Json> {
		return volumes.rename(CORBEL_EXPECT(name_in(arguments, "volume")),
				      text(arguments, "name"), is_dry(arguments));
	});
	dispatcher.add_object(
		cli::volume_defragment_verb, [&](const Json &arguments) -> Result<Json> {
			auto wish = CORBEL_EXPECT(volumes::defragmentation_of(
				pools, CORBEL_EXPECT(name_in(arguments, "volume")),
				text(arguments, "latency")));

			return begin_job(engine, volumes::defragment_kind, wish.argument, arguments,
					 std::move(wish.plan));
		});
	add(cli::snapshot_create_verb, snapshot);
	add(cli::snapshot_list_verb, [](Volumes &volumes, const Json &arguments) {
		return volumes.list(text(arguments, "pool"), true);
	});
	add(cli::snapshot_delete_verb, remove_snapshot);
	add(cli::snapshot_rollback_verb, roll_back);
	dispatcher.add(cli::volume_diff_verb, [&pools](const Json &arguments, Reply &reply) {
		Volumes volumes(pools);

		return diff(volumes, arguments, reply);
	});
}

} /* namespace corbel::daemon */
