// SPDX-License-Identifier: GPL-2.0-or-later
#include "description.hh"

#include "description_node.hh"

#include <libcorbel/text_file.hh>
#include <libcorbel/uuid.hh>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace corbel::qemu {

namespace {

using Node = DescriptionNode;

constexpr std::uint64_t mebi = std::uint64_t{1} << 20;
constexpr std::uint64_t most_memory = std::uint64_t{16} << 40;
constexpr std::uint64_t most_vcpus = 1024;
constexpr std::uint64_t first_cid = 3; /* those before are the host's */
constexpr std::uint64_t last_cid = 0xfffffffe;

/* Options that say again what the description says, or take QEMU out of Corbel's hands. */
constexpr std::array<std::string_view, 17> refused_options{
	"name",	    "uuid",	 "m",	  "smp",       "accel",	       "enable-kvm",
	"machine",  "M",	 "S",	  "daemonize", "pidfile",      "chroot",
	"incoming", "preconfig", "runas", "mem-path",  "mem-prealloc",
};

bool only_has(std::string_view text, std::string_view others)
{
	return std::ranges::all_of(text, [&](char c) {
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		       others.find(c) != others.npos;
	});
}

bool is_uuid(const std::string &text)
{
	if (text.size() != 36)
		return false;
	for (std::size_t i = 0; i < text.size(); i++) {
		const bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-'
			 : std::string_view("0123456789abcdef").find(text[i]) ==
				    std::string_view::npos)
			return false;
	}
	return true;
}

/* Of one host, and not of a group of them. */
bool is_mac(const std::string &text)
{
	constexpr std::string_view digits = "0123456789abcdef";

	if (text.size() != 17)
		return false;
	for (std::size_t i = 0; i < text.size(); i++)
		if (i % 3 == 2 ? text[i] != ':' : digits.find(text[i]) == digits.npos)
			return false;
	return digits.find(text[1]) % 2 == 0;
}

bool is_interface(const std::string &text)
{
	return text.size() <= 15 && only_has(text, "._-") && text != "." && text != "..";
}

class Reader {
public:
	Reader(Node root, FileCheck files) : root_(std::move(root)), files_(files) {}

	Result<Description> read()
	{
		CORBEL_EXPECT(read_machine());
		CORBEL_EXPECT(read_boot());
		CORBEL_EXPECT(read_disks());
		CORBEL_EXPECT(read_nets());
		CORBEL_EXPECT(read_vsock());
		CORBEL_EXPECT(read_console());
		CORBEL_EXPECT(read_limits());
		CORBEL_EXPECT(read_extra());
		CORBEL_EXPECT(root_.finish());
		return std::move(vm_);
	}

private:
	Result<void> read_machine()
	{
		CORBEL_EXPECT(root_.text("name", vm_.name, is_vm_name,
					 "letters, digits, dots, underscores and dashes, at most "
					 "60, the first a letter or digit"));
		if (vm_.name.empty())
			return root_.wrong("name", "is missing: each VM has one");
		CORBEL_EXPECT(root_.text("uuid", vm_.uuid, is_uuid,
					 "one such as 6ba7b810-9dad-41d1-80b4-00c04fd430c8, in "
					 "small letters"));
		if (const auto vcpus = CORBEL_EXPECT(root_.number("vcpus", 1, most_vcpus)))
			vm_.vcpus = static_cast<std::uint32_t>(*vcpus);
		const auto memory = CORBEL_EXPECT(root_.size("memory", mebi, most_memory));
		if (!memory)
			return root_.wrong("memory", "is missing: say how much, such as \"512M\"");
		vm_.memory = *memory;
		CORBEL_EXPECT(
			root_.word("memory_backing", vm_.memory_backing, {"corbel", "ordinary"}));
		CORBEL_EXPECT(root_.text(
			"machine", vm_.machine,
			[](const auto &text) { return text.size() <= 60 && only_has(text, ".-"); },
			"a machine of QEMU's, such as q35, pc or microvm"));
		return root_.word("accelerator", vm_.accelerator, {"kvm", "tcg"});
	}

