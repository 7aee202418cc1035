// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake_mapper.hh"

#include "../volumes/data_device.hh"

#include <libcorbel/uuid.hh>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using volumes::Mapped;
using volumes::Table;

constexpr std::size_t volumes_a_page = 2, ranges_a_page = 2;

std::vector<std::string> words_of(const std::string &text)
{
	std::istringstream in(text);
	std::vector<std::string> words;

	for (std::string word; in >> word;)
		words.push_back(word);
	return words;
}

std::unexpected<Error> refuse(int number)
{
	return failure(number, fmt::format("fake: {}", describe_errno(number)));
}

template <typename T>
Result<T> told(block::Result<T> &&result)
{
	if (!result.ok())
		return refuse(-result.to_errno());
	if constexpr (std::is_void_v<T>)
		return {};
	else
		return std::move(result).value();
}

/* As after a flush, with nobody left who looked something up. */
Result<void> commit(block::Pool &pool)
{
	CORBEL_EXPECT(told(pool.commit()));
	if (pool.begin_drain())
		pool.end_drain();
	return {};
}

} /* namespace */

FakeMapper::Device *FakeMapper::find(const std::string &name)
{
	const auto found = devices_.find(name);

	return found == devices_.end() ? nullptr : &found->second;
}

Result<std::vector<Mapped>> FakeMapper::list()
{
	const std::lock_guard guard(lock_);
	std::vector<Mapped> all;

	for (const auto &[name, device] : devices_)
		all.push_back(device.mapped);
	return all;
}

/* Those of the table, which must be all that the metadata knows; others are added. */
Result<void> FakeMapper::take_data(Device &device, const Table &table)
{
	const auto words = words_of(table.parameters);
	std::set<std::string> there;

	const auto end = words.size() < 2 ? 0 : 2 + std::stoull(words[1]);
	/* Behind the devices: how many words of options, and these. */
	if (!end || words.size() != end + 3 || words[end] != "2" || words[end + 1] != "low_water")
		return refuse(EINVAL);
	for (std::size_t i = 2; i < end; i++) {
		const auto label = CORBEL_EXPECT(volumes::read_label(words[i]));
		const auto &super = device.pool->super();

		if (label.pool != uuid_text(super.uuid))
			return refuse(EINVAL);
		there.insert(label.device);
		if (device.data.contains(label.device))
			continue;
		auto data = CORBEL_EXPECT(
			pool::MetaDevice::open(words[i], pool::MetaDevice::Use::write));
		const bool known =
			std::ranges::any_of(super.devices, [&](const block::DeviceV1 &each) {
				return each.blocks && uuid_text(each.uuid) == label.device;
			});
		if (!known)
			(void)CORBEL_EXPECT(told(device.pool->add_device(
				CORBEL_EXPECT(volumes::uuid_of(label.device)),
				{label.tier.data(), label.tier.size()},
				volumes::data_blocks(data->blocks() * block::meta_bytes,
						     super.data_block_bytes))));
		device.data.emplace(label.device, std::move(data));
	}
	for (const auto &each : device.pool->super().devices)
		if (each.blocks && !there.contains(uuid_text(each.uuid)))
			return refuse(ENOENT);
	std::erase_if(device.data, [&](const auto &each) { return !there.contains(each.first); });
	return commit(*device.pool);
}

Result<void> FakeMapper::create(const std::string &name, const std::string &uuid,
				const Table &table)
{
	const std::lock_guard guard(lock_);
	const auto words = words_of(table.parameters);
	Device device;

	if (find(name))
		return refuse(EEXIST);
	device.mapped = {name, uuid, fmt::format("254:{}", next_++), 0};
	device.table = table;
	if (table.target == "corbel-pool") {
		device.meta = CORBEL_EXPECT(
			pool::MetaDevice::open(words.at(0), pool::MetaDevice::Use::write));
		device.pool = std::make_unique<block::Pool>(*device.meta);
		CORBEL_EXPECT(told(
			device.pool->open(device.meta->blocks(), 64, block::Access::read_write)));
		CORBEL_EXPECT(take_data(device, table));
	} else {
		const auto pool = std::ranges::find_if(devices_, [&](const auto &each) {
			return each.second.mapped.number == words.at(0);
		});
		if (pool == devices_.end())
			return refuse(ENXIO);
		device.of = pool->first;
		device.volume = std::stoull(words.at(1));
		const auto volume =
			CORBEL_EXPECT(told(pool->second.pool->find_volume({device.volume})));
		const auto block_sectors = pool->second.pool->super().data_block_bytes / 512;
		if (table.sectors > volume.blocks * block_sectors)
			return refuse(EINVAL);
		if (volume.flags & block::volume_read_only && !table.read_only)
			return refuse(EROFS);
		pool->second.mapped.open++;
	}
	devices_.emplace(name, std::move(device));
	return {};
}

