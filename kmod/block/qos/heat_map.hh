/* SPDX-License-Identifier: GPL-2.0 */
/*
 * heat_map.hh - which parts of an area of the device are used how much.
 *
 * The area is divided into cells of a power of two of sectors. Bytes are counted in the cells
 * they lie in, an I/O in that where it begins; discards are in none, being no use of a block.
 * All CPUs share a cell: its words are added to by locked instructions. 32 bytes a cell.
 */
#pragma once

#include "../../rt/atomic.hh"
#include "../../rt/memory.hh"
#include "sabotage.hh"
#include "types.hh"

namespace corbel::qos {

struct HeatCell {
	u64 reads, writes, bytes_read, bytes_written;
};

class HeatMap {
public:
	/* 64 KiB, so that no I/O is in very many cells. */
	static constexpr unsigned min_shift = 7;
	static constexpr u64 max_cells = 1 << 20;

	HeatMap() = default;
	HeatMap(const HeatMap &) = delete;
	HeatMap &operator=(const HeatMap &) = delete;

	/*
	 * Once: [@first, @first + @sectors) in cells of 2^@shift sectors. Task; no_memory,
	 * invalid: no area or beyond all sectors, cells that are too small or too many.
	 */
	Result<void> init(Sector first, u64 sectors, unsigned shift)
	{
		if (shift < min_shift || shift >= 54 || !sectors || first.value >= sector_end ||
		    sectors > sector_end - first.value || (sectors - 1) >> shift >= max_cells)
			return Error::invalid;
		first_ = first.value;
		sectors_ = sectors;
		shift_ = shift;
		const u64 bytes = cells() * sizeof(HeatCell);
		memory_ = CORBEL_TRY(rt::Pages::make(bytes, rt::Pages::Use::kernel));
		cells_ = memory_.as<HeatCell>();
		return {};
	}

	/* What lies in the area of an I/O of @bytes from @sector. Any context. */
	void add(Op op, Sector sector, u32 bytes)
	{
		const u64 sectors = (u64{bytes} + 511) >> sector_shift;

		if ((op != Op::read && op != Op::write) || !sectors_ ||
		    sector.value >= first_ + sectors_ || sector.value + sectors <= first_)
			return;
		if (sector.value >= first_) {
			HeatCell &cell = cells_[(sector.value - first_) >> shift_];
			rt::atomic_fetch_add(op == Op::read ? &cell.reads : &cell.writes, 1,
					     rt::Order::relaxed);
		}
		u64 at = sector.value, left = bytes;
		while (left && at < first_ + sectors_) {
			/* To where the area begins, a cell ends, or the area does. */
			u64 end = first_;
			if (at >= first_)
				end = first_ + ((((at - first_) >> shift_) + 1) << shift_);
			if (end > first_ + sectors_)
				end = first_ + sectors_;
			const u64 room = (end - at) << sector_shift;
			const bool is_all = left < room || sabotaged(Sabotage::heat_in_first);
			const u64 here = is_all ? left : room;

			if (at >= first_) {
				HeatCell &cell = cells_[(at - first_) >> shift_];
				rt::atomic_fetch_add(op == Op::read ? &cell.bytes_read
								    : &cell.bytes_written,
						     here, rt::Order::relaxed);
			}
			left -= here;
			at = end;
		}
	}

	[[nodiscard]] unsigned shift() const { return shift_; }
	[[nodiscard]] u64 cells() const { return ((sectors_ - 1) >> shift_) + 1; }
	/* Each word of some moment. @index is below cells(). */
	[[nodiscard]] HeatCell read(u64 index) const
	{
		const HeatCell &cell = cells_[index];
		const auto load = [](const u64 &word) {
			return rt::atomic_load(&word, rt::Order::relaxed);
		};

		return {load(cell.reads), load(cell.writes), load(cell.bytes_read),
			load(cell.bytes_written)};
	}

private:
	rt::Pages memory_;
	HeatCell *cells_{};
	u64 first_{}, sectors_{};
	unsigned shift_{};
};

} /* namespace corbel::qos */