	Result<void> read_file(Node &node, std::string_view key, std::string &value)
	{
		CORBEL_EXPECT(node.text(
			key, value, [](const auto &text) { return text.starts_with('/'); },
			"a whole path, from / on"));
		if (files_ == FileCheck::yes && !value.empty() &&
		    ::access(value.c_str(), R_OK) != 0)
			return node.wrong(key, fmt::format("names {}, which cannot be read: {}",
							   value, describe_errno(errno)));
		return {};
	}

	/* A file that QEMU will make. */
	static Result<void> read_new_file(Node &node, std::string_view key, std::string &value)
	{
		return node.text(
			key, value, [](const auto &text) { return text.starts_with('/'); },
			"a whole path, from / on");
	}

	Result<void> read_boot()
	{
		CORBEL_EXPECT(read_file(root_, "kernel", vm_.kernel));
		CORBEL_EXPECT(read_file(root_, "initrd", vm_.initrd));
		CORBEL_EXPECT(read_file(root_, "firmware", vm_.firmware));
		vm_.append = CORBEL_EXPECT(root_.text("append")).value_or("");
		if (vm_.kernel.empty() && !vm_.initrd.empty())
			return root_.wrong("initrd", "needs a 'kernel'");
		if (vm_.kernel.empty() && !vm_.append.empty())
			return root_.wrong("append", "needs a 'kernel'");
		return {};
	}

	Result<void> read_disks()
	{
		for (auto &node : CORBEL_EXPECT(root_.tables("disks"))) {
			Disk disk;

			CORBEL_EXPECT(read_file(node, "path", disk.path));
			if (disk.path.empty())
				return node.wrong("path", "is missing: each disk has one");
			CORBEL_EXPECT(node.word("format", disk.format, {"raw", "qcow2"}));
			CORBEL_EXPECT(
				node.word("interface", disk.interface, {"virtio", "scsi", "ide"}));
			CORBEL_EXPECT(node.flag("read_only", disk.read_only));
			CORBEL_EXPECT(node.finish());
			for (const auto &other : vm_.disks)
				if (other.path == disk.path && !(other.read_only && disk.read_only))
					return node.wrong("path", "is another disk's, too: two may "
								  "share a file only if both are "
								  "read_only");
			vm_.disks.push_back(std::move(disk));
		}
		return {};
	}

	Result<void> read_nets()
	{
		for (auto &node : CORBEL_EXPECT(root_.tables("nets"))) {
			Net net;

			CORBEL_EXPECT(node.word("type", net.type, {"user", "tap", "none"}));
			if (net.type.empty())
				return node.wrong("type", "is missing: user, tap or none");
			CORBEL_EXPECT(node.word("model", net.model, {"virtio", "e1000"}));
			CORBEL_EXPECT(node.text("mac", net.mac, is_mac,
						"one such as 52:54:00:12:34:56, in small letters"));
			CORBEL_EXPECT(node.text("interface", net.interface, is_interface,
						"a network interface's name"));
			CORBEL_EXPECT(node.finish());
			if (net.interface.empty() != (net.type != "tap"))
				return node.wrong("interface", net.type == "tap"
								       ? "is missing: tap needs one"
								       : "is for nets of type tap");
			for (const auto &other : vm_.nets) {
				if (!net.mac.empty() && other.mac == net.mac)
					return node.wrong("mac", "is another net's, too");
				if (!net.interface.empty() && other.interface == net.interface)
					return node.wrong("interface", "is another net's, too");
			}
			vm_.nets.push_back(std::move(net));
		}
		return {};
	}

	Result<void> read_vsock()
	{
		std::string word;

		if (root_.is_text("vsock")) {
			CORBEL_EXPECT(root_.word("vsock", word, {"auto", "none"}));
			vm_.vsock.kind =
				word == "auto" ? Vsock::Kind::automatic : Vsock::Kind::none;
		} else if (const auto cid =
				   CORBEL_EXPECT(root_.number("vsock", first_cid, last_cid))) {
			vm_.vsock = {Vsock::Kind::fixed, static_cast<std::uint32_t>(*cid)};
		}
		return {};
	}

	Result<void> read_console()
	{
		auto node = CORBEL_EXPECT(root_.table("console"));

		if (!node)
			return {};
		CORBEL_EXPECT(read_new_file(*node, "socket", vm_.console_socket));
		CORBEL_EXPECT(read_new_file(*node, "log", vm_.console_log));
		return node->finish();
	}

