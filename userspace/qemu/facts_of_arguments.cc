// SPDX-License-Identifier: GPL-2.0-or-later
#include "facts.hh"

#include "option.hh"

#include <algorithm>
#include <charconv>
#include <map>

namespace corbel::qemu {

namespace {

constexpr std::uint64_t mebi = std::uint64_t{1} << 20;

std::uint64_t number_of(std::string_view text)
{
	std::uint64_t number = 0;

	std::from_chars(text.data(), text.data() + text.size(), number);
	return number;
}

/* Reads option by option; what refers to another one is put together at the end. */
class Reader {
public:
	void read(const Option &option)
	{
		const auto &[name, value] = option;

		if (name == "name")
			read_name(value);
		else if (name == "uuid")
			facts_.uuid = value;
		else if (name == "machine" || name == "M")
			read_machine(Parameters(value, "type"));
		else if (name == "accel")
			facts_.accelerator = Parameters(value, "accel")["accel"];
		else if (name == "enable-kvm")
			facts_.accelerator = "kvm";
		else if (name == "m")
			read_memory(Parameters(value, "size"));
		else if (name == "smp")
			read_vcpus(Parameters(value, "cpus"));
		else if (name == "drive")
			read_drive(Parameters(value));
		else if (name == "blockdev")
			read_blockdev(Parameters(value, "driver"));
		else if (name == "device")
			read_device(Parameters(value, "driver"));
		else if (name == "object")
			read_object(Parameters(value, "qom-type"));
		else if (name == "netdev" || name == "nic")
			read_net(Parameters(value, "type"));
		else if (name == "chardev")
			read_chardev(Parameters(value, "backend"));
		else if (name == "mon")
			read_mon(Parameters(value, "chardev"));
		else if (name == "qmp" || name == "qmp-pretty")
			read_socket(value, "qmp");
		else if (name == "monitor")
			read_socket(value, "hmp");
		else if (name == "serial")
			read_socket(value, "console");
		if (value.find("/var/lib/libvirt/") != value.npos ||
		    value.find("/run/libvirt/") != value.npos)
			facts_.looks_like_libvirt = true;
	}

	ArgumentFacts finish()
	{
		join_nodes();
		for (const auto &[chardev, use] : uses_)
			if (const auto path = listening_.find(chardev); path != listening_.end())
				facts_.sockets.push_back({path->second, use});
		for (auto &device : devices_)
			connect(device);
		for (const auto &[node, disk] : nodes_)
			if (!disk.file.empty() && !is_below_another(node))
				facts_.disks.push_back(disk);
		return std::move(facts_);
	}

private:
	void read_name(const std::string &value)
	{
		const Parameters name(value, "guest");

		facts_.name = name["guest"];
		/* So libvirt writes it, and hardly anybody else. */
		facts_.looks_like_libvirt |=
			value.starts_with("guest=") && name["debug-threads"] == "on";
	}

	void read_machine(const Parameters &machine)
	{
		if (!machine["type"].empty())
			facts_.machine = machine["type"];
		if (!machine["accel"].empty())
			facts_.accelerator = machine["accel"];
	}

	void read_memory(const Parameters &memory)
	{
		if (const auto size = size_of(memory["size"], mebi))
			facts_.memory = size;
	}

	void read_vcpus(const Parameters &smp)
	{
		std::uint64_t product = 1;

		for (const char *key : {"sockets", "dies", "clusters", "cores", "threads"})
			product *= std::clamp<std::uint64_t>(number_of(smp[key]), 1, 4096);
		facts_.vcpus = std::max<std::uint64_t>(number_of(smp["cpus"]), 1);
		if (smp["cpus"].empty())
			facts_.vcpus = product;
	}

	void read_drive(const Parameters &drive)
	{
		DiskFacts disk{
			.id = drive["id"],
			.file = drive["file"].empty() ? drive["file.filename"] : drive["file"],
			.format = drive["format"].empty() ? drive["driver"] : drive["format"],
			.device = drive["if"] == "none" ? "" : drive["if"],
			.read_only = drive.is_on("readonly") || drive.is_on("read-only")};

		if (drive["if"].empty())
			disk.device = "ide";
		nodes_.emplace_back(disk.id, std::move(disk));
	}

