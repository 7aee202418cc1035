/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * description.hh - a VM as its owner describes it, in TOML or JSON.
 *
 * The keys are in Documentation/vms.md. Nothing is guessed: a key that is not known, a
 * value of another type or out of its range, or a file that is not there is an error that
 * names the key, its line (in TOML) and what is allowed.
 */
#pragma once

#include "bounded_json.hh"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::qemu {

inline constexpr std::size_t longest_description = std::size_t{64} << 10;

struct Disk {
	std::string path;
	std::string format = "raw";
	std::string interface = "virtio";
	bool read_only = false;

	bool operator==(const Disk &) const = default;
};

struct Net {
	std::string type; /* user, tap, none */
	std::string model = "virtio";
	std::string mac; /* empty: QEMU's choice */
	std::string interface; /* of tap */

	bool operator==(const Net &) const = default;
};

struct Vsock {
	enum class Kind { none, automatic, fixed } kind = Kind::none;
	std::uint32_t cid = 0; /* if fixed */

	bool operator==(const Vsock &) const = default;
};

struct Description {
	std::string name;
	std::string uuid; /* empty: made when it is defined */
	std::uint32_t vcpus = 1;
	std::uint64_t memory = 0; /* bytes */
	std::string memory_backing; /* corbel, ordinary; empty: corbel where that can be */
	std::string machine = "q35";
	std::string accelerator = "kvm";
	std::string kernel, initrd, append; /* empty: none */
	std::string firmware; /* empty: QEMU's */
	std::vector<Disk> disks;
	std::vector<Net> nets;
	Vsock vsock;
	std::string console_socket, console_log; /* empty: in the runtime folder */
	std::optional<std::uint64_t> cpu_weight, memory_max;
	std::vector<std::string> extra; /* arguments of QEMU */

	bool operator==(const Description &) const = default;
};

enum class FileCheck { no, yes };

/*
 * TOML, or JSON if it begins with a brace. @source: what to call it in an error. EINVAL:
 * something is wrong with it; E2BIG: it is longer than longest_description.
 */
[[nodiscard]] Result<Description> description_of(std::string_view text, std::string_view source,
						 FileCheck files);

/* The file at @path, with the files that it names. */
[[nodiscard]] Result<Description> read_description(const std::filesystem::path &path);

/* What description_of() reads. */
[[nodiscard]] Json json_of(const Description &description);

/* Letters, digits, dots, underscores and dashes, at most 60, the first none of the latter. */
[[nodiscard]] bool is_vm_name(std::string_view name);

/* A random one, as RFC 4122 writes it. */
[[nodiscard]] Result<std::string> make_uuid();

} /* namespace corbel::qemu */
