// SPDX-License-Identifier: GPL-2.0
/*
 * requests.cc - CORBEL_REPLAY_ENROL, recorder descriptors, and the feature.
 */
#include "requests.h"

#include "../core/arguments.hh"
#include "../core/feature.h"
#include "recorder.hh"

namespace corbel::replay {
namespace {

using core::read_arguments;
using core::write_arguments;

constinit module *self = nullptr;

int recorder_mmap(void *object, corbel_area *area)
{
	auto *recorder = static_cast<Recorder *>(object);

	if (corbel_area_offset(area) || !corbel_area_shared(area) ||
	    corbel_area_length(area) > recorder->bytes())
		return rt::to_errno(Error::invalid);
	return corbel_area_map(area, recorder->memory(), 0);
}

constexpr corbel_file_ops recorder_operations{
	.name = "[corbel-recorder]",
	.ioctl = nullptr,
	.mmap = recorder_mmap,
	.poll = nullptr,
	.read = nullptr,
	.release = [](void *object) { Recorder::close(static_cast<Recorder *>(object)); },
};

Result<long> enrol(u64 user)
{
	auto request = CORBEL_TRY(read_arguments<corbel_replay_enrol>(user));

	if (request.pad || request.entries < CORBEL_REPLAY_MIN_ENTRIES ||
	    request.entries > CORBEL_REPLAY_MAX_ENTRIES)
		return Error::invalid;
	request.area_bytes = Recorder::area_bytes(request.entries);
	/* Before the descriptor exists: it could not be taken back. */
	CORBEL_TRY(write_arguments(user, request));
	Recorder *recorder = CORBEL_TRY(Recorder::enrol(request.vcpu_fd, request.entries));
	const int fd = corbel_file_new(&recorder_operations, recorder, self);

	if (fd < 0) {
		Recorder::close(recorder);
		return rt::from_errno(fd);
	}
	return fd;
}

long device_request(u32, u64 user)
{
	return enrol(user).value_or_errno();
}

constinit corbel_feature feature{
	.slot = CORBEL_SLOT_REPLAY,
	.module = nullptr,
	.request = device_request,
	.create = nullptr,
	.open = nullptr,
	.vcpus_changed = nullptr,
	.ended = nullptr,
	.destroy = nullptr,
};

} /* namespace */
} /* namespace corbel::replay */

int corbel_replay_start(struct module *module)
{
	using namespace corbel::replay;

	self = module;
	feature.module = module;
	const Result<void> ready = Recorder::init_all(module);

	if (!ready)
		return ready.to_errno();
	if (const int error = corbel_feature_register(&feature)) {
		Recorder::exit_all();
		return error;
	}
	return 0;
}

void corbel_replay_stop(void)
{
	using namespace corbel::replay;

	corbel_feature_unregister(&feature);
	Recorder::exit_all();
}
