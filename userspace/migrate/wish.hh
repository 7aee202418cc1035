/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wish.hh - what a VM needs at its destination, and whether a host has it.
 *
 * Disks stay where they are: the destination must have each at the same path, and it must be
 * the same one, as far as its size and number tell. What is not there may be moved along
 * (storage.hh), if that is wanted.
 */
#pragma once

#include "protocol.hh"

#include "../qemu/description.hh"

#include <set>
#include <string>
#include <vector>

namespace corbel::migrate {

enum class Mode : std::uint8_t {
	postcopy, /* what is missing follows when it runs there */
	hybrid, /* most is sent before, while it runs here */
	precopy, /* all is sent before, by QEMU */
};
[[nodiscard]] std::string_view name_of(Mode mode);
[[nodiscard]] std::optional<Mode> mode_of(std::string_view name);

/* What a connection to the destination is for; also disks (storage.hh). */
inline constexpr std::string_view use_of_pager = "pager", use_of_qemu = "qemu";

/* What tells a disk from another one. */
struct DiskIdentity {
	std::string path;
	std::uint64_t size = 0;
	std::string identity; /* of a file: its number; of a device: what its maker calls it */

	bool operator==(const DiskIdentity &) const = default;
};
/* The errno of what cannot be looked at. */
[[nodiscard]] Result<DiskIdentity> identity_of(const std::string &path);

class VolumeDisks; /* storage.hh */

struct Wish {
	qemu::Description vm;
	Mode mode = Mode::postcopy;
	Terms terms{};
	bool plain = false;
	bool storage = false; /* disks that are not there are moved along */
	std::vector<DiskIdentity> disks{};
	std::set<std::string> cpu{}; /* features of the source's; empty: none are needed */
	std::string source{}; /* name of the host, for people */
};

[[nodiscard]] qemu::Json json_of(const Wish &wish);
[[nodiscard]] Result<Wish> wish_of(const std::string &text);

/* What is as it is here. */
[[nodiscard]] Result<Wish> wish_here(const qemu::Description &vm, Mode mode, const Terms &terms);

/* Of /proc/cpuinfo. */
[[nodiscard]] std::set<std::string> cpu_features();

/* Why this host cannot have it, each a sentence; empty: it can. */
[[nodiscard]] std::vector<std::string> obstacles(const Wish &wish, VolumeDisks *volumes = nullptr);

} /* namespace corbel::migrate */
