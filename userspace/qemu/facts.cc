// SPDX-License-Identifier: GPL-2.0-or-later
#include "facts.hh"

#include "qmp.hh"

#include <algorithm>
#include <array>
#include <cerrno>

namespace corbel::qemu {

namespace {

/* Of the lists that QEMU gives: more are not kept. */
constexpr std::size_t most_entries = 4096;

/* Whose reply is not a list has none. */
template <typename Take>
void for_each(const ForeignJson &reply, Take take)
{
	std::size_t left = most_entries;

	if (!reply.is_array())
		return;
	for (const auto &entry : reply) {
		if (left-- == 0)
			return;
		if (entry.is_object())
			take(entry);
	}
}

DiskFacts disk_of(const ForeignJson &block)
{
	const auto inserted = block.value("inserted", ForeignJson::object());

	return {.id = string_in(block, "device").empty() ? string_in(inserted, "node-name")
							 : string_in(block, "device"),
		.file = string_in(inserted, "file"),
		.format = string_in(inserted, "drv"),
		.device = string_in(block, "qdev"),
		.read_only = flag_in(inserted, "ro")};
}

Json json_of(const std::vector<DiskFacts> &disks)
{
	Json json = Json::array();

	for (const auto &disk : disks)
		json.push_back({{"id", disk.id},
				{"file", disk.file},
				{"format", disk.format},
				{"device", disk.device},
				{"read_only", disk.read_only}});
	return json;
}

DiskIo io_of(const ForeignJson &block)
{
	const auto stats = block.value("stats", ForeignJson::object());

	return {.id = string_in(block, "device").empty() ? string_in(block, "node-name")
							 : string_in(block, "device"),
		.read_bytes = number_in(stats, "rd_bytes"),
		.written_bytes = number_in(stats, "wr_bytes"),
		.reads = number_in(stats, "rd_operations"),
		.writes = number_in(stats, "wr_operations"),
		.flushes = number_in(stats, "flush_operations"),
		.read_ns = number_in(stats, "rd_total_time_ns"),
		.write_ns = number_in(stats, "wr_total_time_ns"),
		.flush_ns = number_in(stats, "flush_total_time_ns")};
}

Json json_of(const std::vector<DiskIo> &disks)
{
	Json json = Json::array();

	for (const auto &disk : disks)
		json.push_back({{"id", disk.id},
				{"read_bytes", disk.read_bytes},
				{"written_bytes", disk.written_bytes},
				{"reads", disk.reads},
				{"writes", disk.writes},
				{"flushes", disk.flushes},
				{"read_ns", disk.read_ns},
				{"write_ns", disk.write_ns},
				{"flush_ns", disk.flush_ns}});
	return json;
}

Json json_of(const std::vector<MemoryFacts> &backends)
{
	Json json = Json::array();

	for (const auto &backend : backends)
		json.push_back({{"id", backend.id},
				{"type", backend.type},
				{"file", backend.file},
				{"size_bytes", backend.size},
				{"shared", backend.shared}});
	return json;
}

Json json_of(const ArgumentFacts &facts)
{
	Json json{{"name", facts.name},
		  {"uuid", facts.uuid},
		  {"machine", facts.machine},
		  {"accelerator", facts.accelerator},
		  {"vcpus", facts.vcpus},
		  {"memory_bytes", facts.memory},
		  {"vsock_cid", facts.cid ? Json(*facts.cid) : Json(nullptr)},
		  {"disks", json_of(facts.disks)},
		  {"nets", Json::array()},
		  {"memory_backends", json_of(facts.memory_backends)},
		  {"sockets", Json::array()}};

	for (const auto &net : facts.nets)
		json["nets"].push_back({{"id", net.id},
					{"type", net.type},
					{"device", net.device},
					{"mac", net.mac}});
	for (const auto &socket : facts.sockets)
		json["sockets"].push_back({{"path", socket.path}, {"use", socket.use}});
	return json;
}

Json json_of(const MonitorFacts &facts)
{
	return {{"version", facts.version},
		{"status", facts.status},
		{"name", facts.name},
		{"vcpus", facts.vcpus},
		{"disks", json_of(facts.disks)},
		{"disk_io", json_of(facts.disk_io)},
		{"memory_backends", json_of(facts.memory_backends)}};
}

template <typename Facts>
Json json_of_group(const Group<Facts> &group, Time at, std::chrono::milliseconds limit)
{
	Json json{{"seen_ms", nullptr},
		  {"age_ms", nullptr},
		  {"stale", group.stale(at, limit)},
		  {"error", group.error},
		  {"facts", nullptr}};

	if (group.seen) {
		json["seen_ms"] = group.seen->time_since_epoch().count();
		json["age_ms"] = std::max<std::int64_t>((at - *group.seen).count(), 0);
		json["facts"] = json_of(group.facts);
	}
	return json;
}

} /* namespace */

Time now()
{
	return std::chrono::time_point_cast<std::chrono::milliseconds>(
		std::chrono::system_clock::now());
}

std::string_view name_of(Manager manager)
{
	constexpr std::array<std::string_view, 3> names{"nobody", "corbel", "libvirt"};

	return names[static_cast<std::size_t>(manager)];
}

Result<MonitorFacts> facts_of_monitor(const std::filesystem::path &socket,
				      std::chrono::milliseconds limit, pid_t peer)
{
	const Deadline deadline(limit);
	const auto left = [&] { return std::chrono::milliseconds(deadline.left_ms()); };
	auto qmp = CORBEL_EXPECT(Qmp::connect(socket, limit, peer));
	MonitorFacts facts;

	/* Older QEMUs do not know them all, and a machine may refuse one. */
	const auto ask = [&](const char *command) -> Result<ForeignJson> {
		auto reply = qmp.execute(command, left());

		if (!reply &&
		    (reply.error().number == ENOTSUP || reply.error().number == EREMOTEIO))
			return ForeignJson();
		return reply;
	};
	facts.version = qmp.version();
	facts.status = string_in(CORBEL_EXPECT(ask("query-status")), "status");
	facts.name = string_in(CORBEL_EXPECT(ask("query-name")), "name");
	for_each(CORBEL_EXPECT(ask("query-cpus-fast")),
		 [&](const ForeignJson &) { facts.vcpus++; });
	for_each(CORBEL_EXPECT(ask("query-block")),
		 [&](const ForeignJson &block) { facts.disks.push_back(disk_of(block)); });
	for_each(CORBEL_EXPECT(ask("query-blockstats")),
		 [&](const ForeignJson &block) { facts.disk_io.push_back(io_of(block)); });
	for_each(CORBEL_EXPECT(ask("query-memdev")), [&](const ForeignJson &backend) {
		facts.memory_backends.push_back({.id = string_in(backend, "id"),
						 .type = string_in(backend, "type"),
						 .file = {},
						 .size = number_in(backend, "size"),
						 .shared = flag_in(backend, "share")});
	});
	return facts;
}

Json json_of(const GuestFacts &guest, Time at, std::chrono::milliseconds limit)
{
	return {{"pid", guest.pid},
		{"started_ticks", guest.started},
		{"process", guest.process},
		{"name", guest.name},
		{"kvm_vcpus", guest.vcpus},
		{"managed_by", name_of(guest.manager)},
		{"arguments", json_of_group(guest.arguments, at, limit)},
		{"monitor", json_of_group(guest.monitor, at, limit)}};
}

} /* namespace corbel::qemu */
