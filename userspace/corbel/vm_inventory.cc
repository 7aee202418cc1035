// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon_call.hh"
#include "schema.hh"
#include "table.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

ExitCode show(const Json &answer)
{
	using Align = Table::Align;
	Table table({{"PID"},
		     {"NAME", Align::left},
		     {"MANAGED BY", Align::left},
		     {"VCPUS"},
		     {"STATUS", Align::left}});

	for (const auto &guest : answer.at("guests")) {
		const auto &arguments = guest.at("arguments").at("facts");
		const auto &monitor = guest.at("monitor").at("facts");

		table.add({fmt::format("{}", guest.at("pid").get<std::uint64_t>()),
			   printable(guest.at("name").get<std::string>()),
			   guest.at("managed_by").get<std::string>(),
			   arguments.is_null()
				   ? "?"
				   : fmt::format("{}", arguments.at("vcpus").get<std::uint64_t>()),
			   monitor.is_null() ? "not known"
					     : printable(monitor.at("status").get<std::string>())});
	}
	for (const auto &vm : answer.at("definitions"))
		if (vm.at("pid").is_null())
			table.add({"", vm.at("name").get<std::string>(), "corbel",
				   fmt::format("{}", vm.at("vcpus").get<std::uint64_t>()),
				   "stopped"});
	for (const auto &line : table.lines())
		fmt::print("{}\n", line);
	return ExitCode::ok;
}

/* Of facts of one source. */
Json group(const Json &facts)
{
	namespace s = schema;

	return s::object({{"seen_ms", s::nullable(s::count("since the epoch"))},
			  {"age_ms", s::nullable(s::count())},
			  {"stale", s::boolean()},
			  {"error", s::string("why not since; empty: it was")},
			  {"facts", s::nullable(facts)}});
}

Json disks()
{
	namespace s = schema;

	return s::array(s::object({{"id", s::string()},
				   {"file", s::string()},
				   {"format", s::string()},
				   {"device", s::string()},
				   {"read_only", s::boolean()}}));
}

Json disk_io()
{
	namespace s = schema;

	return s::array(s::object({{"id", s::string("as of disks")},
				   {"read_bytes", s::count()},
				   {"written_bytes", s::count()},
				   {"reads", s::count()},
				   {"writes", s::count()},
				   {"flushes", s::count()},
				   {"read_ns", s::count("in all")},
				   {"write_ns", s::count("in all")},
				   {"flush_ns", s::count("in all")}}));
}

Json memory_backends()
{
	namespace s = schema;

	return s::array(s::object({{"id", s::string()},
				   {"type", s::string()},
				   {"file", s::string()},
				   {"size_bytes", s::count()},
				   {"shared", s::boolean()}}));
}

Json arguments()
{
	namespace s = schema;

	return s::object(
		{{"name", s::string()},
		 {"uuid", s::string()},
		 {"machine", s::string()},
		 {"accelerator", s::string()},
		 {"vcpus", s::count()},
		 {"memory_bytes", s::count()},
		 {"vsock_cid", s::nullable(s::count())},
		 {"disks", disks()},
		 {"nets", s::array(s::object({{"id", s::string()},
					      {"type", s::string()},
					      {"device", s::string()},
					      {"mac", s::string()}}))},
		 {"memory_backends", memory_backends()},
		 {"sockets", s::array(s::object({{"path", s::string()}, {"use", s::string()}}))}});
}

Json monitor()
{
	namespace s = schema;

	return s::object({{"version", s::string()},
			  {"status", s::string()},
			  {"name", s::string()},
			  {"vcpus", s::count()},
			  {"disks", disks()},
			  {"disk_io", disk_io()},
			  {"memory_backends", memory_backends()}});
}

Json describe()
{
	namespace s = schema;

	return s::object(
		{{"taken_ms", s::count("since the epoch")},
		 {"searched_ms", s::nullable(s::count("when it was seen which guests there are"))},
		 {"error", s::string("why not since")},
		 {"guests", s::array(s::object({{"pid", s::count()},
						{"started_ticks", s::count("after boot")},
						{"process", s::string()},
						{"name", s::string()},
						{"kvm_vcpus", s::count()},
						{"managed_by",
						 s::one_of_words({"nobody", "corbel", "libvirt"})},
						{"arguments", group(arguments())},
						{"monitor", group(monitor())}}))},
		 {"definitions",
		  s::array(s::object({{"name", s::string()},
				      {"uuid", s::string()},
				      {"vcpus", s::count()},
				      {"memory_bytes", s::count()},
				      {"pid", s::nullable(s::count("while it runs"))}}))}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto json = std::make_shared<bool>(false);

	set.json(*json);
	return [json, arguments = set.arguments()] {
		return ask_daemon(vm_inventory_verb, arguments, *json, show);
	};
}

} /* namespace */

const Verb vm_inventory_verb{
	.group = "vm",
	.name = "inventory",
	.summary = "All that the daemon knows of the guests here, and the VMs that are defined",
	.examples = "corbel vm inventory          a table\n"
		    "corbel vm inventory --json   with disks, nets and where each fact is from",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.home = Home::daemon,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
