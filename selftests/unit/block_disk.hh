/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices of a pool in memory: metadata blocks, and of each data block the number of the
 * write that it holds. All that is written and flushed is recorded, so that what a crash at
 * any moment leaves can be made of it.
 */
#pragma once

#include "block/device.hh"
#include "block_shim.hh"

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

namespace corbel::unit {

using block::Meta;
using block::Pba;
using block::Result;

using MetaBlock = std::array<std::uint8_t, block::meta_bytes>;
using MetaPointer = std::shared_ptr<const MetaBlock>;

/* Copies share the blocks. */
struct Contents {
	std::vector<MetaPointer> meta;
	std::map<std::uint64_t, std::uint64_t> data; /* packed Pba -> number of a write */

	bool operator==(const Contents &) const = default;
};

struct Event {
	enum class Kind { meta_write, meta_flush, data_write, data_flush };
	Kind kind;
	std::uint64_t at = 0; /* which block */
	MetaPointer meta = {};
	std::uint64_t data = 0;
};

class Disk final : public block::BlockDevice {
public:
	explicit Disk(std::uint64_t meta_blocks)
	{
		contents.meta.assign(meta_blocks, std::make_shared<MetaBlock>());
	}
	explicit Disk(Contents from) : contents(std::move(from)) {}

	Result<void> read(Meta block, void *data) override
	{
		if (block.value >= contents.meta.size() || fails())
			return block::Error::io;
		std::memcpy(data, contents.meta[block.value]->data(), block::meta_bytes);
		reads++;
		return {};
	}
	Result<void> write(Meta block, const void *data) override
	{
		if (block.value >= contents.meta.size() || fails())
			return block::Error::io;
		auto copy = std::make_shared<MetaBlock>();
		std::memcpy(copy->data(), data, block::meta_bytes);
		apply({Event::Kind::meta_write, block.value, std::move(copy)});
		return {};
	}
	Result<void> flush() override
	{
		if (fails())
			return block::Error::io;
		apply({Event::Kind::meta_flush});
		return {};
	}

	void write_data(Pba pba, std::uint64_t number)
	{
		apply({Event::Kind::data_write, pba.packed(), nullptr, number});
	}
	void flush_data() { apply({Event::Kind::data_flush}); }
	[[nodiscard]] std::uint64_t data_at(Pba pba) const
	{
		const auto found = contents.data.find(pba.packed());

		return found == contents.data.end() ? 0 : found->second;
	}

	static void apply_to(Contents &contents, const Event &event)
	{
		if (event.kind == Event::Kind::meta_write)
			contents.meta[event.at] = event.meta;
		else if (event.kind == Event::Kind::data_write)
			contents.data[event.at] = event.data;
	}

	Contents contents;
	bool recording = false;
	std::vector<Event> events;
	std::uint64_t reads = 0;
	/* How many requests succeed before one fails; below 0: all do. */
	std::int64_t requests_left = -1;

private:
	void apply(Event event)
	{
		apply_to(contents, event);
		if (recording)
			events.push_back(std::move(event));
	}
	bool fails() { return requests_left >= 0 && requests_left-- == 0; }
};

} // namespace corbel::unit
