/* SPDX-License-Identifier: GPL-2.0 */
/* calls.cc - what C calls of the engine; see target.h. */
#include "engine.hh"
#include "../label.hh"

namespace corbel::block {

/* Allocations inside do no I/O. */
class [[nodiscard]] NoIo {
public:
	NoIo() : flags_(corbel_noio_save()) {}
	~NoIo() { corbel_noio_restore(flags_); }
	NoIo(const NoIo &) = delete;
	NoIo &operator=(const NoIo &) = delete;

private:
	u32 flags_;
};

static Engine &engine_of(corbel_engine *engine)
{
	return *reinterpret_cast<Engine *>(engine);
}
static const Engine &engine_of(const corbel_engine *engine)
{
	return *reinterpret_cast<const Engine *>(engine);
}

} /* namespace corbel::block */

using namespace corbel;
using namespace corbel::block;

int corbel_engine_new(corbel_pool *pool, u64 meta_blocks, u64 cache_bytes, corbel_engine **engine)
{
	const NoIo no_io;
	auto made = rt::Box<Engine>::make(rt::Context::task, pool);

	if (!made.ok())
		return made.to_errno();
	auto box = std::move(made).value(); /* it is ok */
	const auto opened = box->open(meta_blocks, cache_bytes);
	if (opened.ok())
		*engine = reinterpret_cast<corbel_engine *>(box.release());
	return opened.to_errno();
}

void corbel_engine_quiesce(corbel_engine *engine)
{
	engine_of(engine).quiesce();
}

void corbel_engine_free(corbel_engine *engine)
{
	const NoIo no_io;

	if (!engine)
		return;
	auto box = rt::Box<Engine>::adopt(&engine_of(engine));
	box->stop();
}

u32 corbel_engine_block_sectors(const corbel_engine *engine)
{
	return engine_of(engine).block_sectors();
}

const u8 *corbel_engine_uuid(const corbel_engine *engine)
{
	return engine_of(engine).super().uuid;
}

int corbel_engine_device(corbel_engine *engine, const u8 *uuid, const char *tier, u64 blocks)
{
	const NoIo no_io;
	const auto number = engine_of(engine).device(uuid, tier, blocks);

	return number.ok() ? number.value() : number.to_errno();
}

int corbel_engine_complete(corbel_engine *engine, u32 present, u8 *uuid)
{
	return engine_of(engine).is_complete(present, uuid) ? 0 : rt::to_errno(Error::no_device);
}

int corbel_engine_start(corbel_engine *engine, const corbel_engine_options *options)
{
	const NoIo no_io;

	return engine_of(engine).start(*options).to_errno();
}

int corbel_engine_commit(corbel_engine *engine)
{
	const NoIo no_io;

	return engine_of(engine).commit_all().to_errno();
}

int corbel_engine_message(corbel_engine *engine, unsigned argc, char **argv, char *reply, u32 size)
{
	const NoIo no_io;
	Reply text(reply, size);

	return engine_of(engine).message(argc, argv, text).to_errno();
}

void corbel_engine_status(corbel_engine *engine, char *text, u32 size)
{
	Reply reply(text, size);

	engine_of(engine).status(reply);
}

void corbel_engine_device_status(corbel_engine *engine, u16 device, char *text, u32 size)
{
	Reply reply(text, size);

	engine_of(engine).device_status(device, reply);
}

int corbel_volume_open(corbel_engine *engine, u64 id, u64 blocks, corbel_volume **volume)
{
	const NoIo no_io;
	const auto opened = engine_of(engine).open_volume({id}, blocks);

	if (opened.ok())
		*volume = opened.value(); /* it is ok */
	return opened.to_errno();
}

void corbel_volume_close(corbel_volume *volume)
{
	if (volume)
		volume->engine.close_volume(volume);
}

void corbel_volume_set_stopping(corbel_volume *volume, bool stopping)
{
	volume->engine.set_stopping(volume, stopping);
}

bool corbel_volume_read_only(const corbel_volume *volume)
{
	return volume->read_only;
}

void corbel_volume_status(corbel_volume *volume, char *text, u32 size)
{
	const NoIo no_io;
	Reply reply(text, size);

	volume->engine.volume_status(volume, reply);
}

corbel_found corbel_volume_find(corbel_volume *volume, u64 block, bool write, u32 *device,
				u64 *place)
{
	return volume->engine.find(*volume, block, write, device, place);
}

bool corbel_engine_is_changed(const corbel_engine *engine)
{
	return engine_of(engine).is_changed();
}

void corbel_engine_defer(corbel_engine *engine, corbel_request *request)
{
	engine_of(engine).defer(request);
}

void corbel_engine_measured(corbel_engine *engine, u64 begun, u64 now)
{
	engine_of(engine).measured(begun, now);
}

void corbel_engine_work(corbel_engine *engine)
{
	const NoIo no_io;

	engine_of(engine).work();
}

void corbel_engine_drained(corbel_engine *engine)
{
	engine_of(engine).drained();
}

void corbel_block_job_copied(corbel_block_job *job, int error)
{
	job->engine->copied(*job, error);
}

void corbel_block_job_written(corbel_block_job *job, int error)
{
	job->engine->part_ended(*job, error);
}

int corbel_label_read(const void *block, corbel_label *label)
{
	const auto *read = static_cast<const DataLabelV1 *>(block);
	const auto checked = check_label(*read);

	if (checked.ok())
		*label = {read->pool, read->device, read->tier, read->data_start / 512};
	return checked.to_errno();
}
