/* SPDX-License-Identifier: GPL-2.0 */
/* messages.cc - what can be asked of a pool, and what is told of it. */
#include "engine.hh"
#include "../words.hh"

namespace corbel::block {

struct Engine::Command {
	rt::Text name;
	rt::Text usage; /* of its arguments */
	u32 least, most; /* how many */
	Result<void> (Engine::*run)(const Arguments &arguments, Reply &reply);
};

constinit const Engine::Command Engine::commands[] = {
	{"create", "BLOCKS", 1, 1, &Engine::create},
	{"snapshot", "VOLUME...", 1, Arguments::most, &Engine::snapshot},
	{"clone", "VOLUME...", 1, Arguments::most, &Engine::clone},
	{"rollback", "VOLUME TO", 2, 2, &Engine::roll_back},
	{"delete", "VOLUME", 1, 1, &Engine::remove},
	{"resize", "VOLUME BLOCKS", 2, 2, &Engine::resize},
	{"volumes", "[AFTER]", 0, 1, &Engine::list},
	{"diff", "A B [FIRST]", 2, 3, &Engine::diff},
	{"map", "VOLUME [FIRST]", 1, 2, &Engine::map},
	{"layout", "VOLUME", 1, 1, &Engine::show_layout},
	{"limit", "DEVICE BLOCKS", 2, 2, &Engine::limit},
	{"resize_device", "DEVICE BLOCKS", 2, 2, &Engine::resize_device},
	{"move", "DEVICE FIRST LAST TO|any [MICROSECONDS|any [COLDEST HOTTEST MOST|any]]", 4, 8,
	 &Engine::move},
	{"gather", "VOLUME FIRST LAST DEVICE PLACE [MICROSECONDS|any]", 5, 6, &Engine::gather},
	{"free", "DEVICE [FIRST]", 1, 2, &Engine::show_free},
	{"mover", "", 0, 0, &Engine::show_mover},
	{"cancel", "", 0, 0, &Engine::cancel},
	{"commit", "", 0, 0, &Engine::flush_all},
	{"heat_on", "", 0, 0, &Engine::heat_on},
	{"heat_off", "", 0, 0, &Engine::heat_off},
	{"heat_age", "", 0, 0, &Engine::heat_age},
	{"heat", "DEVICE [FIRST]", 1, 2, &Engine::show_heat},
};

static constexpr rt::Text who = "corbel-pool";

/* Of an answer in pages: whoever asks goes on at @next. */
static void end_page(Reply &reply, bool is_more, u64 next)
{
	if (is_more)
		reply << "more " << next << "\n";
	else
		reply << "end\n";
}

static Result<u64> argument_of(rt::Text text)
{
	return text == rt::Text("any") ? Result<u64>(Mover::any_device) : number_of(text);
}

Result<void> Engine::message(unsigned argc, char **argv, Reply &reply)
{
	const rt::MutexGuard guard(mutex_);
	const Command *command = find_command(commands, who, argc, argv, reply);
	Arguments arguments{};

	if (!command)
		return Error::invalid;
	while (arguments.count < argc - 1) {
		const auto number = argument_of(text_of(argv[arguments.count + 1]));

		if (!number.ok()) {
			tell_usage(*command, who, reply);
			return Error::invalid;
		}
		arguments.values[arguments.count++] = number.value(); /* it is ok */
	}
	if (failed_.load(rt::Order::relaxed) && command->run != &Engine::show_mover)
		return Error::io;
	const auto done = (this->*command->run)(arguments, reply);
	if (pool_.is_broken())
		fail(Error::io);
	note_changed();
	kick();
	return done;
}

/* ---- volumes --------------------------------------------------------------------------------- */

void Engine::close_gate()
{
	gate_.store(true, rt::Order::seq_cst);
	corbel_pool_synchronize(shim_);
}

/* What it has is not its own any more. */
void Engine::note_shared(VolumeId id)
{
	const u32 mark = next_mark_++;

	for (corbel_volume &volume : volumes_)
		if (volume.id == id)
			volume.mark.store(mark, rt::Order::release);
}

void Engine::open_gate()
{
	gate_.store(false, rt::Order::release);
}

Result<void> Engine::create(const Arguments &arguments, Reply &reply)
{
	const u64 blocks = arguments.values[0];

	if (!blocks || blocks > Pba::block_end)
		return Error::range;
	const auto id = CORBEL_TRY(pool_.create_volume(blocks));
	CORBEL_TRY(commit(Flush::needed));
	reply << id.value;
	return {};
}

/*
 * At one instant: no write is under way while they are made, and what was written before is on
 * the devices when they are told.
 */
Result<void> Engine::share(const Arguments &arguments, bool read_only, Reply &reply)
{
	VolumeId made[Arguments::most];
	u32 count = 0;
	Result<void> result;

	close_gate();
	for (; count < arguments.count; count++) {
		const auto id = pool_.snapshot({arguments.values[count]}, read_only);

		if (!id.ok()) {
			result = id.error();
			break;
		}
		made[count] = id.value(); /* it is ok */
	}
	for (u32 i = 0; i < count; i++)
		note_shared({arguments.values[i]});
	/* Of what was written in place nothing tells that it is not on its device yet. */
	if (result.ok())
		result = commit(Flush::all);
	else
		for (u32 i = 0; i < count && !pool_.is_broken(); i++) {
			(void)pool_.delete_volume(made[i]);
			begin_deleting();
		}
	open_gate();
	for (u32 i = 0; result.ok() && i < count; i++)
		reply << (i ? rt::Text(" ") : rt::Text()) << made[i].value;
	return result;
}

Result<void> Engine::snapshot(const Arguments &arguments, Reply &reply)
{
	return share(arguments, true, reply);
}

Result<void> Engine::clone(const Arguments &arguments, Reply &reply)
{
	return share(arguments, false, reply);
}

Result<void> Engine::roll_back(const Arguments &arguments, Reply &)
{
	const VolumeId volume{arguments.values[0]}, to{arguments.values[1]};

	if (opened(volume))
		return Error::busy;
	close_gate();
	const auto done = pool_.roll_back(volume, to);
	note_shared(to);
	layout_++;
	open_gate();
	begin_deleting();
	CORBEL_TRY(done);
	return commit(Flush::needed);
}

Result<void> Engine::remove(const Arguments &arguments, Reply &)
{
	const VolumeId id{arguments.values[0]};

	if (opened(id))
		return Error::busy;
	CORBEL_TRY(pool_.delete_volume(id));
	begin_deleting();
	return commit(Flush::needed);
}

Result<void> Engine::resize(const Arguments &arguments, Reply &)
{
	const VolumeId id{arguments.values[0]};
	const u64 blocks = arguments.values[1];

	if (!blocks || blocks > Pba::block_end)
		return Error::range;
	for (const corbel_volume &volume : volumes_)
		if (volume.id == id && volume.blocks > blocks)
			return Error::busy;
	CORBEL_TRY(pool_.resize_volume(id, blocks));
	return commit(Flush::needed);
}

Result<void> Engine::list(const Arguments &arguments, Reply &reply)
{
	VolumeId after{arguments.count ? arguments.values[0] : 0};

	for (;;) {
		const auto next = pool_.next_volume(after);
		if (!next.ok())
			return next.error() == Error::not_found ? Result<void>() : next.error();
		after = next.value(); /* it is ok */
		const auto volume = CORBEL_TRY(pool_.find_volume(after));
		const u32 size = reply.size();
		reply << after.value << " " << volume.blocks << " " << volume.mapped << " "
		      << volume.origin << " " << volume.created
		      << (volume.flags & volume_deleting    ? rt::Text(" deleting\n")
			  : volume.flags & volume_read_only ? rt::Text(" ro\n")
							    : rt::Text(" rw\n"));
		if (reply.is_full()) {
			reply.cut(size);
			return size ? Result<void>() : Error::no_space;
		}
	}
}

Result<void> Engine::diff(const Arguments &arguments, Reply &reply)
{
	/* A line is at most this long, and what ends the text. */
	static constexpr u32 line = 48, last_line = 28;
	const auto side = [](bool in_a, bool in_b) { return (in_a ? 1 : 0) | (in_b ? 2 : 0); };
	static constexpr rt::Text names[] = {"", " a\n", " b\n", " both\n"};
	u64 first = 0, count = 0, next = 0;
	int which = 0;
	bool is_more = false;
	const auto flush = [&] {
		if (count)
			reply << first << " " << count << names[which];
		count = 0;
	};

	CORBEL_TRY(pool_.diff({arguments.values[0]}, {arguments.values[1]},
			      {arguments.count > 2 ? arguments.values[2] : 0},
			      [&](Lba lba, bool in_a, bool in_b) -> Result<bool> {
				      if (count && lba.value == first + count &&
					  side(in_a, in_b) == which) {
					      count++;
					      return true;
				      }
				      flush();
				      if (reply.room() < line + last_line) {
					      is_more = true;
					      next = lba.value;
					      return false;
				      }
				      first = lba.value;
				      count = 1;
				      which = side(in_a, in_b);
				      return true;
			      }));
	flush();
	end_page(reply, is_more, next);
	return {};
}

/* As it is at this instant: who asks for the rest later asks for the layout before and after. */
Result<void> Engine::map(const Arguments &arguments, Reply &reply)
{
	/* A line is at most this long, and what ends the text. */
	static constexpr u32 line = 56, last_line = 28;
	/* The worker has to wait meanwhile. */
	static constexpr u32 blocks_at_once = 2048;
	u64 first = 0, count = 0, next = 0;
	Pba place{};
	u32 seen = 0;
	bool is_more = false;
	const auto flush = [&] {
		if (count)
			reply << first << " " << count << " " << u64{place.device} << " "
			      << place.block << "\n";
		count = 0;
	};

	CORBEL_TRY(pool_.walk_volume({arguments.values[0]},
				     {arguments.count > 1 ? arguments.values[1] : 0},
				     [&](Lba lba, Mba, Pba pba) -> Result<bool> {
					     if (seen++ == blocks_at_once) {
						     is_more = true;
						     next = lba.value;
						     return false;
					     }
					     if (count && lba.value == first + count &&
						 pba == Pba{place.device, place.block + count}) {
						     count++;
						     return true;
					     }
					     flush();
					     if (reply.room() < line + last_line) {
						     is_more = true;
						     next = lba.value;
						     return false;
					     }
					     first = lba.value;
					     place = pba;
					     count = 1;
					     return true;
				     }));
	flush();
	end_page(reply, is_more, next);
	return {};
}

Result<void> Engine::show_layout(const Arguments &arguments, Reply &reply)
{
	const VolumeId id{arguments.values[0]};
	u64 layout = moved_;

	if (CORBEL_TRY(pool_.find_volume(id)).flags & volume_deleting)
		return Error::not_found;
	if (!opened(id))
		layout = layout_;
	for (const corbel_volume &volume : volumes_)
		if (volume.id == id && volume.layout > layout)
			layout = volume.layout;
	reply << layout;
	return {};
}

/* ---- devices --------------------------------------------------------------------------------- */

static Result<u16> device_of(u64 number)
{
	return number < max_devices ? Result<u16>(static_cast<u16>(number)) : Error::invalid;
}

Result<void> Engine::limit(const Arguments &arguments, Reply &)
{
	CORBEL_TRY(pool_.limit_device(CORBEL_TRY(device_of(arguments.values[0])),
				      arguments.values[1]));
	retry(no_space_);
	return commit(Flush::needed);
}

Result<void> Engine::resize_device(const Arguments &arguments, Reply &)
{
	const u16 device = CORBEL_TRY(device_of(arguments.values[0]));
	const u64 blocks = arguments.values[1];

	if (blocks > capacity_[device])
		return Error::range;
	if (mover_.is_running())
		return Error::busy;
	CORBEL_TRY(commit(Flush::needed));
	drain_now();
	CORBEL_TRY(pool_.resize_device(device, blocks));
	if (!blocks)
		devices_ &= ~(1U << device);
	retry(no_space_);
	return commit(Flush::needed);
}

/* Of a mover's throttle, in ns: of so many us, if @number-th is said. */
Result<u64> Engine::target_of(const Arguments &arguments, u32 number)
{
	static constexpr u64 longest = 60ULL * 1000 * 1000; /* us */
	const u64 target = arguments.count > number ? arguments.values[number] : Throttle::none;

	if (target == Throttle::none)
		return target;
	return target > longest ? Result<u64>(Error::range) : target * 1000;
}

Result<void> Engine::move(const Arguments &arguments, Reply &)
{
	const u64 *values = arguments.values;
	const u64 target = CORBEL_TRY(target_of(arguments, 4));

	if (arguments.count == 6 || arguments.count == 7)
		return Error::invalid;
	const bool is_by_heat = arguments.count == 8;
	if (is_by_heat && (values[5] > values[6] || values[6] > 255))
		return Error::range;
	if (is_by_heat && !heat_.is_on())
		return Error::no_data;
	return mover_.start({.device = CORBEL_TRY(device_of(values[0])),
			     .first = values[1],
			     .last = values[2],
			     .to = values[3],
			     .target = target,
			     .coldest = static_cast<u8>(is_by_heat ? values[5] : 0),
			     .hottest = static_cast<u8>(is_by_heat ? values[6] : 255),
			     .most = is_by_heat ? values[7] : ~u64{0}});
}

Result<void> Engine::gather(const Arguments &arguments, Reply &)
{
	const u64 *values = arguments.values;
	const u16 device = CORBEL_TRY(device_of(values[3]));

	if (!values[0])
		return Error::not_found;
	return mover_.start({.device = device,
			     .first = values[1],
			     .last = values[2],
			     .to = device,
			     .target = CORBEL_TRY(target_of(arguments, 5)),
			     .volume = {values[0]},
			     .place = values[4]});
}

/* What nothing is mapped to; there may be something that is written or was given back just now. */
Result<void> Engine::show_free(const Arguments &arguments, Reply &reply)
{
	/* A line is at most this long, and what ends the text. */
	static constexpr u32 line = 42, last_line = 28;
	static constexpr u32 places_at_once = 16384;
	const u16 number = CORBEL_TRY(device_of(arguments.values[0]));
	const DeviceV1 &device = super().devices[number];
	const u64 end = device.limit < device.blocks ? device.limit : device.blocks;
	u64 next = arguments.count > 1 ? arguments.values[1] : 0;
	u32 looks = 0;
	bool is_more = false;
	const auto tell = [&](u64 behind) {
		if (behind > next)
			reply << next << " " << behind - next << "\n";
		next = behind;
	};

	if (!device.blocks)
		return Error::not_found;
	if (next < end) {
		CORBEL_TRY(
			pool_.walk_device(number, next, end - 1, [&](Pba pba, Mba) -> Result<bool> {
				is_more = looks++ == places_at_once ||
					  reply.room() < line + last_line;
				if (is_more)
					return false;
				tell(pba.block);
				next = pba.block + 1;
				return true;
			}));
		if (!is_more)
			tell(end);
	}
	end_page(reply, is_more, next);
	return {};
}

Result<void> Engine::show_mover(const Arguments &, Reply &reply)
{
	mover_.report(reply);
	return {};
}

Result<void> Engine::cancel(const Arguments &, Reply &)
{
	mover_.cancel();
	return {};
}

Result<void> Engine::flush_all(const Arguments &, Reply &)
{
	return commit(Flush::all);
}

/* ---- heat ------------------------------------------------------------------------------------ */

Result<void> Engine::heat_on(const Arguments &, Reply &reply)
{
	u64 blocks = 0;

	/* There is no MBA but for a block of data, nor any above all that there were at a time. */
	for (const u64 capacity : capacity_)
		blocks += capacity;
	const u64 mbas = super().mba_end > blocks ? super().mba_end : blocks;
	const bool is_new =
		CORBEL_TRY(heat_.begin(mbas, [this] { corbel_pool_synchronize(shim_); }));
	reply << (is_new ? rt::Text("new ") : rt::Text("kept ")) << heat_.bytes();
	return {};
}

Result<void> Engine::heat_off(const Arguments &, Reply &)
{
	heat_.end([this] { corbel_pool_synchronize(shim_); });
	return {};
}

Result<void> Engine::heat_age(const Arguments &, Reply &)
{
	if (!heat_.is_on())
		return Error::no_data;
	heat_.age();
	return {};
}

Result<void> Engine::show_heat(const Arguments &arguments, Reply &reply)
{
	/* As many as are looked at without letting others have the pool. */
	static constexpr u32 most = 16384;
	const u16 device = CORBEL_TRY(device_of(arguments.values[0]));
	const u64 first = arguments.count > 1 ? arguments.values[1] : 0;
	const u64 blocks = super().devices[device].blocks;
	u16 counts[256]{};
	u32 looks = 0;
	u64 next = 0;

	if (!heat_.is_on())
		return Error::no_data;
	if (!blocks)
		return Error::not_found;
	if (first < blocks)
		CORBEL_TRY(pool_.walk_device(device, first, blocks - 1,
					     [&](Pba pba, Mba mba) -> Result<bool> {
						     counts[heat_.of(mba)]++;
						     next = pba.block + 1;
						     return ++looks < most;
					     }));
	for (u32 heat = 0; heat < 256; heat++)
		if (counts[heat])
			reply << u64{heat} << ":" << u64{counts[heat]} << " ";
	if (looks == most)
		reply << "more " << next;
	else
		reply << "end";
	return reply.is_full() ? Result<void>(Error::no_space) : Result<void>();
}

/* ---- status ---------------------------------------------------------------------------------- */

void Engine::status(Reply &reply)
{
	const rt::MutexGuard guard(mutex_);
	u64 used = 0, blocks = 0;

	for (const DeviceV1 &device : super().devices) {
		used += device.used;
		blocks += device.blocks;
	}
	reply << super().header.generation << " " << super().meta_blocks - pool_.free_meta() << "/"
	      << super().meta_blocks << " " << used << "/" << blocks << " " << u64{block_sectors()}
	      << " " << super().volumes
	      << (failed_.load(rt::Order::relaxed) ? rt::Text(" failed") : rt::Text(" rw"))
	      << (options_.error_if_no_space ? rt::Text(" error") : rt::Text(" queue"));
}

void Engine::device_status(u16 number, Reply &reply)
{
	const rt::MutexGuard guard(mutex_);
	const DeviceV1 &device = super().devices[number];
	std::size_t length = 0;

	while (length < tier_bytes && device.tier[length])
		length++;
	reply << (length ? rt::Text(device.tier, length) : rt::Text("-")) << " " << device.used
	      << "/" << device.blocks << "/" << device.limit;
}

void Engine::volume_status(corbel_volume *volume, Reply &reply)
{
	const rt::MutexGuard guard(mutex_);
	const auto found = pool_.find_volume(volume->id);

	reply << volume->id.value;
	if (!found.ok()) {
		reply << " unreadable";
		return;
	}
	const VolumeV1 value = found.value(); /* it is ok */
	reply << " " << value.mapped << " " << value.blocks << " " << value.origin
	      << (volume->read_only ? rt::Text(" ro") : rt::Text(" rw"));
}

} /* namespace corbel::block */
