// SPDX-License-Identifier: GPL-2.0-or-later
#include "command.hh"

#include "launcher.hh"

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

/* A value within a list of parameters. */
std::string escaped(std::string_view value)
{
	std::string text;

	for (const char c : value)
		text.append(c == ',' ? 2 : 1, c);
	return text;
}

class Command {
public:
	Command(const Description &vm, const Runtime &runtime, const std::string &program,
		CommandOptions options)
		: vm_(vm),
		  runtime_(runtime),
		  options_(options),
		  arguments_{program},
		  bus_(vm.machine.starts_with("microvm") ? "device" : "pci")
	{}

	std::vector<std::string> make()
	{
		add({"-name", vm_.name, "-uuid", vm_.uuid, "-nodefaults", "-no-user-config",
		     "-display", "none", "-machine",
		     fmt::format("{},memory-backend=corbel-ram", vm_.machine), "-accel",
		     vm_.accelerator, "-m", fmt::format("{}M", vm_.memory >> 20), "-smp",
		     fmt::format("{}", vm_.vcpus)});
		if (vm_.accelerator == "kvm")
			add({"-cpu", "host"});
		add_memory();
		if (options_.incoming)
			add({"-S", "-incoming", "defer"});
		add_monitor("daemon", runtime_.monitor());
		add_monitor("others", runtime_.file("qmp"));
		add_console();
		add_boot();
		for (std::size_t i = 0; i < vm_.disks.size(); i++)
			add_disk(i, vm_.disks[i]);
		for (std::size_t i = 0; i < vm_.nets.size(); i++)
			add_net(i, vm_.nets[i]);
		if (vm_.vsock.kind != Vsock::Kind::none)
			add({"-device", fmt::format("vhost-vsock-{},guest-cid={}", bus_,
						    vm_.vsock.kind == Vsock::Kind::fixed
							    ? vm_.vsock.cid
							    : automatic_cid(vm_.uuid))});
		arguments_.insert(arguments_.end(), vm_.extra.begin(), vm_.extra.end());
		return std::move(arguments_);
	}

private:
	void add(std::initializer_list<std::string> more)
	{
		arguments_.insert(arguments_.end(), more);
	}

	void add_monitor(const std::string &id, const std::string &path)
	{
		add({"-chardev",
		     fmt::format("socket,id=corbel-{},path={},server=on,wait=off", id,
				 escaped(path)),
		     "-mon", fmt::format("chardev=corbel-{},mode=control", id)});
	}

	/* What is mapped at a multiple of 2 MiB can be mapped 2 MiB at a time. */
	void add_memory()
	{
		const auto size = fmt::format("{}M", vm_.memory >> 20);

		add({"-object",
		     options_.memory_object
			     ? fmt::format("memory-backend-file,id=corbel-ram,size={},share=on,"
					   "align=2M,mem-path={}",
					   size, node_to_come)
			     : fmt::format("memory-backend-ram,id=corbel-ram,size={}{}", size,
					   options_.all_memory ? ",prealloc=on" : "")});
	}

	void add_console()
	{
		const auto [socket, log] = console_of(vm_, runtime_);

		add({"-chardev",
		     fmt::format("socket,id=corbel-console,path={},server=on,wait=off,logfile={},"
				 "logappend=on",
				 escaped(socket), escaped(log)),
		     "-serial", "chardev:corbel-console"});
	}

	void add_boot()
	{
		if (!vm_.firmware.empty())
			add({"-bios", vm_.firmware});
		if (!vm_.kernel.empty())
			add({"-kernel", vm_.kernel});
		if (!vm_.initrd.empty())
			add({"-initrd", vm_.initrd});
		if (!vm_.append.empty())
			add({"-append", vm_.append});
	}

	void add_disk(std::size_t number, const Disk &disk)
	{
		const auto node = node_of_disk(number);
		std::error_code error;
		const bool is_device = std::filesystem::is_block_file(disk.path, error);
		const Json json{{"driver", disk.format},
				{"node-name", node},
				{"read-only", disk.read_only},
				{"file",
				 {{"driver", is_device ? "host_device" : "file"},
				  {"filename", disk.path}}}};

		add({"-blockdev", json.dump()});
		if (disk.interface == "scsi" && !std::exchange(has_scsi_, true))
			add({"-device", fmt::format("virtio-scsi-{},id=corbel-scsi", bus_)});
		add({"-device", disk.interface == "scsi" ? "scsi-hd,drive=" + node
				: disk.interface == "ide"
					? "ide-hd,drive=" + node
					: fmt::format("virtio-blk-{},drive={}", bus_, node)});
	}

	void add_net(std::size_t number, const Net &net)
	{
		const auto id = fmt::format("corbel-net{}", number);

		if (net.type == "none")
			return;
		add({"-netdev", net.type == "tap"
					? fmt::format("tap,id={},ifname={},script=no,downscript=no",
						      id, net.interface)
					: fmt::format("user,id={}", id)});
		add({"-device", fmt::format("{},netdev={}{}",
					    net.model == "e1000" ? "e1000" : "virtio-net-" + bus_,
					    id, net.mac.empty() ? "" : ",mac=" + net.mac)});
	}

	const Description &vm_;
	const Runtime &runtime_;
	CommandOptions options_;
	std::vector<std::string> arguments_;
	std::string bus_; /* in the names of virtio's devices */
	bool has_scsi_ = false;
};

} /* namespace */

ConsoleFiles console_of(const Description &vm, const Runtime &runtime)
{
	const auto or_own = [&](const std::string &named, const char *own) {
		return named.empty() ? runtime.file(own).string() : named;
	};

	return {or_own(vm.console_socket, "console"), or_own(vm.console_log, "console.log")};
}

std::string node_of_disk(std::size_t number)
{
	return fmt::format("corbel-disk{}", number);
}

std::uint32_t automatic_cid(const std::string &uuid)
{
	constexpr std::uint32_t first = 0x10000; /* below are those that people choose */
	std::uint32_t hash = 2166136261U; /* FNV-1a */

	for (const char c : uuid)
		hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
	return first + hash % (0x7fffffffU - first);
}

std::vector<std::string> command_of(const Description &vm, const Runtime &runtime,
				    const std::string &program, CommandOptions options)
{
	return Command(vm, runtime, program, options).make();
}

} /* namespace corbel::qemu */
