// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is left when power fails at any moment: all that was written to both devices of a pool is
 * recorded by dm-log-writes, below both, while volumes are written to, discarded from, shared,
 * deleted and moved. Then devices are made as they could have been: all up to a flush, and of
 * what came behind it any part, the last write torn. Each must be a pool that fits together, in
 * which nothing is lost that a flush acknowledged, and no block holds what was never there.
 */
#include "block_pool.hh"
#include "checked_volume.hh"

#include "block/check.hh"
#include "block/label.hh"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <sys/uio.h>

using namespace corbel::selftest;
namespace block = corbel::block;

namespace {

constexpr uint32_t block_bytes = 16 << 10, unit = 4096;
constexpr uint64_t meta_bytes = 4 << 20, data_bytes = 12 << 20, volume_bytes = 2 << 20;
constexpr uint64_t units = volume_bytes / unit;

/* ---- what was written ---------------------------------------------------------------------- */

/* Each sector of a unit tells of which volume and unit it is, and which write. */
struct stamp {
	uint64_t magic, volume, unit, sequence;
	bool operator==(const stamp &) const = default;
};
constexpr uint64_t stamp_magic = 0x70616d7374;

struct event {
	uint64_t sequence; /* of a write; of a discard too, but then zeros are there */
	bool zeros;
};

/* What the units of a volume may hold, by what has been done to them. */
struct volume_model {
	uint64_t stamped = 0; /* the volume whose stamps it was made with, if it is a clone */
	std::vector<std::vector<event>> history = std::vector<std::vector<event>>(units);
};

/* At a mark in the log: of each volume and unit, which event is the last that is safe. */
struct safe_state {
	std::map<uint64_t, std::vector<uint64_t>> volumes;
	std::map<uint64_t, std::vector<uint64_t>> snapshots; /* exactly these events */
	std::set<uint64_t> deleted;
};

/* ---- the log -------------------------------------------------------------------------------- */

struct log_entry {
	uint64_t sector, sectors, flags, length;
	std::vector<char> data;
};
constexpr uint64_t log_flush = 1, log_fua = 2, log_discard = 4, log_mark = 8;

std::vector<log_entry> read_log(const std::string &path)
{
	unique_fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	struct {
		uint64_t magic, version, entries;
		uint32_t sector_bytes;
	} __attribute__((packed)) super;
	std::vector<log_entry> log;
	uint64_t at;

	CHECK(pread(fd.get(), &super, sizeof(super), 0) == sizeof(super), "{}", path);
	CHECK_EQ(super.magic, 0x6a736677736872ULL, "not a log: {}", path);
	at = super.sector_bytes;
	for (uint64_t i = 0; i < super.entries; i++) {
		std::vector<char> head(super.sector_bytes);
		std::array<uint64_t, 4> words;

		CHECK(pread(fd.get(), head.data(), head.size(), at) ==
			      static_cast<ssize_t>(head.size()),
		      "entry {}", i);
		at += super.sector_bytes;
		std::memcpy(words.data(), head.data(), sizeof(words));
		log_entry entry{words[0], words[1], words[2], words[3], {}};
		if (entry.flags & log_mark) {
			entry.data.assign(head.begin() + 32, head.begin() + 32 + entry.length);
		} else if (!(entry.flags & log_discard) && entry.sectors) {
			entry.data.resize(entry.sectors * 512);
			CHECK(pread(fd.get(), entry.data.data(), entry.data.size(), at) ==
				      static_cast<ssize_t>(entry.data.size()),
			      "data of entry {}", i);
			at += (entry.data.size() + super.sector_bytes - 1) / super.sector_bytes *
			      super.sector_bytes;
		}
		log.push_back(std::move(entry));
	}
	return log;
}

/* ---- recording ------------------------------------------------------------------------------ */

class recording {
public:
	explicit recording(unsigned steps) : disks(2, 512 << 20), random(steps)
	{
		const uint64_t sectors = (meta_bytes + data_bytes) / 512;
		const dm_device log("corbel-log", sectors,
				    fmt::format("log-writes {} {}", disks.path(0), disks.path(1)));
		const dm_device meta("corbel-meta", meta_bytes / 512,
				     fmt::format("linear {} 0", log.path()));
		const dm_device data("corbel-data", data_bytes / 512,
				     fmt::format("linear {} {}", log.path(), meta_bytes / 512));
		const pool_devices devices{meta.path(), {data.path()}, block_bytes};
		format_pool(devices);
		{
			const dm_device pool("corbel-test", pool_sectors(devices),
					     pool_table(devices, "1 error_if_no_space"));
			this->log_device = &log;
			this->pool = &pool;
			for (unsigned i = 0; i < 2; i++)
				use(std::stoull(pool.message(
					fmt::format("create {}", volume_bytes / block_bytes))));
			for (auto &[id, volume] : used)
				flush(id);
			mark();
			snapshot_what_was_written_in_place(used.begin()->first);
			for (unsigned step = 0; step < steps; step++)
				operate();
			used.clear();
		}
	}

