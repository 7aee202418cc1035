// SPDX-License-Identifier: GPL-2.0-or-later
#include "migrate_handlers.hh"

#include "job_handlers.hh"
#include "vm_owner.hh"

#include "../qemu/definitions.hh"

#include <cerrno>

#include <fmt/format.h>

namespace corbel::daemon {

namespace {

Result<Json> migrate_container(Hosts &hosts, Departures &departures, jobs::Engine &engine,
			       const Json &arguments)
{
	const auto peer = CORBEL_EXPECT(hosts.records().find(arguments.at("host")));
	const auto name = arguments.at("container").get<std::string>();
	const Json argument{{"container", name},
			    {"host", peer.id.uuid},
			    {"name", peer.name},
			    {"spill", arguments.value("spill", false)},
			    {"plain", arguments.value("plain", false)}};
	const auto key = arguments.value("key", std::string());

	for (const char *flag : {"rollback", "storage"})
		if (arguments.value(flag, false))
			return failure(
				EINVAL,
				fmt::format("--{} is for VMs, and no container has it.", flag));
	if (const auto mode = arguments.value("mode", std::string());
	    !mode.empty() && mode != "postcopy")
		return failure(EINVAL, "A container moves by --mode postcopy only.");
	if (!key.empty() && CORBEL_EXPECT(engine.find(container_kind, argument, key)))
		return begin_job(engine, container_kind, argument, arguments,
				 fmt::format("Moves container {} to host {}.", name, peer.name));
	const auto group = CORBEL_EXPECT(containers::Group::find(name));
	for (const auto &job : CORBEL_EXPECT(engine.list()))
		if (job.kind == container_kind && !is_final(job.state) &&
		    job.data.value("group", std::string()) == group.folder())
			return failure(EBUSY, fmt::format("Job {} moves {} already.", job.id,
							  group.name()));
	auto plan = CORBEL_EXPECT(departures.plan(argument));
	return begin_job(engine, container_kind, argument, arguments, std::move(plan));
}

Result<Json> migrate_vm(Hosts &hosts, Departures &departures, jobs::Engine &engine,
			const Json &arguments)
{
	if (arguments.contains("container") && arguments.contains("host"))
		return arguments.contains("vm")
			       ? failure(EINVAL, "Say a VM or a container, not both.")
			       : migrate_container(hosts, departures, engine, arguments);
	if (!arguments.contains("vm") || !arguments.contains("host"))
		return failure(EINVAL, "Say which VM is to be moved, and to which host.");
	const auto peer = CORBEL_EXPECT(hosts.records().find(arguments.at("host")));
	const auto mode = arguments.value("mode", std::string());
	const auto name = arguments.at("vm").get<std::string>();
	const Json argument{{"vm", name},
			    {"host", peer.id.uuid},
			    {"name", peer.name},
			    {"mode", mode.empty() ? "postcopy" : mode},
			    {"rollback", arguments.value("rollback", false)},
			    {"spill", arguments.value("spill", false)},
			    {"storage", arguments.value("storage", false)},
			    {"plain", arguments.value("plain", false)}};
	const auto key = arguments.value("key", std::string());

	/* What was done by that key need not be possible any more. */
	if (!key.empty() && CORBEL_EXPECT(engine.find(migrate_kind, argument, key)))
		return begin_job(engine, migrate_kind, argument, arguments,
				 fmt::format("Moves '{}' to host {}.", name, peer.name));
	for (const auto &job : CORBEL_EXPECT(engine.list()))
		if (job.kind == migrate_kind && !is_final(job.state) &&
		    job.argument.value("vm", std::string()) == name)
			return failure(EBUSY,
				       fmt::format("Job {} moves '{}' already.", job.id, name));
	auto plan = CORBEL_EXPECT(departures.plan(argument));
	return begin_job(engine, migrate_kind, argument, arguments, std::move(plan));
}

} /* namespace */

Result<v1::MigrateAnswer> Migrations::order(const trust::HostId &from,
					    const v1::MigrateOrder &order)
{
	return arrivals_.order(from, order);
}

Result<v1::MigrateConnectReply> Migrations::connect(const trust::HostId &from,
						    const v1::MigrateConnectRequest &request)
{
	return arrivals_.connect(from, request);
}

Result<v1::MigrateAskReply> Migrations::ask(const trust::HostId &from,
					    const v1::MigrateAskRequest &request)
{
	return departures_.ask(from, request.session());
}

void add_migrate_handlers(Dispatcher &dispatcher, Hosts &hosts, Departures &departures,
			  jobs::Engine &engine)
{
	dispatcher.add_object(cli::migrate_verb, [&](const Json &arguments) {
		return migrate_vm(hosts, departures, engine, arguments);
	});
}

Result<void> check_not_moving(Arrivals &arrivals, jobs::Engine &engine, const std::string &vm)
{
	if (arrivals.expects(vm))
		return failure(EBUSY,
			       fmt::format("'{}' is just coming here from another host.", vm));
	for (const auto &job : CORBEL_EXPECT(engine.list()))
		if (job.kind == migrate_kind && !is_final(job.state) &&
		    job.argument.value("vm", std::string()) == vm)
			return failure(EBUSY, fmt::format("Job {} is moving '{}' to another host: "
							  "`corbel job cancel {}` first.",
							  job.id, vm, job.id));
	return {};
}

Result<void> check_is_here(state::Store &store, const std::string &vm)
{
	const auto known = qemu::definition(store, vm);
	const auto owner = CORBEL_EXPECT(owner_of(store, vm, known ? known->uuid : std::string()));

	if (owner && !owner->here)
		return failure(EPERM,
			       fmt::format("'{0}' is host {1}'s (epoch {2}): it is started "
					   "there. Where that host is gone for good, and "
					   "with it the VM, {3}`corbel vm define` makes it "
					   "this one's.",
					   vm, owner->host, owner->epoch,
					   known ? fmt::format("`corbel vm undefine {}`, then ", vm)
						 : ""));
	return {};
}

} /* namespace corbel::daemon */
