/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pool.hh - thin volumes over data devices, whose blocks can be moved at the cost of one entry.
 *
 *   volume table          logical maps (one each)       middle map                reverse map
 *   id -> root ---------> LBA -> MBA -----------------> MBA -> PBA, count ------> PBA -> MBA
 *                         shared by snapshots           one of the pool           one of the pool
 *
 * Logical maps name contents by number (MBA), and only the middle map says where those lie. A
 * block is moved by changing its middle entry, however many snapshots have it. The idea is
 * that of the indirect mappings that ZFS uses for removed vdevs, kept for all blocks and for
 * good; maps and their sharing are those of dm-thin.
 *
 * The count of a middle entry is that of the leaves that name it. A leaf that several trees
 * share counts once, so that a snapshot costs nothing until one of them is written to.
 *
 * What the caller has to see to
 *
 *  - One lock around everything here.
 *  - Data before metadata. A place that begin_write, prepare_write or begin_move has told may
 *    hold anything. What was written to it must have ended before finish_write or
 *    finish_move, or with prepare_write before commit(), and been flushed before commit() on
 *    those of the data devices that needs_flush() tells; else a crash could leave a map that
 *    leads to what another volume once held.
 *  - To acknowledge a flush, or a write with FUA, is to flush the data devices and then to
 *    commit, if is_changed(). A write in place needs no commit.
 *  - Drains. Places given back come free when those who looked something up before have ended
 *    what they did with it: begin_drain(), wait for them, end_drain().
 *  - Broken. When an operation or commit() fails in the middle, is_broken(); abort() goes back
 *    to the last committed state. All that was told since is void, open moves are stale.
 *
 * Errors, beside those told at each: no_space; again: no space before the next commit and
 * drain; bad_message: damaged metadata; io, no_memory; cancelled: it is broken; permission: it
 * was opened to be read, or the volume was made so. Everything may sleep.
 */
#pragma once

#include "../rt/text.hh"
#include "move.hh"
#include "places.hh"
#include "store.hh"
#include "tree.hh"

namespace corbel::block {

/* Where a volume's blocks from one on lie. */
struct Extent {
	u64 count; /* blocks, at least 1 */
	bool mapped; /* if not, they read as zeros */
	Pba pba;
};

/* Where a block is to be written. */
struct WritePlan {
	enum class Kind : u8 {
		in_place,
		fresh, /* it had no place; all of the block is to be written */
		copied, /* what is not overwritten is to be copied from @old, before commit */
	};
	Kind kind;
	Pba pba;
	Pba old;
	Mba mba; /* in_place: its number; copied: that of what it replaces */
};

/*
 * Where new blocks go: to @device; to others too unless @only. There from place @from on, if it
 * is said, and else behind what was placed last.
 */
struct Placement {
	u16 device = 0;
	bool only = false;
	u64 from = Places::anywhere;
};

/* What has been written since the pool was opened. */
struct Written {
	u64 logical, middle, reverse; /* entries of maps that were made, changed or taken out */
	u64 bytes; /* of metadata */
};

class Pool final : private Sharing {
public:
	explicit Pool(BlockDevice &meta)
		: store_(meta),
		  volumes_(store_, Kind::volumes),
		  middle_(store_, Kind::middle),
		  reverse_(store_, Kind::reverse),
		  logical_(store_, Kind::logical, this)
	{}
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;

	/* See Store. */
	Result<void> open(u64 meta_blocks, u32 cache_nodes, Access access)
	{
		return store_.open(meta_blocks, cache_nodes, access);
	}
	Result<void> commit();
	Result<void> abort();
	[[nodiscard]] bool is_changed() const { return store_.is_changed(); }
	[[nodiscard]] bool is_broken() const { return store_.is_broken(); }
	/* False: no place waits. */
	bool begin_drain();
	void end_drain();

	/* ---- devices.cc: data devices ---- */