	std::vector<log_entry> log() const { return read_log(disks.path(1)); }

	std::map<uint64_t, volume_model> volumes;
	std::vector<safe_state> marks;

private:
	struct in_use {
		dm_device device;
		unique_fd fd;
	};

	void use(uint64_t id)
	{
		dm_device device(fmt::format("corbel-test-{}", id), volume_bytes / 512,
				 fmt::format("corbel-volume {} {}", pool->path(), id));
		unique_fd fd(open(device.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));

		CHECK(fd, "{}: {}", device.path(), std::strerror(errno));
		used.emplace(id, in_use{std::move(device), std::move(fd)});
		if (!volumes.contains(id))
			volumes[id].stamped = id;
		safe.volumes[id].assign(units, 0);
	}
	/* @durable: when it has ended, as by FUA. */
	void write(uint64_t id, uint64_t first, uint64_t count, bool durable = false)
	{
		alignas(4096) static char buffer[64 << 10];

		sequence++;
		for (uint64_t i = 0; i < count; i++) {
			for (uint64_t sector = 0; sector < unit / 512; sector++) {
				const stamp one{stamp_magic, id, first + i, sequence};
				std::memset(buffer + i * unit + sector * 512, 0x11, 512);
				std::memcpy(buffer + i * unit + sector * 512, &one, sizeof(one));
			}
			volumes[id].history[first + i].push_back({sequence, false});
		}
		const iovec vector{buffer, count * unit};
		CHECK_EQ(pwritev2(used.at(id).fd.get(), &vector, 1,
				  static_cast<off_t>(first * unit), durable ? RWF_DSYNC : 0),
			 count * unit, "volume {}: {}", id, std::strerror(errno));
		for (uint64_t i = first; durable && i < first + count; i++)
			safe.volumes[id][i] = volumes[id].history[i].size();
	}
	void discard(uint64_t id, uint64_t first_block, uint64_t count)
	{
		uint64_t range[]{first_block * block_bytes, count * block_bytes};

		sequence++;
		CHECK_EQ(ioctl(used.at(id).fd.get(), BLKDISCARD, range), 0, "{}",
			 std::strerror(errno));
		for (uint64_t i = range[0] / unit; i < (range[0] + range[1]) / unit; i++)
			volumes[id].history[i].push_back({sequence, true});
	}
	std::vector<uint64_t> latest(uint64_t id)
	{
		std::vector<uint64_t> last;

		for (const auto &history : volumes[id].history)
			last.push_back(history.size());
		return last;
	}
	void flush(uint64_t id)
	{
		CHECK_EQ(fsync(used.at(id).fd.get()), 0, "{}", std::strerror(errno));
		/* A flush of one is of the pool. */
		for (auto &[each, state] : safe.volumes)
			state = latest(each);
	}
	void mark()
	{
		log_device->message(fmt::format("mark {}", marks.size()));
		marks.push_back(safe);
	}
	void snapshot(uint64_t id)
	{
		const auto made = std::stoull(pool->message(fmt::format("snapshot {}", id)));

		volumes[made] = volumes[id];
		safe.snapshots[made] = latest(id);
		mark();
	}
	/* Nothing else has changed that a commit would flush the data device for. */
	void snapshot_what_was_written_in_place(uint64_t id)
	{
		write(id, 0, block_bytes / unit);
		flush(id);
		mark();
		write(id, 0, block_bytes / unit);
		snapshot(id);
	}
	void operate()
	{
		const uint64_t id = std::next(used.begin(), random() % used.size())->first;
		const uint64_t first = random() % units;

		switch (random() % 24) {
		default:
			write(id, first, std::min(1 + random() % 12, units - first));
			break;
		case 0 ... 3:
			flush(id);
			mark();
			break;
		case 9 ... 11:
			write(id, first, 1, true);
			mark();
			break;
		case 4 ... 5: {
			const uint64_t from = random() % (volume_bytes / block_bytes - 4);
			discard(id, from, 1 + random() % 4);
			break;
		}
		case 6:
			if (safe.snapshots.size() <= 4)
				snapshot(id);
			break;
		case 7: {
			if (safe.snapshots.empty())
				break;
			const uint64_t gone = safe.snapshots.begin()->first;
			safe.snapshots.erase(gone);
			safe.deleted.insert(gone);
			/* From now on it may be gone, once it has been said it is. */
			marks.push_back(safe);
			log_device->message(fmt::format("mark {}", marks.size() - 1));
			pool->message(fmt::format("delete {}", gone));
			break;
		}
		case 8:
			/* Within the device, which is what shrinking it is made of. */
			if (!pool->message("mover").starts_with("running")) {
				const bool low = random() % 2;
				pool->message(fmt::format("limit 0 {}", low ? 400 : 640));
				pool->message(fmt::format("move 0 {} 699 any", low ? 400 : 640));
			}
			break;
		}
	}