	Result<void> read_limits()
	{
		auto node = CORBEL_EXPECT(root_.table("limits"));

		if (!node)
			return {};
		vm_.cpu_weight = CORBEL_EXPECT(node->number("cpu_weight", 1, 10000));
		vm_.memory_max = CORBEL_EXPECT(node->size("memory_max", mebi, most_memory));
		if (vm_.memory_max && *vm_.memory_max < vm_.memory)
			return node->wrong("memory_max", "is less than 'memory': the guest would "
							 "be killed");
		return node->finish();
	}

	Result<void> read_extra()
	{
		CORBEL_EXPECT(root_.texts("extra", vm_.extra));
		for (std::string_view argument : vm_.extra) {
			if (argument.starts_with('-'))
				argument.remove_prefix(argument.starts_with("--") ? 2 : 1);
			else
				continue;
			if (std::ranges::count(refused_options, argument))
				return root_.wrong(
					"extra",
					fmt::format("must not have -{}: Corbel sets it, or "
						    "must know what it would do",
						    argument));
		}
		return {};
	}

	Node root_;
	FileCheck files_;
	Description vm_;
};

std::string show_size(std::uint64_t size)
{
	return fmt::format("{}M", size / mebi);
}

Json json_of(const Disk &disk)
{
	return {{"path", disk.path},
		{"format", disk.format},
		{"interface", disk.interface},
		{"read_only", disk.read_only}};
}

Json json_of(const Net &net)
{
	Json json{{"type", net.type}, {"model", net.model}};

	if (!net.mac.empty())
		json["mac"] = net.mac;
	if (!net.interface.empty())
		json["interface"] = net.interface;
	return json;
}

} /* namespace */

Result<Description> description_of(std::string_view text, std::string_view source, FileCheck files)
{
	if (text.size() > longest_description)
		return failure(E2BIG, fmt::format("{}: a description has at most {} bytes.", source,
						  longest_description));
	const auto table = CORBEL_EXPECT(table_of(text, source));

	return Reader(Node(table, source), files).read();
}

Result<Description> read_description(const std::filesystem::path &path)
{
	const auto text = text_of_file(path, longest_description + 1);

	if (!text)
		return failure(errno, fmt::format("The description of a VM is looked for in {}, "
						  "which cannot be read: {}.",
						  path.string(), describe_errno(errno)));
	return description_of(*text, path.string(), FileCheck::yes);
}

Json json_of(const Description &vm)
{
	Json json{{"name", vm.name}};
	const auto put = [&](const char *key, const std::string &value) {
		if (!value.empty())
			json[key] = value;
	};

	put("uuid", vm.uuid);
	json["vcpus"] = vm.vcpus;
	json["memory"] = show_size(vm.memory);
	put("memory_backing", vm.memory_backing);
	json["machine"] = vm.machine;
	json["accelerator"] = vm.accelerator;
	put("kernel", vm.kernel);
	put("initrd", vm.initrd);
	put("append", vm.append);
	put("firmware", vm.firmware);
	json["disks"] = Json::array();
	for (const auto &disk : vm.disks)
		json["disks"].push_back(json_of(disk));
	json["nets"] = Json::array();
	for (const auto &net : vm.nets)
		json["nets"].push_back(json_of(net));
	if (vm.vsock.kind == Vsock::Kind::automatic)
		json["vsock"] = "auto";
	else if (vm.vsock.kind == Vsock::Kind::fixed)
		json["vsock"] = vm.vsock.cid;
	json["console"] = Json::object();
	if (!vm.console_socket.empty())
		json["console"]["socket"] = vm.console_socket;
	if (!vm.console_log.empty())
		json["console"]["log"] = vm.console_log;
	json["limits"] = Json::object();
	if (vm.cpu_weight)
		json["limits"]["cpu_weight"] = *vm.cpu_weight;
	if (vm.memory_max)
		json["limits"]["memory_max"] = show_size(*vm.memory_max);
	json["extra"] = vm.extra;
	return json;
}

bool is_vm_name(std::string_view name)
{
	return !name.empty() && name.size() <= 60 && only_has(name, "._-") &&
	       only_has(name.substr(0, 1), "");
}

Result<std::string> make_uuid()
{
	return uuid_text(CORBEL_EXPECT(random_uuid()).data());
}

} /* namespace corbel::qemu */
