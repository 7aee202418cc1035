// SPDX-License-Identifier: GPL-2.0
#include "stats.hh"

#include <corbel/dist_counts.hh>

#include "../core/arguments.hh"
#include "../core/stats_layout.hh"
#include "distributor.hh"
#include "observer.hh"

namespace corbel::irq {
namespace {

using core::read_arguments;
using core::StatKind;
using core::StatsBlock;
using core::StatsHead;
using core::StatsTable;

constinit module *self = nullptr;

/* The values of an observer are a Ledger, in this order. */
constexpr StatsTable ledger_stats({
	{"posted_device"},
	{"posted_ipi"},
	{"posted_local"},
	{"restored"},
	{"delivered"},
	{"coalesced"},
	{"dropped_refused"},
	{"dropped_vanished"},
	{"pending", StatKind::instant},
	{"extint"},
	{"vcpus", StatKind::instant},
	{"sampled_vcpus", StatKind::instant},
	{"reinjected"},
	{"other_modes"},
	{"resyncs"},
});
static_assert(sizeof(Ledger) == sizeof(u64) * ledger_stats.count);
constexpr u32 stats_of_vector = offsetof(Ledger, reinjected) / sizeof(u64);
constexpr u32 stats_of_vcpu = offsetof(Ledger, resyncs) / sizeof(u64);
constexpr u32 stats_of_vm = ledger_stats.count;

struct DistTotals {
	corbel_dist_counts counts;
	u64 ids;
	u64 doorbells;
};

constexpr StatsTable dist_stats({
	{"posted"},
	{"restored"},
	{"delivered"},
	{"coalesced"},
	{"dropped_refused"},
	{"dropped_withdrawn"},
	{"pending", StatKind::instant},
	{"ids", StatKind::instant},
	{"doorbells"},
});
static_assert(sizeof(DistTotals) == sizeof(u64) * dist_stats.count);

/* What a descriptor is about: a part of @observer's ledger, or @distributor. */
struct StatsFile {
	explicit StatsFile(u32 count) : head(count) {}

	StatsHead head;
	const corbel_stats_desc *descriptors{};
	Observer *observer{};
	Distributor *distributor{};
	u32 vcpu{};
	u32 vector{};
};

Result<u64> read(const StatsFile *file, u64 user, u64 bytes, u64 offset)
{
	const corbel_stats_header &header = file->head.header;
	Ledger ledger{};
	DistTotals totals{};

	if (offset + bytes > header.data_offset) {
		if (file->distributor)
			totals = {.counts = sum_of_counts(file->distributor),
				  .ids = file->distributor->ids(),
				  .doorbells = file->distributor->doorbells()};
		else
			file->observer->sum_ledger(file->vcpu, file->vector, &ledger);
	}
	const StatsBlock blocks[] = {
		{&file->head, sizeof(file->head)},
		{file->descriptors, header.num_desc * sizeof(corbel_stats_desc)},
		{file->distributor ? static_cast<const void *>(&totals) : &ledger,
		 header.num_desc * sizeof(u64)},
	};

	return core::read_blocks(
		blocks, offset, bytes, [user](u64 at, const void *from, u64 length) {
			return rt::check_shim(corbel_copy_out(user + at, from, length));
		});
}

s64 stats_read(void *object, u64 user, u64 bytes, u64 offset)
{
	const Result<u64> done = read(static_cast<StatsFile *>(object), user, bytes, offset);

	return done ? static_cast<s64>(done.value()) : done.to_errno();
}

void stats_release(void *object)
{
	rt::Box<StatsFile> file = rt::Box<StatsFile>::adopt(static_cast<StatsFile *>(object));

	if (file->distributor)
		put_distributor(file->distributor);
	else
		corbel_vm_put(file->observer->vm());
}

constexpr corbel_file_ops stats_operations{
	.name = "[corbel-stats]",
	.ioctl = nullptr,
	.mmap = nullptr,
	.poll = nullptr,
	.read = stats_read,
	.release = stats_release,
};

/* @file holds what it is about, and gives it back if there is no descriptor. */
Result<long> open(rt::Box<StatsFile> file)
{
	const int fd = corbel_file_new(&stats_operations, file.get(), self);

	if (fd < 0) {
		stats_release(file.release());
		return rt::from_errno(fd);
	}
	(void)file.release(); /* the descriptor's */
	return fd;
}

} /* namespace */

void init_stats(module *module)
{
	self = module;
}

Result<long> new_stats(Observer *observer, u64 user)
{
	const auto request = CORBEL_TRY(read_arguments<corbel_irq_stats>(user));
	const bool one_vcpu = request.vcpu != CORBEL_IRQ_ALL_VCPUS;
	const bool one_vector = request.vector != CORBEL_IRQ_ALL_VECTORS;

	if (one_vector && request.vector >= CORBEL_IRQ_VECTORS)
		return Error::invalid;
	if (one_vcpu)
		CORBEL_TRY(observer->find(request.vcpu));
	const u32 count = one_vector ? stats_of_vector : one_vcpu ? stats_of_vcpu : stats_of_vm;
	auto file = CORBEL_TRY(rt::Box<StatsFile>::make(rt::Context::task, count));

	file->descriptors = ledger_stats.descriptors;
	file->observer = observer;
	file->vcpu = request.vcpu;
	file->vector = request.vector;
	file->head.append("corbel-");
	file->head.append(corbel_vm_id(observer->vm()));
	if (one_vcpu) {
		file->head.append("/vcpu-");
		file->head.append(u64{request.vcpu});
	}
	if (one_vector) {
		file->head.append("/vector-");
		file->head.append(u64{request.vector});
	}
	corbel_vm_get(observer->vm());
	return open(std::move(file));
}

Result<long> new_stats(Distributor *distributor, u64 user)
{
	CORBEL_TRY(read_arguments<corbel_dist_stats>(user));
	auto file = CORBEL_TRY(rt::Box<StatsFile>::make(rt::Context::task, dist_stats.count));

	file->descriptors = dist_stats.descriptors;
	file->distributor = distributor;
	file->head.append("corbel-");
	file->head.append(corbel_vm_id(distributor->observer()->vm()));
	file->head.append("/dist");
	distributor->get();
	return open(std::move(file));
}

corbel_dist_counts sum_of_counts(Distributor *distributor)
{
	constexpr u32 piece = 256;
	corbel_dist_counts sum{};

	for (u32 id = 0; id < distributor->ids(); id++) {
		const corbel_dist_counts of = distributor->counts(id);

		add_counts(sum, of);
		if (id % piece == piece - 1)
			corbel_reschedule();
	}
	return sum;
}

} /* namespace corbel::irq */
