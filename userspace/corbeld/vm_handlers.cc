// SPDX-License-Identifier: GPL-2.0-or-later
#include "vm_handlers.hh"

#include "arguments.hh"
#include "job_handlers.hh"
#include "migrate_handlers.hh"
#include "vm_owner.hh"

#include "../qemu/command.hh"
#include "../qemu/definitions.hh"
#include "../qemu/process.hh"
#include "../qemu/runner.hh"
#include "../qemu/socket_table.hh"

#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::daemon {

namespace {

using qemu::Description;
using qemu::Launch;

std::string name_in(const Json &arguments)
{
	return arguments.at("vm").get<std::string>();
}

/* A wrong name is no path: EINVAL. */
Result<std::optional<Launch>> running(const Vms &vms, const std::string &name)
{
	if (!qemu::is_vm_name(name))
		return failure(EINVAL, fmt::format("'{}' is not the name of a VM: letters, digits, "
						   "dots, underscores and dashes, at most 60.",
						   name));
	const auto launch = qemu::Runtime(vms.root, name).launch();
	return launch && qemu::is_alive(launch->pid, launch->started) ? launch : std::nullopt;
}

/* What define() would come to, if nobody else defines anything. */
Result<qemu::Defined> try_to_define(const Vms &vms, Description description)
{
	for (const auto &known : CORBEL_EXPECT(qemu::definitions(vms.store))) {
		if (known.name == description.name) {
			if (description.uuid.empty())
				description.uuid = known.uuid;
			const bool changed = !(known == description);
			return qemu::Defined{std::move(description), changed};
		}
	}
	return qemu::Defined{std::move(description), true};
}

Result<Json> define(const Vms &vms, const Json &arguments)
{
	auto description =
		CORBEL_EXPECT(qemu::read_description(arguments.at("file").get<std::string>()));
	const auto defined =
		CORBEL_EXPECT(is_dry(arguments) ? try_to_define(vms, std::move(description))
						: qemu::define(vms.store, std::move(description)));
	const auto &uuid = defined.description.uuid;

	return Json{{"vm", defined.description.name},
		    {"uuid", uuid.empty() ? Json(nullptr) : Json(uuid)},
		    {"dry_run", is_dry(arguments)},
		    {"changed", defined.changed}};
}

Result<Json> undefine(const Vms &vms, const Json &arguments)
{
	const auto name = name_in(arguments);

	if (const auto launch = CORBEL_EXPECT(running(vms, name)))
		return failure(EBUSY, fmt::format("'{0}' runs, as process {1}: stop it first, with "
						  "`corbel vm stop {0}`.",
						  name, launch->pid));
	CORBEL_EXPECT(qemu::definition(vms.store, name));
	CORBEL_EXPECT(check_not_moving(vms.arrivals, vms.engine, name));
	if (!is_dry(arguments)) {
		CORBEL_EXPECT(qemu::undefine(vms.store, name));
		CORBEL_EXPECT(claim(vms.store, name));
	}
	return Json{{"vm", name}, {"dry_run", is_dry(arguments)}, {"changed", true}};
}

/* There is nothing to be done, and no job of that key that was to do it. */
Result<Json> nothing_to_do(const Json &arguments, std::string why)
{
	return Json{{"job", nullptr},
		    {"plan", std::move(why)},
		    {"dry_run", is_dry(arguments)},
		    {"changed", false}};
}

Result<bool> is_known(const Vms &vms, const char *kind, const Json &argument, const Json &arguments)
{
	const auto key = arguments.value("key", std::string());

	return !key.empty() && CORBEL_EXPECT(vms.engine.find(kind, argument, key)).has_value();
}

Result<Json> start(const Vms &vms, const Json &arguments)
{
	const auto name = name_in(arguments);
	const Json argument{{"vm", name}};
	const auto launch = CORBEL_EXPECT(running(vms, name));

	if (launch && !CORBEL_EXPECT(is_known(vms, qemu::start_kind, argument, arguments)))
		return nothing_to_do(arguments, fmt::format("'{}' runs already, as process {}.",
							    name, launch->pid));
	CORBEL_EXPECT(check_not_moving(vms.arrivals, vms.engine, name));
	CORBEL_EXPECT(check_is_here(vms.store, name));
	return begin_job(vms.engine, qemu::start_kind, argument, arguments,
			 fmt::format("Starts '{}'.", name));
}

Result<Json> stop(const Vms &vms, const Json &arguments)
{
	const auto name = name_in(arguments);
	const Json argument{{"vm", name}, {"force", arguments.value("force", false)}};
	const auto launch = CORBEL_EXPECT(running(vms, name));

	/* A folder without a process is what is left of one that died: the job removes it. */
	std::error_code error;
	if (!launch && !std::filesystem::exists(vms.root / name, error) &&
	    !CORBEL_EXPECT(is_known(vms, qemu::stop_kind, argument, arguments)))
		return nothing_to_do(arguments, fmt::format("'{}' does not run.", name));
	if (launch)
		CORBEL_EXPECT(check_not_moving(vms.arrivals, vms.engine, name));
	return begin_job(vms.engine, qemu::stop_kind, argument, arguments,
			 fmt::format("Stops '{}'.", name));
}

Result<Json> console(const Vms &vms, const Json &arguments)
{
	const auto name = name_in(arguments);
	const auto vm = CORBEL_EXPECT(qemu::definition(vms.store, name));

	if (!CORBEL_EXPECT(running(vms, name)))
		return failure(ENOENT, fmt::format("'{0}' does not run: `corbel vm start {0}` "
						   "starts it.",
						   name));
	const auto [socket, log] = qemu::console_of(vm, qemu::Runtime(vms.root, name));
	const auto sockets = CORBEL_EXPECT(qemu::SocketTable::read("/proc/self/net/unix"));
	return Json{{"vm", name},
		    {"socket", socket},
		    {"log", log},
		    {"taken", sockets.use_of(socket) == qemu::SocketUse::taken}};
}

Result<Json> inventory(const Vms &vms)
{
	auto answer = qemu::json_of(vms.inventory.snapshot());

	answer["definitions"] = Json::array();
	for (const auto &vm : CORBEL_EXPECT(qemu::definitions(vms.store))) {
		const auto launch = CORBEL_EXPECT(running(vms, vm.name));

		answer["definitions"].push_back({{"name", vm.name},
						 {"uuid", vm.uuid},
						 {"vcpus", vm.vcpus},
						 {"memory_bytes", vm.memory},
						 {"pid", launch ? Json(launch->pid) : Json()}});
	}
	return answer;
}

} /* namespace */

void add_vm_handlers(Dispatcher &dispatcher, const Vms &vms)
{
	const auto add = [&](const cli::Verb &verb,
			     Result<Json> (*handler)(const Vms &, const Json &)) {
		dispatcher.add_object(verb, [vms, handler](const Json &arguments) {
			auto answer = handler(vms, arguments);

			vms.inventory.refresh();
			return answer;
		});
	};

	add(cli::vm_define_verb, define);
	add(cli::vm_undefine_verb, undefine);
	add(cli::vm_start_verb, start);
	add(cli::vm_stop_verb, stop);
	add(cli::vm_console_verb, console);
	dispatcher.add_object(cli::vm_inventory_verb,
			      [vms](const Json &) { return inventory(vms); });
}

std::vector<qemu::OwnGuest> own_guests(const std::filesystem::path &root)
{
	std::vector<qemu::OwnGuest> guests;

	for (const auto &[name, launch] : qemu::running_below(root))
		guests.push_back({.pid = launch.pid,
				  .name = name,
				  .monitor = qemu::Runtime(root, name).monitor()});
	return guests;
}

} /* namespace corbel::daemon */
