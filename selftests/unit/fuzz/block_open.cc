/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: a metadata device that holds anything. The input changes a good image:
 * each change is a block, a place in it, and bytes; the block is given its right checksum
 * unless the change says not to. Then all that a pool does is done to it. What must hold is
 * that it ends, by errors or not, and stays within its memory.
 */
#include "../block_bench.hh"

#include <cstdio>
#include <cstdlib>

#include "block/superblock.hh"

using namespace corbel::unit;

namespace {

constexpr std::uint64_t blocks = 128;

void require(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "a pool broke its word: %s\n", what);
	std::abort();
}

/* Some of everything, with trees of two levels. */
Contents make_image()
{
	Bench bench({blocks, {2000, 50}, 64});
	const auto volume = bench.create(1000);

	for (std::uint64_t lba = 0; lba < 256; lba++)
		bench.write(volume, lba);
	const auto kept = bench.snapshot(volume, true);
	bench.write(volume, 5);
	const auto gone = bench.snapshot(volume, false);
	bench.write(gone, 250);
	bench.remove(gone);
	bench.flush();
	require(bench.trouble.empty() && kept != VolumeId{}, "the image is good");
	/* What data there is does not matter. */
	bench.disk.contents.data.clear();
	return bench.disk.contents;
}

void change(Contents &contents, std::uint64_t number, std::size_t at, const std::uint8_t *bytes,
	    std::size_t size, bool sealed)
{
	auto block = std::make_shared<MetaBlock>(*contents.meta[number]);

	for (std::size_t i = 0; i < size && at + i < block->size(); i++)
		(*block)[at + i] = bytes[i];
	if (sealed)
		seal(*reinterpret_cast<BlockHeaderV1 *>(block->data()));
	contents.meta[number] = std::move(block);
}

void use(Pool &pool)
{
	const auto nothing = [](auto...) -> Result<bool> { return true; };
	Move move;

	std::uint64_t visits = 0;
	VolumeId at{};
	for (unsigned i = 0; i < 4; i++) {
		const auto next = pool.next_volume(at);
		if (!next.ok())
			break;
		const VolumeId id = next.value();
		for (const std::uint64_t lba : {0, 5, 255, 999}) {
			const auto extent = pool.look_up(id, {lba}, 64);
			require(!extent.ok() ||
					(extent.value().count && extent.value().count <= 64),
				"an extent lies within what was asked for");
		}
		(void)pool.diff(id, at, {0}, nothing);
		(void)pool.delete_some(id);
		at = id;
	}
	(void)pool.walk_device(0, 0, Pba::block_end - 1, [&](Pba, Mba) -> Result<bool> {
		require(++visits <= blocks * 253, "a walk ends");
		return true;
	});
	for (const std::uint64_t lba : {5, 6, 700}) {
		(void)pool.prepare_write({1}, {lba}, {});
		if (pool.is_broken())
			(void)pool.abort();
	}
	(void)pool.snapshot({2}, false);
	(void)pool.roll_back({1}, {2});
	(void)pool.discard({1}, {0}, 20);
	if (pool.begin_move(move, {3}, {1, false}).ok()) {
		(void)pool.finish_move(move);
		if (move.of_pool.linked())
			pool.cancel_move(move);
	}
	(void)pool.delete_volume({1});
	for (unsigned i = 0; i < 3; i++) {
		if (!pool.delete_some({1}).ok())
			break;
		(void)pool.commit();
	}
	(void)pool.resize_device(1, 10);
	(void)pool.commit();
	if (pool.begin_drain())
		pool.end_drain();
	if (pool.is_broken())
		(void)pool.abort();
	(void)pool.prepare_write({2}, {1}, {});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	static const Contents image = make_image();
	Contents contents = image;

	while (size >= 4) {
		const std::uint64_t number = data[0] % blocks;
		const std::size_t at = (data[1] | data[2] << 8) % meta_bytes;
		const std::size_t length = std::min<std::size_t>(data[3] & 63, size - 4);

		change(contents, number, at, data + 4, length, !(data[3] & 64));
		data += 4 + length;
		size -= 4 + length;
	}
	Disk disk(std::move(contents));
	{
		Pool pool(disk);
		if (!pool.open(blocks, 32, Access::read_write).ok())
			return 0;
		(void)check(pool, [](const Violation &) {});
		use(pool);
		(void)check(pool, [](const Violation &) {});
	}
	return 0;
}
