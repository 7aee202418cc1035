/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target.hh - what a pool's target in the kernel says, read: its status and its answers. */
#pragma once

#include <libcorbel/error.hh>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace corbel::volumes {

struct DeviceStatus {
	std::uint32_t number;
	std::string device; /* "8:16" */
	std::string tier;
	std::uint64_t used, blocks, limit; /* of the pool's block size */
};

struct PoolStatus {
	std::uint64_t generation;
	std::uint64_t meta_used, meta_total; /* blocks of 4 KiB */
	std::uint64_t used, total; /* blocks of the pool */
	std::uint64_t block_sectors;
	std::uint64_t volumes;
	std::string mode, policy;
	std::vector<DeviceStatus> devices;

	[[nodiscard]] std::uint64_t block_bytes() const { return block_sectors * 512; }
	[[nodiscard]] const DeviceStatus *device(std::uint32_t number) const;
};

struct VolumeStatus {
	std::uint64_t id, blocks, mapped;
	std::uint64_t origin; /* 0: none */
	std::uint64_t created; /* generation */
	std::string mode; /* rw, ro, deleting */
};

struct MoverStatus {
	std::string state; /* idle, running, done, failed, cancelled */
	int error; /* errno of one that failed, above 0 */
	std::uint32_t device;
	std::uint64_t first, next, last; /* blocks of the device, or of the volume */
	std::uint64_t moved, middle_entries, reverse_entries, meta_bytes, skipped;
	std::uint64_t target_us; /* for p99 of others' I/O; 0: none, or not known yet */
	std::uint64_t seen_us; /* of it */
	std::uint64_t paused_ms;
	std::uint64_t volume; /* that is gathered; 0: a part of a device is moved */
};

/* Places of a device that no map has. */
struct Gap {
	std::uint64_t first, count;
};
struct GapPage {
	std::vector<Gap> gaps;
	std::optional<std::uint64_t> next; /* there is more, from here on */
};

/* Of a device: how many blocks are how hot, 0 to 255. */
struct HeatPage {
	std::vector<std::pair<std::uint32_t, std::uint64_t>> blocks;
	std::optional<std::uint64_t> next; /* there is more, from this block on */
};

struct Range {
	std::uint64_t first, count;
	std::string in; /* a, b, both */
};
struct Difference {
	std::vector<Range> ranges;
	std::optional<std::uint64_t> next; /* there is more, from here on */
};

/* Blocks of a volume, from @lba on, that lie on one device in one piece. */
struct MappedRun {
	std::uint64_t lba, count;
	std::uint32_t device;
	std::uint64_t block;
};
struct VolumeMap {
	std::vector<MappedRun> runs;
	std::optional<std::uint64_t> next; /* there is more, from here on */
};

/*
 * What a mover is told of how long others' I/O may take: the message's last word. "5ms"; "none": as
 * long as it does; empty: half as long again as when nothing moves. EINVAL.
 */
[[nodiscard]] Result<std::string> mover_target(const std::string &latency);

/* EPROTO: the module is of another version. */
[[nodiscard]] Result<PoolStatus> parse_pool_status(const std::string &text);
[[nodiscard]] Result<std::vector<VolumeStatus>> parse_volumes(const std::string &text);
[[nodiscard]] Result<MoverStatus> parse_mover(const std::string &text);
[[nodiscard]] Result<HeatPage> parse_heat(const std::string &text);
[[nodiscard]] Result<Difference> parse_difference(const std::string &text);
[[nodiscard]] Result<VolumeMap> parse_map(const std::string &text);
[[nodiscard]] Result<GapPage> parse_gaps(const std::string &text);
[[nodiscard]] Result<std::vector<std::uint64_t>> parse_numbers(const std::string &text);

/*
 * All of what comes in pages: @ask sends @question and where a page begins, @parse makes a page of
 * the answer, with `next` if there is more, and @take takes it. EPROTO: it does not get on.
 */
template <typename Ask, typename Parse, typename Take>
Result<void> read_pages(const std::string &question, Ask &&ask, Parse &&parse, Take &&take)
{
	for (std::uint64_t next = 0;;) {
		const auto page = CORBEL_EXPECT(
			parse(CORBEL_EXPECT(ask(question + " " + std::to_string(next)))));

		CORBEL_EXPECT(take(page));
		if (!page.next)
			return {};
		if (*page.next <= next)
			return failure(EPROTO, "The kernel does not get on with what it tells in "
					       "pages: dm-corbel.ko is of another version.");
		next = *page.next;
	}
}

} /* namespace corbel::volumes */
