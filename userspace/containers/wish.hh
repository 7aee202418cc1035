/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wish.hh - what a container needs at its destination, and whether a host has it. */
#pragma once

#include "group.hh"

#include "../migrate/protocol.hh"
#include "../qemu/bounded_json.hh"

#include <optional>

namespace corbel::containers {

struct Wish {
	std::string name; /* the last part of its cgroup's */
	std::uint64_t bytes = 0; /* that its pages may come to */
	Group::Limits limits{};
	std::string criu{}; /* version; its images are for that one */
	migrate::Terms terms{};
	bool plain = false;
	std::string source{}; /* name of the host, for people */
};

[[nodiscard]] qemu::Json json_of(const Wish &wish);
/* Nothing: what is wished for is no container. */
[[nodiscard]] Result<std::optional<Wish>> wish_of(const std::string &text);

/* Of the container here, but for `plain` and `source`. */
[[nodiscard]] Result<Wish> wish_here(const Group &group, std::uint64_t bytes,
				     const migrate::Terms &terms);

/* With room for what it takes until it stands still. */
[[nodiscard]] std::uint64_t bytes_for(const Group &group);

/* ENOMEM: its processes come to more than its own memory.max lets them have there. */
[[nodiscard]] Result<void> check_limit(const Group &group);

/* Letters, digits and what else a cgroup's name may have here. */
[[nodiscard]] bool is_name(const std::string &name);

/* Why this host cannot have it, each a sentence; empty: it can. @there: where it would be. */
[[nodiscard]] std::vector<std::string> obstacles(const Wish &wish, const Group &there);

} /* namespace corbel::containers */