	ram_disks disks;
	std::mt19937_64 random;
	const dm_device *log_device = nullptr, *pool = nullptr;
	std::map<uint64_t, in_use> used;
	safe_state safe;
	uint64_t sequence = 0;
};

/* ---- what is left --------------------------------------------------------------------------- */

/* Both devices in memory. */
class image final : public block::BlockDevice {
public:
	image() : bytes(meta_bytes + data_bytes) {}

	block::Result<void> read(block::Meta at, void *data) override
	{
		if (at.value >= meta_bytes / unit)
			return block::Error::io;
		std::memcpy(data, &bytes[at.value * unit], unit);
		return {};
	}
	block::Result<void> write(block::Meta, const void *) override
	{
		return block::Error::permission;
	}
	block::Result<void> flush() override { return {}; }

	/* The first @sectors of it; what was there goes to @undo. */
	void apply(const log_entry &entry, uint64_t sectors, std::vector<log_entry> *undo)
	{
		char *at = &bytes[entry.sector * 512];

		if (undo)
			undo->push_back({entry.sector, sectors, 0, 0,
					 std::vector<char>(at, at + sectors * 512)});
		std::memcpy(at, entry.data.data(), sectors * 512);
	}
	const char *data(block::Pba pba, uint64_t offset) const
	{
		return &bytes[meta_bytes + block::default_data_start + pba.block * block_bytes +
			      offset];
	}

private:
	std::vector<char> bytes;
};

bool is_data(const log_entry &entry)
{
	return entry.sector >= meta_bytes / 512;
}

class examiner {
public:
	examiner(const recording &made, image &devices) : made(made), devices(devices) {}

	/* @safe: the last mark before. Empty, or what is wrong. */
	std::string examine(const safe_state &safe)
	{
		block::Pool pool(devices);
		std::string wrong;

		if (!pool.open(meta_bytes / unit, 1024, block::Access::read_only).ok())
			return "it cannot be opened";
		const auto found = check(pool, [&](const block::Violation &violation) {
			const auto name = name_of(violation.what);
			wrong = fmt::format("{} of {}", std::string_view(name.data(), name.size()),
					    violation.key);
		});
		if (!found.ok())
			return "it cannot be checked";
		if (found.value())
			return wrong;
		for (const auto &[id, events] : safe.volumes)
			if (wrong = examine(pool, id, events, false); !wrong.empty())
				return wrong;
		for (const auto &[id, events] : safe.snapshots)
			if (wrong = examine(pool, id, events, true); !wrong.empty())
				return wrong;
		return {};
	}

private:
	std::string examine(block::Pool &pool, uint64_t id, const std::vector<uint64_t> &events,
			    bool exactly)
	{
		const volume_model &model = made.volumes.at(id);

		for (uint64_t at = 0; at < units; at++) {
			const auto extent = pool.look_up({id}, {at * unit / block_bytes}, 1);
			if (!extent.ok())
				return fmt::format("volume {} cannot be read at {}", id, at);
			const char *data =
				extent.value().mapped
					? devices.data(extent.value().pba, at * unit % block_bytes)
					: zeros.data();
			if (const auto sector = wrong_sector(data, model, at, events[at], exactly))
				return fmt::format("{} {}, unit {}, {}: sector {} holds {}; it may "
						   "hold {}",
						   exactly ? "snapshot" : "volume", id, at,
						   extent.value().mapped
							   ? fmt::format("at block {}",
									 extent.value().pba.block)
							   : "unmapped",
						   *sector, what_is(data + *sector * 512),
						   what_may_be(model, at, events[at], exactly));
		}
		return {};
	}
	std::string what_is(const char *data)
	{
		stamp found;

		std::memcpy(&found, data, sizeof(found));
		if (std::memcmp(data, zeros.data(), 512) == 0)
			return "zeros";
		if (found.magic != stamp_magic)
			return "no stamp";
		return fmt::format("write {} to unit {} of {}", found.sequence, found.unit,
				   found.volume);
	}
	static std::string what_may_be(const volume_model &model, uint64_t at, uint64_t safe,
				       bool exactly)
	{
		const auto &history = model.history[at];
		const uint64_t last = exactly ? safe : history.size();
		std::string text = safe ? "" : "zeros";

		for (uint64_t i = safe ? safe - 1 : 0; i < last; i++)
			text += fmt::format("{}{} {}", text.empty() ? "" : ", ",
					    history[i].zeros ? "the zeros of discard" : "write",
					    history[i].sequence);
		return text;
	}
	std::optional<uint64_t> wrong_sector(const char *data, const volume_model &model,
					     uint64_t at, uint64_t safe, bool exactly)
	{
		const auto &history = model.history[at];
		const uint64_t last = exactly ? safe : history.size();

		/* Each sector by itself: a write that was not flushed may be torn. */
		for (uint64_t sector = 0; sector < unit / 512; sector++) {
			stamp found;
			bool good = false;
			std::memcpy(&found, data + sector * 512, sizeof(found));
			const bool is_zero =
				std::memcmp(data + sector * 512, zeros.data(), 512) == 0;
			if (safe == 0)
				good = is_zero;
			for (uint64_t i = safe ? safe - 1 : 0; i < last && !good; i++)
				good = history[i].zeros ? is_zero
							: found == stamp{stamp_magic, model.stamped,
									 at, history[i].sequence};
			if (!good)
				return sector;
		}
		return std::nullopt;
	}

