// SPDX-License-Identifier: GPL-2.0-or-later
#include "output_file.hh"
#include "pool_text.hh"
#include "schema.hh"
#include "verb.hh"

#include "../pool/dump.hh"

#include <cerrno>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

constexpr std::uint32_t cache_nodes = 4096;

struct Options {
	std::string meta;
	std::uint64_t volume = 0;
	bool json = false;
};

/* "mapping volume=1 first=0 count=12 ..." */
void put_text(std::string &out, const Json &piece)
{
	out += piece.at("type").get<std::string>();
	for (const auto &[key, value] : piece.items())
		if (key != "type")
			out += fmt::format(" {}={}", key,
					   value.is_string() ? value.get<std::string>()
							     : dump(value));
	out += '\n';
}

Result<ExitCode> dump_pool(const Options &options)
{
	const auto device =
		CORBEL_EXPECT(pool::MetaDevice::open(options.meta, pool::MetaDevice::Use::read));
	const auto pool = std::make_unique<block::Pool>(*device);
	auto out = CORBEL_EXPECT(OutputFile::open("-"));
	Result<void> written;

	/* Says more of what is wrong than the pool itself. */
	(void)CORBEL_EXPECT(pool::survey(*device, device->blocks(), options.meta));
	CORBEL_EXPECT(pool::told(
		pool->open(device->blocks(), cache_nodes, block::Access::read_only), options.meta));
	const auto volume = options.volume ? std::optional(options.volume) : std::nullopt;
	const bool whole =
		CORBEL_EXPECT(pool::dump(*pool, volume, options.meta, [&](const Json &piece) {
			if (options.json)
				out.buffer() += dump(piece) + "\n";
			else
				put_text(out.buffer(), piece);
			if (out.is_large())
				written = out.write();
			return written.has_value();
		}));
	if (written)
		written = out.write();
	if (!written && written.error().number != EPIPE)
		return std::unexpected(written.error());
	return whole ? ExitCode::ok : ExitCode::partial;
}

Json place(std::string_view key)
{
	return schema::nullable(schema::count(key));
}

Json describe()
{
	namespace s = schema;

	return s::any_of({
		s::object({{"type", s::constant("superblock")},
			   {"block", s::count("0 or 1: where it is")},
			   {"generation", s::count()},
			   {"version", s::count("of the format")},
			   {"uuid", s::string()},
			   {"data_block_bytes", s::count()},
			   {"meta_blocks", s::count("of 4 KiB")},
			   {"free_meta_blocks", s::count()},
			   {"next_volume", s::count()},
			   {"volumes", s::count()},
			   {"mba_end", s::count()},
			   {"mapped", s::count("entries of the middle map")},
			   {"roots", s::dictionary(s::count(), "nodes")},
			   {"nodes", s::dictionary(s::count(), "how many of each tree")}}),
		s::object({{"type", s::constant("device")},
			   {"device", s::count("its number")},
			   {"uuid", s::string()},
			   {"tier", s::string()},
			   {"blocks", s::count()},
			   {"limit", s::count("nothing is placed from here on")},
			   {"used", s::count()}}),
		s::object({{"type", s::constant("volume")},
			   {"volume", s::count("its id")},
			   {"blocks", s::count()},
			   {"mapped", s::count()},
			   {"origin", s::nullable(s::count("what it was made from"))},
			   {"created", s::count("generation")},
			   {"read_only", s::boolean()},
			   {"deleting", s::boolean()},
			   {"root", s::count("node; 0: empty")}}),
		s::object({{"type", s::constant("mapping")},
			   {"volume", s::count()},
			   {"first", s::count("block of the volume")},
			   {"count", s::count("blocks, contents and places in a row")},
			   {"mba", s::count("contents")},
			   {"device", place("where they lie; null: nobody knows")},
			   {"block", place("of the device")}}),
		s::object({{"type", s::constant("middle")},
			   {"mba", s::count("contents")},
			   {"count", s::count()},
			   {"device", place("where they lie")},
			   {"block", place("of the device")},
			   {"references", s::count("entries of leaves that name each of them")}}),
		s::object({{"type", s::constant("reverse")},
			   {"device", place("number")},
			   {"block", place("of the device")},
			   {"count", s::count()},
			   {"mba", s::count("contents")}}),
		s::object({{"type", s::constant("damage")},
			   {"where", s::string()},
			   {"meaning", s::string()}}),
	});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_meta(set, options->meta);
	set.count("--volume", options->volume, "N", "Only this volume and its map");
	set.json(options->json);
	return [options] { return exit_code_of(dump_pool(*options)); };
}

} /* namespace */

const Verb pool_dump_verb{
	.group = "pool",
	.name = "dump",
	.summary = "All that a pool's metadata says: devices, volumes, maps",
	.examples = "corbel pool dump /dev/vg/meta                  a line for each piece\n"
		    "corbel pool dump /dev/vg/meta --volume 3       where its blocks lie\n"
		    "corbel pool dump copy.img --json | jq -c 'select(.type == \"device\")'   for "
		    "scripts",
	.exit_codes = "3: something is damaged, the output says where.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::lines,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
