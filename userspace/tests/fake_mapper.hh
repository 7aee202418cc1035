/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_mapper.hh - a device-mapper whose pools are the logic of the module in this process, on
 * files: what is told and answered is as documented, data is never moved.
 */
#pragma once

#include "../volumes/mapper.hh"

#include "../../kmod/block/pool.hh"
#include "../pool/meta_device.hh"

#include <map>
#include <mutex>
#include <optional>
#include <set>

namespace corbel::test {

class FakeMapper final : public volumes::Mapper {
public:
	Result<std::vector<volumes::Mapped>> list() override;
	Result<void> create(const std::string &name, const std::string &uuid,
			    const volumes::Table &table) override;
	Result<void> reload(const std::string &name, const volumes::Table &table) override;
	Result<void> remove(const std::string &name) override;
	Result<std::string> message(const std::string &name, const std::string &text) override;
	Result<std::string> status(const std::string &name) override;

	/* Somebody opens it, or lets it go. */
	void open(const std::string &name, int by);
	/* Blocks @first to @first + @count - 1 of a volume are written to. */
	void write(const std::string &pool, std::uint64_t id, std::uint64_t first,
		   std::uint64_t count);
	/* They are so hot from now on, if that is counted. */
	void heat(const std::string &pool, std::uint64_t id, std::uint64_t first,
		  std::uint64_t count, std::uint64_t how_hot);
	/* How many of them lie on a device. */
	[[nodiscard]] std::uint64_t on(std::uint16_t device, const std::string &pool,
				       std::uint64_t id, std::uint64_t first, std::uint64_t count);
	[[nodiscard]] const block::SuperblockV1 &super(const std::string &pool);
	[[nodiscard]] volumes::Table table(const std::string &name);

	/* That the status of pools says. */
	std::string mode = "rw";
	/* Of a mover: blocks for each look at it; how many are busy in the first pass. */
	std::uint64_t pace = 1000;
	std::uint64_t busy = 0;
	/* Fails once: the message that begins so, with this errno. */
	std::string fails;
	int fails_with = 0;
	std::vector<std::string> messages;

private:
	struct Mover {
		std::string state = "idle";
		int error = 0;
		std::uint16_t device = 0;
		std::uint64_t first = 0, next = 0, last = 0, moved = 0, skipped = 0;
		/* By heat. */
		std::optional<std::uint16_t> to{};
		std::uint64_t coldest = 0, hottest = 255, left = ~std::uint64_t{0};
		/* What is gathered. */
		std::uint64_t volume = 0, place = 0;
	};
	struct Device {
		volumes::Mapped mapped;
		volumes::Table table;
		/* Of a pool. */
		std::unique_ptr<pool::MetaDevice> meta;
		std::unique_ptr<block::Pool> pool;
		std::map<std::string, std::unique_ptr<pool::MetaDevice>> data; /* by UUID */
		Mover mover;
		bool counts = false;
		std::map<std::uint64_t, std::uint64_t> heat; /* by MBA */
		/* Of a volume. */
		std::string of;
		std::uint64_t volume = 0;
	};

	[[nodiscard]] Device *find(const std::string &name);
	[[nodiscard]] Result<void> take_data(Device &device, const volumes::Table &table);
	[[nodiscard]] Result<std::string> tell(Device &device, const std::string &text);
	[[nodiscard]] Result<std::string>
	make_volumes(Device &device, const std::vector<std::uint64_t> &of, bool read_only);
	[[nodiscard]] Result<std::string> tell_heat(Device &device,
						    const std::vector<std::uint64_t> &words);
	[[nodiscard]] Result<std::string> tell_map(Device &device, std::uint64_t id);
	[[nodiscard]] Result<std::string> tell_free(Device &device, std::uint16_t number);
	void gather_on(Device &device);
	void move_on(Device &device);

	std::mutex lock_;
	std::map<std::string, Device> devices_;
	unsigned next_ = 0;
};

} /* namespace corbel::test */