	const recording &made;
	image &devices;
	std::array<char, unit> zeros{};
};

void power_fails_anywhere()
{
	ensure_block();
	if (try_shell("modprobe dm-log-writes"))
		skip("this kernel has no dm-log-writes");
	const recording made(static_cast<unsigned>(amount(250, 2000)));
	const std::vector<log_entry> log = made.log();
	auto devices = std::make_unique<image>();
	examiner look(made, *devices);
	std::mt19937_64 random(7);
	std::vector<const log_entry *> behind; /* the last flush */
	const safe_state *safe = nullptr;
	unsigned states = 0, bad = 0, durable = 0, flushes[2]{};
	std::string what;
	const auto examine = [&] {
		const std::string wrong = look.examine(*safe);

		states++;
		if (!wrong.empty() && bad++ == 0)
			what = wrong;
	};
	const unsigned subsets = static_cast<unsigned>(std::min(amount(1, 4), 4UL));

	for (const log_entry &entry : log) {
		if (entry.flags & log_mark) {
			/* Its own says that it ends. */
			if (std::isdigit(entry.data.at(0)))
				safe = &made.marks.at(std::stoul(
					std::string(entry.data.begin(), entry.data.end())));
			continue;
		}
		if (entry.flags & log_flush) {
			/* Of one of the two devices, whose part of the disk it names. */
			std::erase_if(behind, [&](const log_entry *each) {
				if (is_data(*each) != is_data(entry))
					return false;
				devices->apply(*each, each->sectors, nullptr);
				return true;
			});
			flushes[is_data(entry)]++;
			if (safe)
				examine();
		}
		if (entry.data.empty())
			continue;
		if (entry.flags & log_fua) {
			/* It is there; what it lies over is as if it had been. */
			std::erase_if(behind, [&](const log_entry *each) {
				if (each->sector >= entry.sector + entry.sectors ||
				    entry.sector >= each->sector + each->sectors)
					return false;
				devices->apply(*each, each->sectors, nullptr);
				return true;
			});
			devices->apply(entry, entry.sectors, nullptr);
			durable++;
			if (safe)
				examine();
			continue;
		}
		behind.push_back(&entry);
		if (!safe || random() % 4)
			continue;
		for (unsigned i = 0; i < subsets; i++) {
			std::vector<log_entry> undo;
			for (const log_entry *each : behind)
				if (random() % 2)
					devices->apply(*each, each->sectors, &undo);
			if (random() % 2)
				devices->apply(entry, random() % entry.sectors, &undo);
			examine();
			while (!undo.empty()) {
				devices->apply(undo.back(), undo.back().sectors, nullptr);
				undo.pop_back();
			}
		}
	}
	comment("{} entries, {} flushes of metadata and {} of data, {} writes with FUA, {} marks: {} "
		"states, {} of them bad",
		log.size(), flushes[0], flushes[1], durable, made.marks.size(), states, bad);
	CHECK(flushes[0] && flushes[1], "the log does not tell which device was flushed");
	CHECK_EQ(bad, 0U, "{}", what);
	CHECK(states > 100, "too few states to say anything");
}

constexpr test_case cases[] = {
	{"power fails anywhere", power_fails_anywhere},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