	/* @tier: a label, up to tier_bytes. Its number; no_space: there are max_devices. */
	Result<u16> add_device(const Uuid &uuid, rt::Text tier, u64 blocks);
	/* 0: removed. busy: something lies behind the new end; again: it was there. */
	Result<void> resize_device(u16 device, u64 blocks);
	/* No more is placed from block @limit on. */
	Result<void> limit_device(u16 device, u64 limit);
	/* There are places on it that the next commit maps. */
	[[nodiscard]] bool needs_flush(u16 device) const { return fresh_ >> device & 1; }
	[[nodiscard]] u64 free_blocks(u16 device) const;
	/* Places of a device in order: evacuation, shrinking, tiering begin here. */
	using VisitPlace = rt::FunctionRef<Result<bool>(Pba pba, Mba mba)>;
	Result<void> walk_device(u16 device, u64 first, u64 last, VisitPlace visit);

	/* ---- volumes.cc ---- */

	Result<VolumeId> create_volume(u64 blocks);
	/* Of what @volume holds now, in a time that depends on nothing. */
	Result<VolumeId> snapshot(VolumeId volume, bool read_only);
	/* @volume holds from now on what @to does, and has its size. */
	Result<void> roll_back(VolumeId volume, VolumeId to);
	/* It is gone for all but delete_some(), which takes it apart. */
	Result<void> delete_volume(VolumeId volume);
	/* A bounded piece of it, then commit. True: that was the last. */
	Result<bool> delete_some(VolumeId volume);
	/* busy: there are blocks behind the new end. */
	Result<void> resize_volume(VolumeId volume, u64 blocks);
	/* not_found. Those that are being deleted are found here, and only here. */
	Result<VolumeV1> find_volume(VolumeId volume);
	/* The first behind @after, deleted ones included; not_found. */
	Result<VolumeId> next_volume(VolumeId after);
	/* Where what two hold differs, from @first on: blocks that one does not have included. */
	using VisitDifference = rt::FunctionRef<Result<bool>(Lba lba, bool in_a, bool in_b)>;
	Result<void> diff(VolumeId a, VolumeId b, Lba first, VisitDifference visit);

	/* ---- blocks.cc ---- */

	/* Of @most blocks from @lba on, those that lie together. Changes nothing. range. */
	Result<Extent> look_up(VolumeId volume, Lba lba, u64 most);
	/* Blocks that have a place, from @first on, until @visit says false. range. */
	using VisitBlock = rt::FunctionRef<Result<bool>(Lba lba, Mba mba, Pba pba)>;
	Result<void> walk_volume(VolumeId volume, Lba first, VisitBlock visit);
	/*
	 * A write in two parts, so that what cannot be written leaves no trace: begin_write
	 * reserves a place, unless the plan is to write in place, and changes no map;
	 * finish_write makes the place the volume's own and tells the block's new number.
	 * Until then the caller lets nobody else write or discard the block. begin_write:
	 * range. finish_write: stale: it is not as it was, and the place was given back; again,
	 * no_space: it is still open.
	 */
	Result<WritePlan> begin_write(VolumeId volume, Lba lba, Placement placement);
	Result<Mba> finish_write(VolumeId volume, Lba lba, const WritePlan &plan);
	void cancel_write(const WritePlan &plan);
	/* Both at once. */
	Result<WritePlan> prepare_write(VolumeId volume, Lba lba, Placement placement);
	/* How many of @count were done, at least 1: it ends early if they are many. */
	Result<u64> discard(VolumeId volume, Lba lba, u64 count);

	/* ---- moves.cc ---- */

	/* To @placement. not_found; busy: it is being moved. */
	Result<void> begin_move(Move &move, Mba mba, Placement placement);
	/* stale: it was cancelled instead. again, no_space: it is still open. */
	Result<void> finish_move(Move &move);
	void cancel_move(Move &move);

	/* ---- maps.cc: single entries; not_found ---- */

	Result<Pba> find_mba(Mba mba);
	Result<Mba> mba_at(Pba pba);
	/* Those of @count keys from the first one on that are there, in order. */
	using VisitLogical = rt::FunctionRef<void(Lba lba, Mba mba)>;
	Result<void> read_logical(VolumeId volume, Lba first, u64 count, VisitLogical visit);
	using VisitMiddle = rt::FunctionRef<void(Mba mba, Pba pba)>;
	Result<void> read_middle(Mba first, u64 count, VisitMiddle visit);
	/* A mapped block behind the end of a volume: there should be none. */
	Result<Lba> first_behind_end(VolumeId volume);

