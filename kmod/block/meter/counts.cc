/* SPDX-License-Identifier: GPL-2.0 */
/* counts.cc - what a meter tells of I/O that is done. */
#include "meter.hh"
#include "../words.hh"

namespace corbel::qos {

using block::number_of;
using block::text_of;

/* Of a number, and of what ends a text, as device-mapper takes a full buffer for too small. */
static constexpr u32 digits = 20, end_of_text = 1;

const Sums &Meter::sums_of(const corbel_workload &workload)
{
	auto *sums = sums_.as<Sums>();

	workload.counters.read(sums[0], sums[1]);
	return sums[0];
}

/*
 * read, write, discard, flush: I/Os, bytes, errors, ns at the device; then how many were
 * throttled, and for how many ns.
 */
static void tell(const Counts &counts, rt::Text between, Reply &reply)
{
	for (const OpCounts &of : counts.by_op)
		reply << of.ios << between << of.bytes << between << of.errors << between
		      << of.service_ns << between;
	reply << counts.throttled << between << counts.throttled_ns;
}

Result<void> Meter::stats(unsigned, char **argv, Reply &reply)
{
	const corbel_workload *workload =
		CORBEL_TRY(existing(CORBEL_TRY(number_of(text_of(argv[0])))));

	tell(sums_of(*workload).counts, " ", reply);
	return {};
}

/* The first that is not told, 0 if all are; then of each its number and what stats has. */
Result<void> Meter::table(unsigned, char **argv, Reply &reply)
{
	static constexpr u32 line = 2 + 7 + 18 * (digits + 1);
	const u64 first = CORBEL_TRY(number_of(text_of(argv[0])));
	const u64 most = CORBEL_TRY(number_of(text_of(argv[1])));
	u64 told = 0, next = 0;

	for (u64 from = first; from < max_objects;) {
		const corbel_workload *workload = find_from(static_cast<u32>(from));

		if (!workload)
			break;
		const u64 id = workload->object.id.value;
		if (told == most || reply.room() < line + digits + end_of_text) {
			next = id;
			break;
		}
		reply << " " << id << ":";
		tell(sums_of(*workload).counts, ",", reply);
		told++;
		from = id + 1;
	}
	if (next && most && !told)
		return Error::no_space;
	reply.insert(0, next);
	return {};
}

Result<void> Meter::histogram(unsigned, char **argv, Reply &reply)
{
	static constexpr struct {
		rt::Text name;
		u64 (Histograms::*buckets)[latency_buckets];
	} all[] = {
		{"read", &Histograms::reads},
		{"write", &Histograms::writes},
		{"other", &Histograms::others},
		{"queue", &Histograms::queued},
	};
	const corbel_workload *workload =
		CORBEL_TRY(existing(CORBEL_TRY(number_of(text_of(argv[0])))));
	const rt::Text name = text_of(argv[1]);

	for (const auto &which : all) {
		if (!(which.name == name))
			continue;
		if (!workload->counters.has_histograms()) {
			reply << "corbel-qos: this object was made without histograms";
			return Error::no_data;
		}
		const auto &counts = sums_of(*workload).histograms.*which.buckets;
		for (u32 i = 0; i < latency_buckets; i++)
			if (counts[i])
				reply << (reply.size() ? rt::Text(" ") : rt::Text()) << u64{i}
				      << ":" << counts[i];
		return reply.room() < end_of_text ? Result<void>(Error::no_space) : Result<void>();
	}
	return Error::invalid;
}

Result<void> Meter::set_heat(unsigned, char **argv, Reply &reply)
{
	const rt::Text text = text_of(argv[0]);
	HeatMap *next = nullptr;

	if (!(text == rt::Text("off"))) {
		const u64 shift = CORBEL_TRY(number_of(text));
		auto made = CORBEL_TRY(rt::Box<HeatMap>::make(rt::Context::task));
		const auto ready =
			made->init({0}, sectors_, shift < 64 ? static_cast<unsigned>(shift) : 64);

		if (!ready.ok()) {
			if (ready.error() == Error::invalid)
				reply << "corbel-qos: a cell has 2^" << u64{HeatMap::min_shift}
				      << " sectors at least, and there are " << HeatMap::max_cells
				      << " cells at most";
			return ready.error();
		}
		next = made.release();
	}
	HeatMap *old = heat_.load(rt::Order::relaxed);
	heat_.store(next, rt::Order::release);
	if (old) {
		/* It is counted in with interrupts off. */
		corbel_meter_synchronize();
		(void)rt::Box<HeatMap>::adopt(old);
	}
	return {};
}

/* How large cells are, how many, the first that was not looked at; then those that are not zero. */
Result<void> Meter::cells(unsigned, char **argv, Reply &reply)
{
	static constexpr u32 line = 1 + digits + 4 * (1 + digits);
	const u64 first = CORBEL_TRY(number_of(text_of(argv[0])));
	const u64 count = CORBEL_TRY(number_of(text_of(argv[1])));
	const HeatMap *heat = heat_.load(rt::Order::relaxed);

	if (!heat) {
		reply << "corbel-qos: there is no heat map; ask for one by: heat SHIFT";
		return Error::no_data;
	}
	const u64 all = heat->cells();
	const u64 from = first < all ? first : all;
	const u64 end = count < all - from ? from + count : all;
	reply << u64{heat->shift()} << " " << all << " ";
	const u32 place = reply.size();
	u64 at = from;
	for (; at < end && reply.room() >= line + digits + end_of_text; at++) {
		const HeatCell cell = heat->read(at);

		if (cell.reads | cell.writes | cell.bytes_read | cell.bytes_written)
			reply << " " << at << ":" << cell.reads << ":" << cell.writes << ":"
			      << cell.bytes_read << ":" << cell.bytes_written;
	}
	if (at == from && from < end)
		return Error::no_space;
	reply.insert(place, at);
	return {};
}

} /* namespace corbel::qos */
