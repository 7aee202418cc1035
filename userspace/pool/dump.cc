// SPDX-License-Identifier: GPL-2.0-or-later
#include "dump.hh"

#include <libcorbel/uuid.hh>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace corbel::pool {

namespace {

using Json = nlohmann::ordered_json;
using block::Kind;
using block::Pba;
using block::Tree;
using block::VolumeV1;

constexpr std::uint64_t all_keys = ~std::uint64_t{0};

struct Place {
	bool known = false;
	Pba pba;

	bool operator==(const Place &) const = default;
	[[nodiscard]] Place behind(std::uint64_t count) const
	{
		return {known, {pba.device, pba.block + (known ? count : 0)}};
	}
};

void put(Json &piece, const Place &place)
{
	piece["device"] = place.known ? Json(place.pba.device) : Json();
	piece["block"] = place.known ? Json(place.pba.block) : Json();
}

class Dumper {
public:
	Dumper(block::Pool &pool, const std::string &path, const Take &take)
		: pool_(pool), store_(pool.store()), path_(path), take_(take)
	{}

	void superblock();
	void devices();
	[[nodiscard]] Result<void> volumes();
	[[nodiscard]] Result<void> volume(std::uint64_t id, const VolumeV1 &volume);
	[[nodiscard]] Result<void> middle();
	[[nodiscard]] Result<void> reverse();
	[[nodiscard]] bool is_whole() const { return whole_; }

private:
	/* One piece of entries that go on where those before end, or none yet. */
	struct Run {
		std::uint64_t first = 0, count = 0, mba = 0, references = 0;
		Place place{};
	};

	void say(const Json &piece) { ended_ = ended_ || !take_(piece); }
	/* Damage is told, and no error. */
	Result<void> went(block::Result<void> result, const std::string &where);
	/* Whether @next goes on with @run; if not, @end is told of the run. */
	template <typename End>
	void add(Run &run, const Run &next, End &&end)
	{
		if (run.count && next.first == run.first + run.count &&
		    next.mba == run.mba + run.count && next.references == run.references &&
		    next.place == run.place.behind(run.count)) {
			run.count++;
			return;
		}
		if (run.count)
			end(run);
		run = next;
		run.count = 1;
	}
	[[nodiscard]] block::Meta root(Kind kind) const
	{
		return {store_.super().roots[static_cast<unsigned>(kind)]};
	}
	/* Where contents lie, as far as that is known. */
	block::Result<Place> place_of(std::uint64_t mba);