	[[nodiscard]] const SuperblockV1 &super() const { return store_.super(); }
	[[nodiscard]] Written written() const;
	/* Blocks of metadata that ordinary operations can take; and all that are free. */
	[[nodiscard]] u64 usable_meta() const;
	[[nodiscard]] u64 free_meta() const { return store_.space().available(); }
	[[nodiscard]] Store &store() { return store_; }

private:
	using Purpose = Store::Purpose;

	/* An operation's second part, which must not fail. */
	template <typename Change>
	auto change(Change &&change)
	{
		auto result = change();

		if (!result.ok())
			store_.set_broken();
		return result;
	}
	[[nodiscard]] Result<void> may_change() const;
	[[nodiscard]] Meta root(Kind kind) const
	{
		return {super().roots[static_cast<unsigned>(kind)]};
	}
	void set_root(Kind kind, Meta root)
	{
		if (this->root(kind) != root)
			store_.change_super().roots[static_cast<unsigned>(kind)] = root.value;
	}
	/* A tree's @call(root), whose root is in the superblock. */
	template <typename Call>
	auto with_root(Kind kind, Call &&call)
	{
		Meta root = this->root(kind);
		auto result = call(root);

		set_root(kind, root);
		return result;
	}

	[[nodiscard]] bool is_possible(Pba pba) const
	{
		return pba.device < max_devices && pba.block < super().devices[pba.device].blocks;
	}

	/* Which keys of a map are in use, for Places. */
	auto load_mbas()
	{
		return [this](u64 first, u64 count, Places::Mark mark) {
			return middle_.walk(root(Kind::middle), first, first + count - 1,
					    [&](u64 key, const u64 *) -> Result<bool> {
						    mark(key);
						    return true;
					    });
		};
	}
	auto load_places(u16 device)
	{
		return [this, device](u64 first, u64 count, Places::Mark mark) {
			const u64 from = Pba{device, first}.packed();

			return reverse_.walk(root(Kind::reverse), from, from + count - 1,
					     [&](u64 key, const u64 *) -> Result<bool> {
						     mark(Pba::unpack(key).block);
						     return true;
					     });
		};
	}

	/* Entries of maps. maps.cc */
	Result<void> put_volume(VolumeId volume, const VolumeV1 &value);
	Result<VolumeId> add_volume(const VolumeV1 &value);
	Result<VolumeId> insert_volume(const VolumeV1 &value);
	Result<VolumeV1> usable_volume(VolumeId volume);
	Result<VolumeV1> writable_volume(VolumeId volume);
	Result<MiddleV1> middle_at(Mba mba);
	Result<MiddleV1> named_middle(Mba mba);
	Result<void> put_middle(Mba mba, const MiddleV1 &value);
	Result<void> add_reverse(Pba pba, Mba mba);
	Result<void> remove_reverse(Pba pba);
	Result<void> raise_value(u64 mba) override;
	Result<void> add_mba(Mba mba, Pba pba);
	Result<void> drop_mba(Mba mba);
	Result<void> release_place(Pba pba);
	Result<Pba> take_place(Placement placement, Places::State state);
	Result<Mba> take_mba();
	void stale_moves(const Mba *mba);

	/* Blocks that an operation may take, at most. maps.cc */
	struct Need {
		u64 raise, insert_middle, remove_middle, insert_reverse, remove_reverse;
		u64 volumes;
	};
	Result<Need> need();
	Result<void> room_to_write(const VolumeV1 &value, bool shared);
	Result<void> room_to_remove(Meta root, u64 key);
	[[nodiscard]] bool is_alone(bool shared, const MiddleV1 &middle) const;

	Store store_;
	Tree volumes_, middle_, reverse_, logical_;
	Places places_[max_devices];
	Places mbas_;
	u32 fresh_ = 0; /* a bit a device */
	bool unshared_ = false; /* by deleting, since the last commit */
	rt::List<Move, &Move::of_pool> moves_;
	u64 logical_written_ = 0, middle_written_ = 0, reverse_written_ = 0;
};

} /* namespace corbel::block */