Result<void> FakeMapper::reload(const std::string &name, const Table &table)
{
	const std::lock_guard guard(lock_);
	Device *device = find(name);

	if (!device)
		return refuse(ENXIO);
	if (device->pool)
		CORBEL_EXPECT(take_data(*device, table));
	device->table = table;
	return {};
}

Result<void> FakeMapper::remove(const std::string &name)
{
	const std::lock_guard guard(lock_);
	Device *device = find(name);

	if (!device)
		return refuse(ENXIO);
	if (device->mapped.open)
		return refuse(EBUSY);
	if (!device->of.empty())
		find(device->of)->mapped.open--;
	devices_.erase(name);
	return {};
}

void FakeMapper::open(const std::string &name, int by)
{
	const std::lock_guard guard(lock_);

	devices_.at(name).mapped.open += static_cast<std::uint32_t>(by);
}

void FakeMapper::write(const std::string &pool, std::uint64_t id, std::uint64_t first,
		       std::uint64_t count)
{
	const std::lock_guard guard(lock_);
	auto &device = devices_.at("corbel-" + pool);

	for (auto lba = first; lba < first + count; lba++)
		if (!device.pool->prepare_write({id}, {lba}, {}).ok())
			throw std::runtime_error("no room to write");
	if (!commit(*device.pool))
		throw std::runtime_error("no commit");
}

void FakeMapper::heat(const std::string &pool, std::uint64_t id, std::uint64_t first,
		      std::uint64_t count, std::uint64_t how_hot)
{
	const std::lock_guard guard(lock_);
	auto &device = devices_.at("corbel-" + pool);

	if (device.counts)
		(void)device.pool->read_logical(
			{id}, {first}, count,
			[&](block::Lba, block::Mba mba) { device.heat[mba.value] = how_hot; });
}

std::uint64_t FakeMapper::on(std::uint16_t number, const std::string &pool, std::uint64_t id,
			     std::uint64_t first, std::uint64_t count)
{
	const std::lock_guard guard(lock_);
	auto &device = devices_.at("corbel-" + pool);
	std::uint64_t found = 0;

	for (auto lba = first; lba < first + count; lba++) {
		const auto extent = device.pool->look_up({id}, {lba}, 1);
		found +=
			extent.ok() && extent.value().mapped && extent.value().pba.device == number;
	}
	return found;
}

const block::SuperblockV1 &FakeMapper::super(const std::string &pool)
{
	return devices_.at("corbel-" + pool).pool->super();
}

Table FakeMapper::table(const std::string &name)
{
	const std::lock_guard guard(lock_);

	return devices_.at(name).table;
}

/* ---- messages ------------------------------------------------------------------------- */

Result<std::string> FakeMapper::tell_map(Device &device, std::uint64_t id)
{
	std::string answer;

	CORBEL_EXPECT(told(device.pool->walk_volume(
		{id}, {0}, [&](block::Lba lba, block::Mba, block::Pba pba) -> block::Result<bool> {
			answer += fmt::format("{} 1 {} {}\n", lba.value, pba.device, pba.block);
			return true;
		})));
	return answer + "end\n";
}

Result<std::string> FakeMapper::tell_free(Device &device, std::uint16_t number)
{
	const auto blocks = device.pool->super().devices[number].blocks;
	std::uint64_t next = 0;
	std::string answer;
	const auto tell = [&](std::uint64_t behind) {
		if (behind > next)
			answer += fmt::format("{} {}\n", next, behind - next);
		next = behind + 1;
	};

	CORBEL_EXPECT(told(device.pool->walk_device(
		number, 0, blocks - 1, [&](block::Pba pba, block::Mba) -> block::Result<bool> {
			tell(pba.block);
			return true;
		})));
	tell(blocks);
	return answer + "end\n";
}

/* All at once. */
void FakeMapper::gather_on(Device &device)
{
	auto &mover = device.mover;
	std::vector<std::pair<block::Mba, std::uint64_t>> found;

	(void)device.pool->walk_volume(
		{mover.volume}, {mover.first},
		[&](block::Lba lba, block::Mba mba, block::Pba) -> block::Result<bool> {
			if (lba.value <= mover.last)
				found.emplace_back(mba, lba.value);
			return lba.value < mover.last;
		});
	mover.state = "done";
	for (const auto &[mba, lba] : found) {
		block::Move move;

		if (!device.pool
			     ->begin_move(
				     move, mba,
				     {.device = mover.device, .only = true, .from = mover.place})
			     .ok())
			return;
		if (move.to.block != mover.place++)
			return device.pool->cancel_move(move);
		if (!device.pool->finish_move(move).ok())
			return;
		mover.moved++;
		mover.next = lba + 1;
	}
}