	block::Pool &pool_;
	block::Store &store_;
	const std::string &path_;
	const Take &take_;
	bool ended_ = false, whole_ = true;
};

Result<void> Dumper::went(block::Result<void> result, const std::string &where)
{
	if (result.ok() || result.error() != block::Error::bad_message)
		return told(result, path_);
	whole_ = false;
	say({{"type", "damage"},
	     {"where", where},
	     {"meaning", "what comes behind the last entry told is not known"}});
	return {};
}

block::Result<Place> Dumper::place_of(std::uint64_t mba)
{
	const auto pba = pool_.find_mba({mba});

	if (pba.ok())
		return Place{true, pba.value()};
	if (pba.error() != block::Error::not_found && pba.error() != block::Error::bad_message)
		return pba.error();
	whole_ = false;
	return Place{};
}

void Dumper::superblock()
{
	const auto &super = store_.super();
	Json roots = Json::object(), nodes = Json::object();
	unsigned kind = 0;

	for (const char *name : {"volumes", "middle", "reverse", "logical"}) {
		if (kind != static_cast<unsigned>(Kind::logical))
			roots[name] = super.roots[kind];
		nodes[name] = super.nodes[kind++];
	}
	say({{"type", "superblock"},
	     {"block", super.header.generation % 2},
	     {"generation", super.header.generation},
	     {"version", super.version},
	     {"uuid", uuid_text(super.uuid)},
	     {"data_block_bytes", super.data_block_bytes},
	     {"meta_blocks", super.meta_blocks},
	     {"free_meta_blocks", pool_.free_meta()},
	     {"next_volume", super.next_volume},
	     {"volumes", super.volumes},
	     {"mba_end", super.mba_end},
	     {"mapped", super.mapped},
	     {"roots", roots},
	     {"nodes", nodes}});
}

void Dumper::devices()
{
	const auto &super = store_.super();

	for (std::uint32_t i = 0; i < block::max_devices; i++) {
		const auto &device = super.devices[i];
		if (device.blocks)
			say({{"type", "device"},
			     {"device", i},
			     {"uuid", uuid_text(device.uuid)},
			     {"tier", std::string(device.tier,
						  ::strnlen(device.tier, sizeof(device.tier)))},
			     {"blocks", device.blocks},
			     {"limit", device.limit},
			     {"used", device.used}});
	}
}

Result<void> Dumper::volume(std::uint64_t id, const VolumeV1 &volume)
{
	Tree tree(store_, Kind::logical);
	Run run;
	const auto end = [&](const Run &of) {
		Json piece{{"type", "mapping"},
			   {"volume", id},
			   {"first", of.first},
			   {"count", of.count},
			   {"mba", of.mba}};

		put(piece, of.place);
		say(piece);
	};

	say({{"type", "volume"},
	     {"volume", id},
	     {"blocks", volume.blocks},
	     {"mapped", volume.mapped},
	     {"origin", volume.origin ? Json(volume.origin) : Json()},
	     {"created", volume.created},
	     {"read_only", (volume.flags & block::volume_read_only) != 0},
	     {"deleting", (volume.flags & block::volume_deleting) != 0},
	     {"root", volume.root}});
	auto walked =
		tree.walk({volume.root}, 0, all_keys,
			  [&](std::uint64_t lba, const std::uint64_t *mba) -> block::Result<bool> {
				  Run next{.first = lba, .mba = *mba};

				  next.place = CORBEL_TRY(place_of(*mba));
				  add(run, next, end);
				  return !ended_;
			  });
	if (run.count)
		end(run);
	return went(walked, fmt::format("map of volume {}", id));
}

Result<void> Dumper::volumes()
{
	Tree tree(store_, Kind::volumes);
	Result<void> failed;
	auto walked =
		tree.walk(root(Kind::volumes), 0, all_keys,
			  [&](std::uint64_t id, const std::uint64_t *words) -> block::Result<bool> {
				  VolumeV1 found;

				  std::memcpy(&found, words, sizeof(found));
				  failed = volume(id, found);
				  return failed && !ended_;
			  });

	CORBEL_EXPECT(std::move(failed));
	return went(walked, "volume table");
}

Result<void> Dumper::middle()
{
	Tree tree(store_, Kind::middle);
	Run run;
	/* A run of contents: first is the MBA. */
	const auto end = [&](const Run &of) {
		Json piece{{"type", "middle"}, {"mba", of.first}, {"count", of.count}};

		put(piece, of.place);
		piece["references"] = of.references;
		say(piece);
	};
	auto walked = tree.walk(
		root(Kind::middle), 0, all_keys,
		[&](std::uint64_t mba, const std::uint64_t *words) -> block::Result<bool> {
			block::MiddleV1 entry;

			std::memcpy(&entry, words, sizeof(entry));
			add(run,
			    {.first = mba,
			     .mba = mba,
			     .references = entry.count,
			     .place = {true, Pba::unpack(entry.pba)}},
			    end);
			return !ended_;
		});

	if (run.count)
		end(run);
	return went(walked, "middle map");
}

Result<void> Dumper::reverse()
{
	Tree tree(store_, Kind::reverse);
	Run run;
	const auto end = [&](const Run &of) {
		Json piece{{"type", "reverse"}};

		put(piece, of.place);
		piece["count"] = of.count;
		piece["mba"] = of.mba;
		say(piece);
	};
	auto walked = tree.walk(
		root(Kind::reverse), 0, all_keys,
		[&](std::uint64_t packed, const std::uint64_t *mba) -> block::Result<bool> {
			add(run,
			    {.first = packed, .mba = *mba, .place = {true, Pba::unpack(packed)}},
			    end);
			return !ended_;
		});

	if (run.count)
		end(run);
	return went(walked, "reverse map");
}

} /* namespace */

Result<bool> dump(block::Pool &pool, std::optional<std::uint64_t> volume, const std::string &path,
		  const Take &take)
{
	Dumper dumper(pool, path, take);

	if (volume) {
		const auto found = pool.find_volume({*volume});

		if (!found.ok() && found.error() == block::Error::not_found)
			return failure(
				ENOENT,
				fmt::format("There is no volume {} in {}: `corbel pool dump` "
					    "without --volume shows those there are.",
					    *volume, path));
		if (!found.ok())
			return std::unexpected(explain(found.error(), path));
		CORBEL_EXPECT(dumper.volume(*volume, found.value()));
		return dumper.is_whole();
	}
	dumper.superblock();
	dumper.devices();
	CORBEL_EXPECT(dumper.volumes());
	CORBEL_EXPECT(dumper.middle());
	CORBEL_EXPECT(dumper.reverse());
	return dumper.is_whole();
}

} /* namespace corbel::pool */
