/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool beside a model of it: volumes as maps from block to the number of the write that it
 * holds. What is done is done to both; then all contents are looked up and compared, and the
 * metadata is checked. `trouble` says what was found first, and is empty if all is well.
 */
#pragma once

#include "block/check.hh"
#include "block_disk.hh"
#include "block_model.hh"
#include "random_stream.hh"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

namespace corbel::unit {

using namespace corbel::block;

inline constexpr Uuid pool_uuid{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
inline constexpr Uuid device_uuid{{42}};

struct BenchShape {
	std::uint64_t meta_blocks = 256;
	std::vector<std::uint64_t> devices = {64};
	std::uint32_t cache_nodes = 64;
};

class Bench {
public:
	explicit Bench(const BenchShape &shape = {}) : shape_(shape), disk(shape.meta_blocks)
	{
		require(Store::format(disk, shape.meta_blocks, 65536, pool_uuid), "format");
		open();
		for (const auto blocks : shape.devices)
			require(pool->add_device(device_uuid, "ssd", blocks), "a device is added");
		flush();
	}
	/* What a crash left. */
	Bench(const BenchShape &shape, Contents contents, bool recording = false)
		: shape_(shape), disk(std::move(contents))
	{
		disk.recording = recording;
		open();
	}

	void open()
	{
		pool = std::make_unique<Pool>(disk);
		require(pool->open(shape_.meta_blocks, shape_.cache_nodes, Access::read_write),
			"open");
	}

	template <typename T>
	bool require(const Result<T> &result, const std::string &what)
	{
		if (!result.ok())
			complain(what + " failed: " + std::to_string(result.to_errno()));
		return result.ok();
	}
	void complain(const std::string &what)
	{
		if (trouble.empty())
			trouble = what;
	}

	/* ---- operations, of which each says whether the pool took it ---- */

	/* Tries again behind a commit and a drain, if that is what is missing. */
	template <typename Operation>
	auto attempt(Operation &&operation, unsigned times = 2)
	{
		auto result = operation();

		if (result.ok())
			return result;
		if (result.error() == Error::again && times) {
			flush();
			drain();
			return attempt(operation, times - 1);
		}
		if (result.error() != Error::no_space && result.error() != Error::again)
			complain("an operation failed: " + std::to_string(result.to_errno()));
		return result;
	}

	/* Those that are being deleted included. */
	std::vector<VolumeId> volumes()
	{
		std::vector<VolumeId> ids;

		for (VolumeId at{};;) {
			const auto next = pool->next_volume(at);

			if (!next.ok()) {
				if (next.error() != Error::not_found)
					complain("the volumes cannot be listed");
				return ids;
			}
			at = next.value();
			ids.push_back(at);
		}
	}

	VolumeId create(std::uint64_t blocks)
	{
		const auto id = attempt([&] { return pool->create_volume(blocks); });

		if (!id.ok())
			return {};
		model[id.value().value].blocks = blocks;
		return id.value();
	}
	VolumeId snapshot(VolumeId of, bool read_only)
	{
		const auto id = attempt([&] { return pool->snapshot(of, read_only); });

		if (!id.ok())
			return {};
		auto copy = model[of.value];
		copy.read_only = read_only;
		model[id.value().value] = std::move(copy);
		return id.value();
	}
	bool write(VolumeId volume, std::uint64_t lba, Placement placement = {})
	{
		const auto plan =
			attempt([&] { return pool->prepare_write(volume, {lba}, placement); });

		if (!plan.ok())
			return false;
		auto &contents = model[volume.value].contents;
		const auto found = contents.find(lba);
		const auto old = found == contents.end() ? 0 : found->second;
		if ((plan.value().kind == WritePlan::Kind::fresh) != (old == 0))
			complain(
				"what is written to is mapped where it is not, or not where it is");
		if (plan.value().kind == WritePlan::Kind::copied &&
		    disk.data_at(plan.value().old) != old)
			complain("a copy would be made of something else");
		disk.write_data(plan.value().pba, ++number_);
		contents[lba] = number_;
		if (plan.value().kind != WritePlan::Kind::in_place) {
			fresh_.insert(plan.value().pba);
			return true;
		}
		in_place.push_back({disk.events.size(), volume.value, lba, number_});
		/* The last committed state has it as well, and no other block of it. */
		if (!fresh_.contains(plan.value().pba)) {
			if (!committed[volume.value].contents.contains(lba))
				complain("a write in place changes what was another's");
			committed[volume.value].contents[lba] = number_;
		}
		return true;
	}
	bool discard(VolumeId volume, std::uint64_t lba, std::uint64_t count)
	{
		auto &contents = model[volume.value].contents;

		while (count) {
			const auto done =
				attempt([&] { return pool->discard(volume, {lba}, count); });

			if (!done.ok())
				return false;
			if (!done.value() || done.value() > count) {
				complain("a discard got nowhere");
				return false;
			}
			contents.erase(contents.lower_bound(lba),
				       contents.lower_bound(lba + done.value()));
			lba += done.value();
			count -= done.value();
		}
		return true;
	}
	bool remove(VolumeId volume)
	{
		if (!attempt([&] { return pool->delete_volume(volume); }).ok())
			return false;
		model.erase(volume.value);
		return true;
	}
	/* All that are being deleted. */
	void finish_deleting()
	{
		for (const auto at : volumes()) {
			const auto value = pool->find_volume(at);
			if (!value.ok() || !(value.value().flags & volume_deleting))
				continue;
			for (unsigned steps = 0;; steps++) {
				const auto done = attempt([&] { return pool->delete_some(at); });

				if (!done.ok() || steps > 10000) {
					complain("a deletion got stuck");
					return;
				}
				if (done.value())
					break;
			}
		}
	}
	bool roll_back(VolumeId volume, VolumeId to)
	{
		if (!attempt([&] { return pool->roll_back(volume, to); }).ok())
			return false;
		model[volume.value].contents = model[to.value].contents;
		model[volume.value].blocks = model[to.value].blocks;
		return true;
	}
	/* The @nth block of those that are mapped goes elsewhere. */
	bool relocate(std::uint64_t nth, Placement placement = {})
	{
		std::optional<Mba> chosen, last;

		for (std::uint16_t device = 0; device < shape_.devices.size(); device++)
			require(pool->walk_device(device, 0, Pba::block_end - 1,
						  [&](Pba, Mba mba) -> Result<bool> {
							  last = mba;
							  if (nth-- == 0)
								  chosen = mba;
							  return !chosen;
						  }),
				"the walk over a device");
		if (!chosen)
			chosen = last;
		if (!chosen)
			return false;
		Move move;
		if (!attempt([&] { return pool->begin_move(move, *chosen, placement); }).ok())
			return false;
		disk.write_data(move.to, disk.data_at(move.from));
		fresh_.insert(move.to);
		const auto before = pool->written();
		const auto done = attempt([&] { return pool->finish_move(move); });
		if (!done.ok()) {
			if (move.of_pool.linked())
				pool->cancel_move(move);
			return false;
		}
		if (pool->written().middle != before.middle + 1)
			complain("a move wrote another number of middle entries than one");
		return true;
	}

	void promise(bool acknowledged)
	{
		const std::uint64_t open = pool->super().header.generation;

		promises.push_back({disk.events.size(),
				    open + (!acknowledged && pool->is_changed()), acknowledged,
				    model});
	}
	/* Acknowledges it. */
	bool flush()
	{
		if (!skip_data_flush)
			disk.flush_data();
		if (disk.recording)
			promise(false);
		if (!require(pool->commit(), "commit"))
			return false;
		committed = model;
		fresh_.clear();
		if (disk.recording)
			promise(true);
		return true;
	}
	void drain()
	{
		if (pool->begin_drain())
			pool->end_drain();
	}
	bool abort()
	{
		model = committed;
		fresh_.clear();
		return require(pool->abort(), "abort");
	}

	/* ---- what must hold ---- */

	/* @may_be: whether a block of a volume may hold that number instead of the model's. */
	template <typename MayBe>
	bool compare(const Model &expected, MayBe &&may_be)
	{
		std::uint64_t found = 0;

		for (const auto at : volumes()) {
			const auto value = pool->find_volume(at);
			if (!require(value, "a volume is found"))
				return false;
			if (value.value().flags & volume_deleting)
				continue;
			const auto volume = expected.find(at.value);
			if (volume == expected.end()) {
				complain("a volume is there that should not be");
				return false;
			}
			found++;
			compare_volume(at, value.value(), volume->second, may_be);
		}
		if (found != expected.size())
			complain("a volume is missing");
		return trouble.empty();
	}
	bool compare()
	{
		return compare(model, [](auto, auto, auto) { return false; });
	}
	bool check_metadata()
	{
		const auto count = check(*pool, [&](const Violation &violation) {
			const auto name = name_of(violation.what);

			complain(std::string(name.data(), name.size()) + ", node " +
				 std::to_string(violation.node.value) + ", key " +
				 std::to_string(violation.key) + ": " +
				 std::to_string(violation.found) + " instead of " +
				 std::to_string(violation.expected));
		});

		return require(count, "check");
	}
	bool verify() { return check_metadata() && compare(); }

private:
	template <typename MayBe>
	void compare_volume(VolumeId id, const VolumeV1 &value, const VolumeModel &expected,
			    MayBe &&may_be)
	{
		std::uint64_t mapped = 0;

		if (value.blocks != expected.blocks)
			complain("a volume has another size");
		for (std::uint64_t lba = 0; lba < value.blocks;) {
			const auto extent = pool->look_up(id, {lba}, ~std::uint64_t{0});

			if (!require(extent, "a look-up"))
				return;
			for (std::uint64_t i = 0; i < extent.value().count; i++, lba++) {
				const auto place = extent.value().pba;
				const auto in = expected.contents.find(lba);
				const auto want = in == expected.contents.end() ? 0 : in->second;
				const auto have =
					extent.value().mapped
						? disk.data_at({place.device, place.block + i})
						: 0;
				mapped += extent.value().mapped;
				if (have != want && !may_be(id.value, lba, have))
					complain("block " + std::to_string(lba) + " of volume " +
						 std::to_string(id.value) + " holds " +
						 std::to_string(have) + " instead of " +
						 std::to_string(want));
				/* Do not walk over a huge hole. */
				if (!extent.value().mapped) {
					const auto next = expected.contents.lower_bound(lba + 1);
					const auto end = lba + extent.value().count - i;
					const auto stop = next == expected.contents.end()
								  ? end
								  : std::min(end, next->first);
					i += stop - lba - 1;
					lba = stop - 1;
				}
			}
		}
		if (mapped != value.mapped)
			complain("a volume has another number of mapped blocks");
	}

	BenchShape shape_;
	std::uint64_t number_ = 0;
	std::set<Pba> fresh_; /* since the last commit */

public:
	Disk disk;
	std::unique_ptr<Pool> pool;
	Model model, committed;
	std::vector<InPlace> in_place;
	std::vector<Promise> promises;
	bool skip_data_flush = false;
	std::string trouble;
};

} // namespace corbel::unit
