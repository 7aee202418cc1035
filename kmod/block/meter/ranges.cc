/* SPDX-License-Identifier: GPL-2.0 */
/* ranges.cc - whose the sectors of a meter's device are. */
#include "meter.hh"
#include "../base64.hh"
#include "../qos/range_set.hh"
#include "../words.hh"

namespace corbel::qos {

using block::number_of;
using block::text_of;

/* All of it or nothing; what it refuses is in @reply. */
Result<void> Meter::replace_ranges(const Change &change, Reply &reply)
{
	Refusal refusal{};
	auto replaced = map_.replace(change, refusal);

	if (!replaced.ok()) {
		const Error error = replaced.error();

		if (error == Error::no_space) {
			reply << "corbel-qos: these would be more than " << u64{max_ranges}
			      << " ranges";
		} else if (error == Error::invalid) {
			reply << "corbel-qos: object " << u64{refusal.wanted.object.value}
			      << " is rest, not among those to be changed, out of order, or has a range "
				 "whose padding is not zero";
		} else if (error == Error::exists || error == Error::range) {
			reply << "corbel-qos: range " << refusal.wanted.first.value << " of "
			      << refusal.wanted.sectors << " sectors";
			if (error == Error::exists)
				reply << " overlaps with " << refusal.other.first.value << " of "
				      << refusal.other.sectors << " sectors of object "
				      << u64{refusal.other.object.value};
			else
				reply << " is empty, too large, or out of order";
		}
		return error;
	}
	/* It goes at the end of this, when nobody reads it any more. */
	corbel_meter_synchronize();
	return {};
}

Result<void> Meter::set_ranges(unsigned argc, char **argv, Reply &reply)
{
	const u64 number = CORBEL_TRY(number_of(text_of(argv[0])));
	const u32 count = (argc - 1) / 2;

	if (argc % 2 == 0)
		return Error::invalid;
	(void)CORBEL_TRY(existing(number));
	const ObjectId object{static_cast<u32>(number)};
	auto memory =
		CORBEL_TRY(rt::Pages::make((count + 1) * sizeof(Range), rt::Pages::Use::kernel));
	auto *ranges = memory.as<Range>();
	for (u32 i = 0; i < count; i++) {
		ranges[i].first = {CORBEL_TRY(number_of(text_of(argv[1 + 2 * i])))};
		ranges[i].sectors = CORBEL_TRY(number_of(text_of(argv[2 + 2 * i])));
		ranges[i].object = object;
	}
	return replace_ranges({&object, 1, ranges, count}, reply);
}

/* What @text holds is put to where it can be read as words, in the same memory. */
static Result<Change> change_of(char *text)
{
	const u64 length = text_of(text).size();
	const u64 bytes = CORBEL_TRY(block::decode_base64(text, length));
	const u64 beyond = reinterpret_cast<u64>(text) % sizeof(u64);
	const u64 ahead = beyond ? sizeof(u64) - beyond : 0;

	/* As of any that is long enough to be one. */
	if (bytes + ahead > length)
		return Error::bad_message;
	__builtin_memmove(text + ahead, text, bytes);
	return read_range_set(text + ahead, bytes);
}

Result<void> Meter::replace_all(unsigned, char **argv, Reply &reply)
{
	const auto change = change_of(argv[0]);

	if (!change.ok()) {
		if (change.error() == Error::too_big)
			reply << "corbel-qos: there are no more than " << u64{max_objects}
			      << " objects and " << u64{max_ranges} << " ranges";
		else
			reply << "corbel-qos: this is not a set of ranges, version "
			      << u64{range_set_version} << ", in base64";
		return change.error();
	}
	for (u32 i = 0; i < change.value().object_count; i++) {
		const ObjectId object = change.value().objects[i];

		if (!existing(object.value).ok()) {
			reply << "corbel-qos: there is no object " << u64{object.value};
			return Error::not_found;
		}
	}
	return replace_ranges(change.value(), reply);
}

Result<void> Meter::show(unsigned, char **argv, Reply &reply)
{
	const u64 sector = CORBEL_TRY(number_of(text_of(argv[0])));
	/* Nobody replaces it meanwhile. */
	const Segment segment = map_.current().look_up({sector});

	reply << u64{segment.object.value} << " " << segment.end.value;
	return {};
}

} /* namespace corbel::qos */
