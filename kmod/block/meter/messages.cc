/* SPDX-License-Identifier: GPL-2.0 */
/* messages.cc - what can be asked of a meter, and what it tells. */
#include "meter.hh"
#include "../words.hh"

namespace corbel::qos {

struct Meter::Command {
	rt::Text name;
	rt::Text usage; /* of its arguments */
	u32 least, most; /* how many */
	Result<void> (Meter::*run)(unsigned argc, char **argv, Reply &reply);
};

/* Ranges come in pairs, as many as a message has room for. */
constinit const Meter::Command Meter::commands[] = {
	{"object", "OBJECT [histograms]", 1, 2, &Meter::add_object},
	{"ranges", "OBJECT [FIRST SECTORS]...", 1, ~u32{0}, &Meter::set_ranges},
	{"set", "BASE64", 1, 1, &Meter::replace_all},
	{"budget", "BUDGET [NAME=NUMBER]...", 1, 32, &Meter::set_budget},
	{"attach", "OBJECT BUDGET", 2, 2, &Meter::attach},
	{"detach", "OBJECT", 1, 1, &Meter::detach},
	{"stats", "OBJECT", 1, 1, &Meter::stats},
	{"table", "FIRST COUNT", 2, 2, &Meter::table},
	{"histogram", "OBJECT read|write|other|queue", 2, 2, &Meter::histogram},
	{"heat", "SHIFT|off", 1, 1, &Meter::set_heat},
	{"cells", "FIRST COUNT", 2, 2, &Meter::cells},
	{"show", "SECTOR", 1, 1, &Meter::show},
};

using block::number_of;
using block::text_of;

static constexpr rt::Text who = "corbel-qos";

Result<void> Meter::message(unsigned argc, char **argv, Reply &reply)
{
	const rt::MutexGuard guard(mutex_);
	const Command *command = block::find_command(commands, who, argc, argv, reply);

	if (!command)
		return Error::invalid;
	const auto done = (this->*command->run)(argc - 1, argv + 1, reply);
	if (!done.ok() && done.error() == Error::invalid && !reply.size())
		block::tell_usage(*command, who, reply);
	return done;
}

Result<corbel_workload *> Meter::existing(u64 number) const
{
	corbel_workload *workload =
		number < max_objects ? find({static_cast<u32>(number)}) : nullptr;

	return workload ? Result<corbel_workload *>(workload) : Error::not_found;
}

Result<Budget *> Meter::existing_budget(u64 number) const
{
	Budget *budget = number < max_budgets ? budgets_[number] : nullptr;

	return budget ? Result<Budget *>(budget) : Error::not_found;
}

Result<void> Meter::add_object(unsigned argc, char **argv, Reply &)
{
	const u64 number = CORBEL_TRY(number_of(text_of(argv[0])));
	const bool detailed = argc > 1;

	if (detailed && !(text_of(argv[1]) == rt::Text("histograms")))
		return Error::invalid;
	if (number >= max_objects)
		return Error::range;
	(void)CORBEL_TRY(make({static_cast<u32>(number)},
			      detailed ? Counters::Detail::histograms : Counters::Detail::counts));
	return {};
}

namespace {

struct Setting {
	rt::Text name;
	void (*set)(Policy &policy, u64 value);
};

template <Limited which>
void set_rate(Policy &policy, u64 value)
{
	policy.limit(which).rate = value;
}
template <Limited which>
void set_burst(Policy &policy, u64 value)
{
	policy.limit(which).burst = value;
}

constexpr Setting settings[] = {
	{"read_ios", set_rate<Limited::read_ios>},
	{"write_ios", set_rate<Limited::write_ios>},
	{"ios", set_rate<Limited::ios>},
	{"read_bytes", set_rate<Limited::read_bytes>},
	{"write_bytes", set_rate<Limited::write_bytes>},
	{"bytes", set_rate<Limited::bytes>},
	{"read_ios_burst", set_burst<Limited::read_ios>},
	{"write_ios_burst", set_burst<Limited::write_ios>},
	{"ios_burst", set_burst<Limited::ios>},
	{"read_bytes_burst", set_burst<Limited::read_bytes>},
	{"write_bytes_burst", set_burst<Limited::write_bytes>},
	{"bytes_burst", set_burst<Limited::bytes>},
	{"floor", [](Policy &policy, u64 value) { policy.floor = value; }},
	{"weight",
	 [](Policy &policy, u64 value) {
		 policy.weight = value > Policy::max_weight ? 0 : static_cast<u32>(value);
	 }},
	{"class",
	 [](Policy &policy, u64 value) {
		 policy.priority = static_cast<Class>(value < classes ? value : classes);
	 }},
	{"latency_us",
	 [](Policy &policy, u64 value) {
		 policy.latency_target = value < never / 1000 ? value * 1000 : never;
	 }},
};

} /* namespace */

/* All of the policy is replaced: what is not named is as of a new one. */
Result<void> Meter::set_budget(unsigned argc, char **argv, Reply &reply)
{
	const u64 number = CORBEL_TRY(number_of(text_of(argv[0])));
	Policy policy{};

	if (number >= max_budgets)
		return Error::range;
	for (unsigned i = 1; i < argc; i++) {
		const rt::Text text = text_of(argv[i]);
		const std::size_t name = text.find('=');
		const Setting *found = nullptr;

		for (const Setting &setting : settings)
			if (setting.name == text.first(name))
				found = &setting;
		if (!found || name == text.size()) {
			reply << "corbel-qos: '" << text << "' is none of NAME=NUMBER with:";
			for (const Setting &setting : settings)
				reply << " " << setting.name;
			return Error::invalid;
		}
		found->set(policy, CORBEL_TRY(number_of(text.after(name + 1))));
	}
	if (!policy.check().ok()) {
		reply << "corbel-qos: a weight is 1 to 1000, a class 0 to 2, a burst of a limit, a "
			 "floor not above ios";
		return Error::invalid;
	}
	if (!budgets_[number]) {
		auto box = CORBEL_TRY(rt::Box<Budget>::make(rt::Context::task));
		const u64 flags = lock_.lock();
		const auto added = scheduler_.add(*box, policy, corbel_monotonic_ns());
		lock_.unlock(flags);
		CORBEL_TRY(added);
		budgets_[number] = box.release();
		budget_count_++;
		return {};
	}
	const u64 flags = lock_.lock();
	const auto set = scheduler_.set_policy(*budgets_[number], policy, corbel_monotonic_ns());
	lock_.unlock(flags);
	corbel_meter_run_at(shim_, 0);
	return set;
}

Result<void> Meter::attach(unsigned, char **argv, Reply &)
{
	const u64 number = CORBEL_TRY(number_of(text_of(argv[0])));
	corbel_workload *workload = CORBEL_TRY(existing(number));
	Budget *budget = CORBEL_TRY(existing_budget(CORBEL_TRY(number_of(text_of(argv[1])))));

	/* Journals and metadata of all wait for nobody. */
	if (number == rest.value)
		return Error::permission;
	const u64 flags = lock_.lock();
	scheduler_.attach(workload->object, *budget, corbel_monotonic_ns());
	lock_.unlock(flags);
	corbel_meter_run_at(shim_, 0);
	return {};
}

Result<void> Meter::detach(unsigned, char **argv, Reply &)
{
	corbel_workload *workload = CORBEL_TRY(existing(CORBEL_TRY(number_of(text_of(argv[0])))));

	const u64 flags = lock_.lock();
	IoChain waited;
	if (workload->object.budget)
		waited = scheduler_.detach(workload->object, corbel_monotonic_ns());
	lock_.unlock(flags);
	for (Io *io = waited.first(); io; io = io->next)
		reinterpret_cast<corbel_meter_io *>(io)->is_scheduled = false;
	go(waited);
	return {};
}

/* Objects, ranges, budgets, bytes of the map, I/Os at the device that the scheduler knows of. */
void Meter::status(Reply &reply)
{
	const rt::MutexGuard guard(mutex_);

	reply << u64{objects_} << " " << u64{map_.current().ranges()} << " " << u64{budget_count_}
	      << " " << map_.current().bytes() << " " << u64{scheduler_.in_flight()};
}

} /* namespace corbel::qos */
