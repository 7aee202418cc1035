/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * device_command.hh - what `corbel irq device` is told, one command a line.
 *
 *   map ID VCPU VECTOR [PRIO]   unmap IDS      reset
 *   mask IDS                    unmask IDS     raise IDS
 *   read [IDS]                  ledger [IDS]   save FILE    load FILE
 *   quit
 *
 * IDS are one or more of 5, 5-9 and all. A # begins a comment; an empty line is none.
 */
#pragma once

#include <libcorbel/error.hh>

#include <corbel/dist.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::cli {

struct IdRange {
	std::uint32_t first;
	std::uint32_t count;

	bool operator==(const IdRange &) const = default;
};

enum class DeviceVerb { map, unmap, mask, unmask, raise, read, ledger, reset, save, load, quit };

[[nodiscard]] const char *name_of(DeviceVerb verb);

struct DeviceCommand {
	DeviceVerb verb{};
	std::vector<IdRange> ids; /* of read and ledger: none is all */
	corbel_dist_entry entry{}; /* of map */
	std::string file; /* of save and load */
};

/* Nothing for a line without a command. @ids: how many the device has. */
[[nodiscard]] Result<std::optional<DeviceCommand>> parse_device_command(std::string_view line,
									std::uint32_t ids);

/* The commands of -e, which ; separates. */
[[nodiscard]] std::vector<std::string> split_commands(std::string_view text);

} /* namespace corbel::cli */
