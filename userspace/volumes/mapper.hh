/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mapper.hh - the kernel's device-mapper: devices made of a target and what it is told.
 *
 * Ours are known by their UUID, whatever somebody calls them.
 */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::volumes {

/* What the UUIDs of ours begin with. */
inline constexpr std::string_view uuid_prefix = "CORBEL-", lun_uuid_prefix = "CORBEL-QOS-";

struct Table {
	std::uint64_t sectors;
	std::string target;
	std::string parameters;
	bool read_only = false;
};

struct Mapped {
	std::string name, uuid;
	std::string number; /* "254:3" */
	std::uint32_t open = 0; /* how often */
};

/* Called from any thread. Errors have the errno that the kernel said. */
class Mapper {
public:
	Mapper() = default;
	Mapper(const Mapper &) = delete;
	virtual ~Mapper() = default;

	/* Those with a UUID of ours. */
	[[nodiscard]] virtual Result<std::vector<Mapped>> list() = 0;
	/* It is there, with its node in /dev/mapper, or nothing is. */
	[[nodiscard]] virtual Result<void> create(const std::string &name, const std::string &uuid,
						  const Table &table) = 0;
	/* Another table for one that is there: what is under way is finished with the old one. */
	[[nodiscard]] virtual Result<void> reload(const std::string &name, const Table &table) = 0;
	/* EBUSY: somebody has it open. ENXIO: there is none. */
	[[nodiscard]] virtual Result<void> remove(const std::string &name) = 0;
	/* The target's answer. */
	[[nodiscard]] virtual Result<std::string> message(const std::string &name,
							  const std::string &text) = 0;
	/* What the target says of itself. ENXIO: there is no such device. */
	[[nodiscard]] virtual Result<std::string> status(const std::string &name) = 0;
};

/* With libdevmapper. */
[[nodiscard]] std::unique_ptr<Mapper> make_mapper();

/* A part of a device of device-mapper. */
struct Row {
	std::uint64_t first, sectors;
	std::string target, parameters;
};

/* All parts of the device of that number, whoever has made it. From any thread. */
[[nodiscard]] Result<std::vector<Row>> table_of(unsigned major, unsigned minor);
/* What the target of the device of that number answers, or says of itself. The same. */
[[nodiscard]] Result<std::string> ask(unsigned major, unsigned minor, const std::string &message);
[[nodiscard]] Result<std::string> status_of(unsigned major, unsigned minor);

} /* namespace corbel::volumes */