void FakeMapper::move_on(Device &device)
{
	auto &mover = device.mover;
	auto &pool = *device.pool;
	const auto end = std::min(mover.next + pace, mover.last + 1);
	std::vector<block::Mba> found;

	if (mover.state != "running")
		return;
	if (mover.volume)
		return gather_on(device);
	if (mover.next < end)
		(void)pool.walk_device(mover.device, mover.next, end - 1,
				       [&](block::Pba, block::Mba mba) -> block::Result<bool> {
					       const auto heat = device.heat.contains(mba.value)
									 ? device.heat[mba.value]
									 : 0;
					       if (heat >= mover.coldest && heat <= mover.hottest)
						       found.push_back(mba);
					       return true;
				       });
	for (const auto mba : found) {
		block::Move move;
		const auto to = mover.to.value_or(mover.device ? 0 : 1);

		if (!mover.left)
			break;
		mover.left--;

		if (busy) {
			busy--;
			mover.skipped++;
			continue;
		}
		auto done =
			pool.begin_move(move, mba, {.device = to, .only = mover.to.has_value()});
		if (done.ok())
			done = pool.finish_move(move);
		if (!done.ok()) {
			mover.state = "failed";
			mover.error = -done.to_errno();
			return;
		}
		mover.moved++;
	}
	mover.next = end;
	if (mover.next > mover.last)
		mover.state = "done";
}

Result<std::string> FakeMapper::tell_heat(Device &device, const std::vector<std::uint64_t> &words)
{
	constexpr std::size_t most = 16;
	const auto number = static_cast<std::uint16_t>(words.at(0));
	const auto blocks = device.pool->super().devices[number].blocks;
	std::map<std::uint64_t, std::uint64_t> counts;
	std::uint64_t next = words.at(1), looks = 0;
	std::string answer;

	if (!device.counts)
		return refuse(ENODATA);
	if (next < blocks)
		CORBEL_EXPECT(told(device.pool->walk_device(
			number, next, blocks - 1,
			[&](block::Pba pba, block::Mba mba) -> block::Result<bool> {
				counts[device.heat.contains(mba.value) ? device.heat[mba.value]
								       : 0]++;
				next = pba.block + 1;
				return ++looks < most;
			})));
	for (const auto &[heat, count] : counts)
		answer += fmt::format("{}:{} ", heat, count);
	return answer + (looks == most ? fmt::format("more {}", next) : "end");
}

Result<std::string> FakeMapper::make_volumes(Device &device, const std::vector<std::uint64_t> &of,
					     bool read_only)
{
	std::string ids;

	for (const auto id : of)
		ids += fmt::format(
			"{}{}", ids.empty() ? "" : " ",
			CORBEL_EXPECT(told(device.pool->snapshot({id}, read_only))).value);
	CORBEL_EXPECT(commit(*device.pool));
	return ids;
}