	void read_blockdev(const Parameters &node)
	{
		DiskFacts disk{.id = node["node-name"],
			       .file = node["file.filename"].empty() ? node["filename"]
								     : node["file.filename"],
			       .format = node["driver"],
			       .device = {},
			       .read_only = node.is_on("read-only")};

		if (!node["file"].empty())
			below_[disk.id] = node["file"];
		nodes_.emplace_back(disk.id, std::move(disk));
	}

	void read_device(Parameters device)
	{
		const auto &driver = device["driver"];

		if (driver.starts_with("vhost-vsock") && !device["guest-cid"].empty())
			facts_.cid = number_of(device["guest-cid"]);
		if (driver.find("serial") != driver.npos || driver.find("console") != driver.npos)
			uses_.emplace_back(device["chardev"], "console");
		devices_.push_back(std::move(device));
	}

	void read_object(const Parameters &object)
	{
		if (object["qom-type"].starts_with("memory-backend"))
			facts_.memory_backends.push_back({.id = object["id"],
							  .type = object["qom-type"],
							  .file = object["mem-path"],
							  .size = size_of(object["size"], 1),
							  .shared = object.is_on("share")});
	}

	void read_net(const Parameters &net)
	{
		facts_.nets.push_back({.id = net["id"],
				       .type = net["type"],
				       .device = net["model"],
				       .mac = net["mac"]});
	}

	void read_chardev(const Parameters &chardev)
	{
		if (chardev["id"] == "charmonitor")
			facts_.looks_like_libvirt = true;
		if (chardev["backend"] == "socket" && chardev.is_on("server") &&
		    !chardev["path"].empty())
			listening_[chardev["id"]] = chardev["path"];
	}

	void read_mon(const Parameters &monitor)
	{
		uses_.emplace_back(monitor["chardev"],
				   monitor["mode"] == "control" ? "qmp" : "hmp");
	}

	/* unix:PATH,server=on; chardev:ID */
	void read_socket(std::string_view value, const char *use)
	{
		if (value.starts_with("chardev:")) {
			uses_.emplace_back(value.substr(8), use);
		} else if (value.starts_with("unix:")) {
			const Parameters socket(value.substr(5), "path");

			if (socket.is_on("server"))
				facts_.sockets.push_back({socket["path"], use});
		}
	}

	/* A device, to the disk or network it shows to the guest. */
	void connect(const Parameters &device)
	{
		if (const auto &drive = device["drive"]; !drive.empty())
			for (auto &[node, disk] : nodes_)
				if (node == drive)
					disk.device = device["driver"];
		if (const auto &netdev = device["netdev"]; !netdev.empty())
			for (auto &net : facts_.nets)
				if (net.id == netdev) {
					net.device = device["driver"];
					net.mac = device["mac"];
				}
	}

	/* A node that another one reads gives that one its file, and is no disk of its own. */
	bool is_below_another(const std::string &node)
	{
		return std::ranges::any_of(below_,
					   [&](const auto &pair) { return pair.second == node; });
	}

	void join_nodes()
	{
		for (auto &[name, disk] : nodes_) {
			const auto below = below_.find(name);

			if (below == below_.end() || !disk.file.empty())
				continue;
			for (const auto &[other, lower] : nodes_)
				if (other == below->second)
					disk.file = lower.file;
		}
	}

	ArgumentFacts facts_;
	std::vector<std::pair<std::string, DiskFacts>> nodes_;
	std::map<std::string, std::string> below_;
	std::map<std::string, std::string> listening_; /* paths, by chardev */
	std::vector<std::pair<std::string, std::string>> uses_; /* chardev, use */
	std::vector<Parameters> devices_;
};

} /* namespace */

Result<ArgumentFacts> facts_of_arguments(std::string_view command_line)
{
	Reader reader;

	for (const auto &option : CORBEL_EXPECT(options_of(command_line)))
		reader.read(option);
	return reader.finish();
}

} /* namespace corbel::qemu */
