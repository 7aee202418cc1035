/* SPDX-License-Identifier: GPL-2.0 */
/* stats.cc - stats descriptors of workload objects, see <corbel/qos.h>. */
#include "meter.hh"

#include <corbel/qos.h>

#include "../../core/arguments.hh"
#include "../../core/feature.h"
#include "../../core/stats_layout.hh"

namespace corbel::qos {
namespace {

using core::StatKind;

/* The values are Sums, in this order; of an object without histograms those of Counts. */
constexpr core::StatsTable table({
	{"read_ios"},
	{"read_bytes", StatKind::bytes},
	{"read_errors"},
	{"read_service_ns", StatKind::nanoseconds},
	{"write_ios"},
	{"write_bytes", StatKind::bytes},
	{"write_errors"},
	{"write_service_ns", StatKind::nanoseconds},
	{"discard_ios"},
	{"discard_bytes", StatKind::bytes},
	{"discard_errors"},
	{"discard_service_ns", StatKind::nanoseconds},
	{"flush_ios"},
	{"flush_bytes", StatKind::bytes},
	{"flush_errors"},
	{"flush_service_ns", StatKind::nanoseconds},
	{"throttled"},
	{"throttled_ns", StatKind::nanoseconds},
	{"read_latency", StatKind::count, latency_buckets},
	{"write_latency", StatKind::count, latency_buckets},
	{"other_latency", StatKind::count, latency_buckets},
	{"queue_time", StatKind::count, latency_buckets},
});
constexpr u32 plain_stats = sizeof(Counts) / sizeof(u64);
static_assert(sizeof(Sums) == sizeof(u64) * table.values);
static_assert(latency_buckets == CORBEL_QOS_BUCKETS);
static_assert(lower_bound(1 + 8 * 2 + 3) == (u64{1} << 14) + 3 * (u64{1} << 11));
static_assert(lower_bound(CORBEL_QOS_BUCKETS - 1) == u64{1} << 35);

struct StatsFile {
	StatsFile(u32 count, corbel_workload *workload) : head(count), workload(workload) {}

	core::StatsHead head;
	corbel_workload *workload;
};

Result<u64> read(const StatsFile &file, u64 user, u64 bytes, u64 offset)
{
	const corbel_stats_header &header = file.head.header;
	rt::Pages memory;
	Sums *sums = nullptr;

	/* A look of its own for each reader, as there may be several at a time. */
	if (offset + bytes > header.data_offset) {
		memory = CORBEL_TRY(rt::Pages::make(2 * sizeof(Sums), rt::Pages::Use::kernel));
		sums = memory.as<Sums>();
		file.workload->counters.read(sums[0], sums[1]);
	}
	const core::StatsBlock blocks[] = {
		{&file.head, sizeof(file.head)},
		{table.descriptors, header.num_desc * sizeof(corbel_stats_desc)},
		{sums, header.num_desc == table.count ? sizeof(Sums) : sizeof(Counts)},
	};

	return core::read_blocks(
		blocks, offset, bytes, [user](u64 at, const void *from, u64 length) {
			return rt::check_shim(corbel_copy_out(user + at, from, length));
		});
}

s64 stats_read(void *object, u64 user, u64 bytes, u64 offset)
{
	const Result<u64> done = read(*static_cast<StatsFile *>(object), user, bytes, offset);

	return done ? static_cast<s64>(done.value()) : done.to_errno();
}

void stats_release(void *object)
{
	rt::Box<StatsFile> file = rt::Box<StatsFile>::adopt(static_cast<StatsFile *>(object));

	file->workload->put();
}

constexpr corbel_file_ops operations{
	.name = "[corbel-stats]",
	.ioctl = nullptr,
	.mmap = nullptr,
	.poll = nullptr,
	.read = stats_read,
	.release = stats_release,
};

long stats_request(u32 command, u64 user);

constinit corbel_feature feature{
	.slot = CORBEL_SLOT_BLOCK,
	.module = nullptr,
	.request = stats_request,
	.create = nullptr,
	.open = nullptr,
	.vcpus_changed = nullptr,
	.ended = nullptr,
	.destroy = nullptr,
};

Result<long> open(u64 user)
{
	const auto request = CORBEL_TRY(core::read_arguments<corbel_qos_stats>(user));
	corbel_workload *workload = nullptr;

	if (request.pad)
		return Error::invalid;
	CORBEL_TRY(rt::check_shim(corbel_meter_find(request.major, request.minor, request.sector,
						    request.object, &workload)));
	const bool is_detailed = workload->counters.has_histograms();
	auto made = rt::Box<StatsFile>::make(rt::Context::task,
					     is_detailed ? table.count : plain_stats, workload);

	if (!made.ok()) {
		workload->put();
		return made.error();
	}
	auto file = std::move(made).value(); /* it is ok */
	file->head.append("corbel-qos-");
	file->head.append(u64{request.major});
	file->head.append(":");
	file->head.append(u64{request.minor});
	file->head.append("/object-");
	file->head.append(u64{request.object});
	const int fd = corbel_file_new(&operations, file.get(), feature.module);
	if (fd < 0) {
		stats_release(file.release());
		return rt::from_errno(fd);
	}
	(void)file.release(); /* the descriptor's */
	return fd;
}

long stats_request(u32, u64 user)
{
	return open(user).value_or_errno();
}

} /* namespace */
} /* namespace corbel::qos */

int corbel_meter_stats_start(module *module)
{
	corbel::qos::feature.module = module;
	return corbel_feature_register(&corbel::qos::feature);
}

void corbel_meter_stats_stop(void)
{
	corbel_feature_unregister(&corbel::qos::feature);
}
