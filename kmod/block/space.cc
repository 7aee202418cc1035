/* SPDX-License-Identifier: GPL-2.0 */
#include "space.hh"
#include "crc32c.hh"

#include <bit>

namespace corbel::block {

Result<void> Space::init(u64 meta_blocks)
{
	blocks_ = count_blocks_of(meta_blocks);
	first_ = first_node_of(meta_blocks);
	size_ = meta_blocks - first_.value;
	const u64 words = (size_ + 63) / 64, dirty_words = (blocks_ + 63) / 64;

	memory_ = CORBEL_TRY(
		rt::Pages::make((2 * words + dirty_words) * sizeof(u64) + size_ * sizeof(u32),
				rt::Pages::Use::kernel));
	page_ = CORBEL_TRY(rt::Pages::make(meta_bytes, rt::Pages::Use::kernel));
	busy_ = memory_.as<u64>();
	old_ = busy_ + words;
	dirty_ = old_ + words;
	counts_ = reinterpret_cast<u32 *>(dirty_ + dirty_words);
	free_ = size_;
	return {};
}

/* The place of block @block that counts if its bit is @second. */
static Meta place_of(u64 block, bool second)
{
	return {first_counts.value + 2 * block + second};
}

Result<void> Space::load(const SuperblockV1 &superblock)
{
	auto &page = *page_.as<CountsV1>();

	free_ = waiting_ = next_ = 0;
	for (u64 block = 0; block < blocks_; block++) {
		const Meta place = place_of(block, test(superblock.homes, block));

		CORBEL_TRY(device_.read(place, &page));
		const BlockHeaderV1 &header = page.header;
		if (header.magic != counts_magic || header.block != place.value ||
		    header.pool != superblock.header.pool ||
		    header.generation > superblock.header.generation ||
		    header.crc != crc32c(&header.block, meta_bytes - crc_from))
			return Error::bad_message;
		const u64 from = block * counts_per_block, count = end_of(block) - from;
		for (u64 i = count; i < counts_per_block; i++)
			if (page.counts[i])
				return Error::bad_message;
		__builtin_memcpy(&counts_[from], page.counts, count * sizeof(u32));
		settle(block);
	}
	return {};
}

void Space::settle(u64 block)
{
	assign(dirty_, block, false);
	for (u64 at = block * counts_per_block; at < end_of(block); at++) {
		assign(old_, at, counts_[at]);
		assign(busy_, at, counts_[at]);
		free_ += counts_[at] == 0;
	}
}

Result<void> Space::store(SuperblockV1 &superblock)
{
	auto &page = *page_.as<CountsV1>();

	for (u64 block = 0; block < blocks_; block++) {
		if (!test(dirty_, block))
			continue;
		const bool second =
			test(superblock.homes, block) != !sabotaged(Sabotage::counts_in_one_place);
		const Meta place = place_of(block, second);
		const u64 from = block * counts_per_block;

		__builtin_memset(&page, 0, sizeof(page));
		page.header = {.magic = counts_magic,
			       .crc = 0,
			       .block = place.value,
			       .generation = superblock.header.generation,
			       .pool = superblock.header.pool};
		__builtin_memcpy(page.counts, &counts_[from], (end_of(block) - from) * sizeof(u32));
		page.header.crc = crc32c(&page.header.block, meta_bytes - crc_from);
		CORBEL_TRY(device_.write(place, &page));
		written_ += meta_bytes;
		assign(superblock.homes, block, second);
	}
	return {};
}

void Space::committed()
{
	for (u64 block = 0; block < blocks_; block++) {
		if (!test(dirty_, block))
			continue;
		for (u64 at = block * counts_per_block; at < end_of(block); at++)
			free_ -= !test(busy_, at);
		settle(block);
	}
	waiting_ = 0;
}

Result<Meta> Space::take()
{
	const u64 words = (size_ + 63) / 64;

	for (u64 i = 0; i <= words && free_; i++) {
		const u64 word = next_ / 64;
		const u64 passed = (u64{1} << (next_ % 64)) - 1;
		const u64 at = word * 64 + static_cast<u64>(std::countr_one(busy_[word] | passed));

		if (at >= (word + 1) * 64 || at >= size_) {
			next_ = word + 1 < words ? (word + 1) * 64 : 0;
			continue;
		}
		next_ = at + 1 < size_ ? at + 1 : 0;
		assign(busy_, at, true);
		counts_[at] = 1;
		free_--;
		touch(at);
		return Meta{first_.value + at};
	}
	return Error::no_space;
}

Result<void> Space::raise(Meta block)
{
	if (!this->count(block))
		return Error::bad_message;
	u32 &count = counts_[block.value - first_.value];
	if (count == ~u32{0})
		return Error::overflow;
	count++;
	touch(block.value - first_.value);
	return {};
}

Result<u32> Space::drop(Meta block)
{
	if (!count(block))
		return Error::bad_message;
	const u64 at = block.value - first_.value;
	touch(at);
	if (--counts_[at])
		return counts_[at];
	if (test(old_, at) && !sabotaged(Sabotage::meta_reused_before_commit)) {
		waiting_++;
	} else {
		assign(busy_, at, false);
		free_++;
	}
	return u32{0};
}

} /* namespace corbel::block */
