/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * facts.hh - what is known of a QEMU guest that runs, seen from outside.
 *
 * Facts come in groups of one source each: what the command line said when it began, and
 * what QEMU's monitor says now. A group says when it was last seen, and why not since: its
 * facts are those of that time.
 */
#pragma once

#include "bounded_json.hh"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace corbel::qemu {

using Time = std::chrono::sys_time<std::chrono::milliseconds>;

[[nodiscard]] Time now();

/* How a guest came to be, and thus who talks to its monitor. */
enum class Manager { nobody, corbel, libvirt };
[[nodiscard]] std::string_view name_of(Manager manager);

struct DiskFacts {
	std::string id;
	std::string file;
	std::string format;
	std::string device; /* "virtio-blk-pci", or "virtio" of if=virtio */
	bool read_only = false;
};

struct NetFacts {
	std::string id;
	std::string type; /* "user", "tap" */
	std::string device;
	std::string mac;
};

struct MemoryFacts {
	std::string id;
	std::string type; /* "memory-backend-memfd" */
	std::string file;
	std::uint64_t size = 0;
	bool shared = false;
};

/* What a disk has done for the guest since QEMU began. */
struct DiskIo {
	std::string id; /* as of DiskFacts */
	std::uint64_t read_bytes = 0, written_bytes = 0;
	std::uint64_t reads = 0, writes = 0, flushes = 0; /* that were completed */
	std::uint64_t read_ns = 0, write_ns = 0, flush_ns = 0; /* in all */
};

/* A socket in the file system at which QEMU listens. */
struct SocketFacts {
	std::string path;
	std::string use; /* "qmp", "hmp", "console" */
};

struct ArgumentFacts {
	std::string name, uuid, machine, accelerator;
	std::uint64_t vcpus = 1;
	std::uint64_t memory = std::uint64_t{128} << 20; /* bytes */
	std::optional<std::uint64_t> cid; /* of vsock */
	std::vector<DiskFacts> disks;
	std::vector<NetFacts> nets;
	std::vector<MemoryFacts> memory_backends;
	std::vector<SocketFacts> sockets;
	bool looks_like_libvirt = false;
};

struct MonitorFacts {
	std::string version, status, name;
	std::uint64_t vcpus = 0;
	std::vector<DiskFacts> disks;
	std::vector<DiskIo> disk_io;
	std::vector<MemoryFacts> memory_backends;
};

template <typename Facts>
struct Group {
	Facts facts;
	std::optional<Time> seen; /* none: never */
	std::string error; /* why not since; empty: it was seen when it was last looked at */

	/* Not seen the last time, or for longer than @limit. */
	[[nodiscard]] bool stale(Time at, std::chrono::milliseconds limit) const
	{
		return !seen || !error.empty() || at - *seen > limit;
	}
};

struct GuestFacts {
	pid_t pid = 0;
	std::uint64_t started = 0; /* ticks after boot: tells a pid from the same one later */
	std::string process;
	std::string name;
	std::uint64_t vcpus = 0; /* that KVM has */
	Manager manager = Manager::nobody;
	Group<ArgumentFacts> arguments;
	Group<MonitorFacts> monitor;
};

/* Arguments ended by NUL. */
[[nodiscard]] Result<ArgumentFacts> facts_of_arguments(std::string_view command_line);

/*
 * Asks what changes nothing, and leaves. @peer: the process that must answer, 0: any.
 */
[[nodiscard]] Result<MonitorFacts> facts_of_monitor(const std::filesystem::path &socket,
						    std::chrono::milliseconds limit, pid_t peer);

/* Fields: Documentation/vms.md. Ages are as of @at; what is older than @limit is stale. */
[[nodiscard]] Json json_of(const GuestFacts &guest, Time at, std::chrono::milliseconds limit);

} /* namespace corbel::qemu */