Result<std::string> FakeMapper::tell(Device &device, const std::string &text)
{
	auto words = words_of(text);
	auto &pool = *device.pool;
	const auto verb = words.at(0);
	std::vector<std::uint64_t> n;
	std::string answer;

	for (std::size_t i = 1; i < words.size(); i++)
		n.push_back(words[i] == "any" ? 0 : std::stoull(words[i]));
	if (verb == "create") {
		answer = fmt::format("{}", CORBEL_EXPECT(told(pool.create_volume(n.at(0)))).value);
	} else if (verb == "snapshot" || verb == "clone") {
		return make_volumes(device, n, verb == "snapshot");
	} else if (verb == "rollback") {
		CORBEL_EXPECT(told(pool.roll_back({n.at(0)}, {n.at(1)})));
	} else if (verb == "delete") {
		for (const auto &[name, each] : devices_)
			if (each.of == device.mapped.name && each.volume == n.at(0))
				return refuse(EBUSY);
		CORBEL_EXPECT(told(pool.delete_volume({n.at(0)})));
		while (!CORBEL_EXPECT(told(pool.delete_some({n.at(0)}))))
			CORBEL_EXPECT(commit(pool));
	} else if (verb == "resize") {
		CORBEL_EXPECT(told(pool.resize_volume({n.at(0)}, n.at(1))));
	} else if (verb == "limit") {
		CORBEL_EXPECT(
			told(pool.limit_device(static_cast<std::uint16_t>(n.at(0)), n.at(1))));
	} else if (verb == "resize_device") {
		CORBEL_EXPECT(
			told(pool.resize_device(static_cast<std::uint16_t>(n.at(0)), n.at(1))));
	} else if (verb == "volumes") {
		block::VolumeId id{n.empty() ? 0 : n[0]};
		for (std::size_t i = 0; i < volumes_a_page; i++) {
			const auto next = pool.next_volume(id);
			if (!next.ok())
				break;
			id = next.value();
			const auto volume = CORBEL_EXPECT(told(pool.find_volume(id)));
			answer += fmt::format("{} {} {} {} {} {}\n", id.value, volume.blocks,
					      volume.mapped, volume.origin, volume.created,
					      volume.flags & block::volume_deleting    ? "deleting"
					      : volume.flags & block::volume_read_only ? "ro"
										       : "rw");
		}
		return answer;
	} else if (verb == "diff") {
		std::size_t ranges = 0;
		std::optional<std::uint64_t> more;
		CORBEL_EXPECT(told(
			pool.diff({n.at(0)}, {n.at(1)}, {n.size() > 2 ? n[2] : 0},
				  [&](block::Lba lba, bool in_a, bool in_b) -> block::Result<bool> {
					  if (ranges++ == ranges_a_page) {
						  more = lba.value;
						  return false;
					  }
					  answer += fmt::format("{} 1 {}\n", lba.value,
								in_a && in_b ? "both"
								: in_a	     ? "a"
									     : "b");
					  return true;
				  })));
		return answer + (more ? fmt::format("more {}\n", *more) : "end\n");
	} else if (verb == "move") {
		if (device.mover.state == "running")
			return refuse(EBUSY);
		device.mover = {"running", 0,	    static_cast<std::uint16_t>(n.at(0)),
				n.at(1),   n.at(1), n.at(2),
				0,	   0};
		if (n.size() == 8) {
			device.mover.to = static_cast<std::uint16_t>(n[3]);
			device.mover.coldest = n[5];
			device.mover.hottest = n[6];
			device.mover.left = n[7];
		}
		return answer;
	} else if (verb == "map") {
		return tell_map(device, n.at(0));
	} else if (verb == "free") {
		return tell_free(device, static_cast<std::uint16_t>(n.at(0)));
	} else if (verb == "gather") {
		if (device.mover.state == "running")
			return refuse(EBUSY);
		device.mover = {"running", 0,	    static_cast<std::uint16_t>(n.at(3)),
				n.at(1),   n.at(1), n.at(2),
				0,	   0};
		device.mover.volume = n[0];
		device.mover.place = n.at(4);
		return answer;
	} else if (verb == "mover") {
		move_on(device);
		CORBEL_EXPECT(commit(pool));
		const auto &m = device.mover;
		return fmt::format("{}{} {} {} {} {} {} {} {} {} {} 3000 2500 70 {}", m.state,
				   m.error ? fmt::format(" {}", -m.error) : "", m.device, m.first,
				   m.next, m.last, m.moved, m.moved, 2 * m.moved, 4096 * m.moved,
				   m.skipped, m.volume);
	} else if (verb == "heat_on") {
		answer = std::exchange(device.counts, true) ? "kept 4096" : "new 4096";
	} else if (verb == "heat_off") {
		device.counts = false;
		device.heat.clear();
	} else if (verb == "heat_age") {
		for (auto &[mba, heat] : device.heat)
			heat /= 2;
	} else if (verb == "heat") {
		return tell_heat(device, n);
	} else if (verb == "cancel") {
		if (device.mover.state == "running")
			device.mover.state = "cancelled";
	} else if (verb != "commit") {
		return refuse(EINVAL);
	}
	CORBEL_EXPECT(commit(pool));
	return answer;
}

Result<std::string> FakeMapper::message(const std::string &name, const std::string &text)
{
	const std::lock_guard guard(lock_);
	Device *device = find(name);

	messages.push_back(text);
	if (!device || !device->pool)
		return refuse(ENXIO);
	if (!fails.empty() && text.starts_with(fails)) {
		fails.clear();
		return refuse(fails_with);
	}
	return tell(*device, text);
}

Result<std::string> FakeMapper::status(const std::string &name)
{
	const std::lock_guard guard(lock_);
	Device *device = find(name);
	std::string devices;
	std::uint64_t used = 0, total = 0;
	unsigned count = 0;

	if (!device || !device->pool)
		return refuse(ENXIO);
	const auto &super = device->pool->super();
	for (std::uint32_t i = 0; i < block::max_devices; i++) {
		const auto &each = super.devices[i];
		if (!each.blocks)
			continue;
		const auto &data = device->data.at(uuid_text(each.uuid));
		devices +=
			fmt::format(" {} {} {} {}/{}/{}", i, data->path(),
				    std::string(each.tier, ::strnlen(each.tier, sizeof(each.tier))),
				    each.used, each.blocks, each.limit);
		used += each.used;
		total += each.blocks;
		count++;
	}
	return fmt::format("{} {}/{} {}/{} {} {} {} queue {}{}", super.header.generation,
			   device->meta->blocks() - device->pool->free_meta(),
			   device->meta->blocks(), used, total, super.data_block_bytes / 512,
			   super.volumes, mode, count, devices);
}

} /* namespace corbel::test */
