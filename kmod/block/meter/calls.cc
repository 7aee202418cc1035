/* SPDX-License-Identifier: GPL-2.0 */
/* calls.cc - what C calls of the meter; see meter.h. */
#include "meter.hh"

using namespace corbel;
using corbel::qos::Meter;
using corbel::qos::Reply;

static Meter &meter_of(corbel_meter *meter)
{
	return *reinterpret_cast<Meter *>(meter);
}

int corbel_meter_new(corbel_meter_shim *shim, const corbel_meter_options *options,
		     corbel_meter **meter)
{
	auto made = rt::Box<Meter>::make(rt::Context::task, shim, options);

	if (!made.ok())
		return made.to_errno();
	auto box = std::move(made).value(); /* it is ok */
	const auto ready = box->init();
	if (ready.ok())
		*meter = reinterpret_cast<corbel_meter *>(box.release());
	return ready.to_errno();
}

void corbel_meter_free(corbel_meter *meter)
{
	if (meter)
		(void)rt::Box<Meter>::adopt(&meter_of(meter));
}

corbel_workload *corbel_meter_piece(corbel_meter *meter, u64 sector, u64 sectors, u64 *together)
{
	return meter_of(meter).piece(sector, sectors, together);
}

bool corbel_meter_submit(corbel_meter *meter, corbel_meter_io *io)
{
	return meter_of(meter).submit(*io);
}

void corbel_meter_ended(corbel_meter *meter, corbel_meter_io *io, bool failed, u32 cpu)
{
	meter_of(meter).ended(*io, failed, cpu);
}

void corbel_meter_run(corbel_meter *meter)
{
	meter_of(meter).run();
}

void corbel_meter_release(corbel_meter *meter)
{
	meter_of(meter).release();
}

void corbel_meter_resume(corbel_meter *meter)
{
	meter_of(meter).resume();
}

int corbel_meter_message(corbel_meter *meter, unsigned argc, char **argv, char *reply, u32 size)
{
	Reply text(reply, size);

	return meter_of(meter).message(argc, argv, text).to_errno();
}

void corbel_meter_status(corbel_meter *meter, char *text, u32 size)
{
	Reply reply(text, size);

	meter_of(meter).status(reply);
}

corbel_workload *corbel_meter_hold(corbel_meter *meter, u32 object)
{
	corbel_workload *workload = meter_of(meter).find({object});

	if (workload)
		workload->get();
	return workload;
}
