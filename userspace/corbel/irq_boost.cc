// SPDX-License-Identifier: GPL-2.0-or-later
#include "boost_text.hh"
#include "change.hh"
#include "irq_json.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "table.hh"
#include "verb.hh"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

/* What is not given stays as it is, or is this when boosting was off: 5 % of a CPU. */
constexpr std::uint32_t usual_priority = 1;
constexpr std::uint32_t usual_slice_us = 500;
constexpr std::uint32_t usual_budget_us = 5000;
constexpr std::uint32_t usual_period_ms = 100;

struct Options {
	std::string target;
	std::string sources;
	std::string vectors;
	std::uint32_t priority = 0; /* 0: not given; so the next three */
	std::uint32_t slice_us = 0;
	std::uint32_t budget_us = 0;
	std::uint32_t period_ms = 0;
	bool dry_run = false;
	bool json = false;
};

VectorSet vectors_in(const corbel_irq_boost &boost)
{
	VectorSet vectors;

	std::ranges::copy(boost.vectors, vectors.begin());
	return vectors;
}

Json json_of_boost(const Session &session, const corbel_irq_boost &boost, const Change &change)
{
	return {{"vm", json_of(session.info)},
		{"dry_run", change.dry_run},
		{"changed", change.changed},
		{"sources", show_sources(boost.sources)},
		{"vectors", show_vectors(vectors_in(boost))},
		{"priority", boost.priority},
		{"slice_us", boost.slice_us},
		{"budget_us", boost.budget_us},
		{"period_ms", boost.period_ms},
		{"asked", boost.asked},
		{"boosted", boost.boosted},
		{"needless", boost.needless},
		{"over_budget", boost.over_budget},
		{"refused", boost.refused},
		{"restored", boost.restored},
		{"foreign", boost.foreign},
		{"used_ns", boost.used_ns},
		{"longest_ns", boost.longest_ns}};
}

void print(const Session &session, const corbel_irq_boost &boost, const Change &change)
{
	fmt::print("{}: {}{}\n", printable(session.label()), show_sources(boost.sources),
		   sentence_of(change));
	if (boost.sources)
		fmt::print("vectors {}; SCHED_FIFO {} for {}, at most {} in {}\n",
			   show_vectors(vectors_in(boost)), boost.priority,
			   show_duration(std::uint64_t{boost.slice_us} * 1000),
			   show_duration(std::uint64_t{boost.budget_us} * 1000),
			   show_duration(std::uint64_t{boost.period_ms} * 1'000'000));
	fmt::print("{} asked for: {} boosted, {} needless, {} over budget, {} refused\n",
		   boost.asked, boost.boosted, boost.needless, boost.over_budget, boost.refused);
	fmt::print("{} set back, {} left as somebody else had set them; {} of CPU time, at most {} "
		   "in one\n",
		   boost.restored, boost.foreign, show_duration(boost.used_ns),
		   show_duration(boost.longest_ns));
}

std::uint32_t first_of(std::uint32_t given, std::uint32_t before, std::uint32_t usual)
{
	if (given)
		return given;
	return before ? before : usual;
}

/* What was set, without what came of it. */
bool same_rules(const corbel_irq_boost &one, const corbel_irq_boost &other)
{
	/* The rest means nothing while it is off. */
	if (!one.sources || !other.sources)
		return one.sources == other.sources;
	return one.sources == other.sources && one.priority == other.priority &&
	       one.slice_us == other.slice_us && one.budget_us == other.budget_us &&
	       one.period_ms == other.period_ms && std::ranges::equal(one.vectors, other.vectors);
}

corbel_irq_boost with_rules(corbel_irq_boost counts, const corbel_irq_boost &rules)
{
	counts.sources = rules.sources;
	counts.priority = rules.priority;
	counts.slice_us = rules.slice_us;
	counts.budget_us = rules.budget_us;
	counts.period_ms = rules.period_ms;
	std::ranges::copy(rules.vectors, counts.vectors);
	return counts;
}

/* What @options make of what is in force. */
Result<corbel_irq_boost> wanted(const Options &options, const corbel_irq_boost &before)
{
	corbel_irq_boost boost{};

	boost.sources = before.sources;
	if (!options.sources.empty())
		boost.sources = CORBEL_EXPECT(sources_of(options.sources));
	if (!boost.sources) {
		if (options.sources.empty())
			return failure(EINVAL, "Boosting is off: say what may ask for it, such as "
					       "`--set device,ipi`.");
		return boost;
	}
	boost.priority = first_of(options.priority, before.priority, usual_priority);
	boost.slice_us = first_of(options.slice_us, before.slice_us, usual_slice_us);
	boost.budget_us = first_of(options.budget_us, before.budget_us, usual_budget_us);
	boost.period_ms = first_of(options.period_ms, before.period_ms, usual_period_ms);
	if (boost.budget_us < boost.slice_us || boost.budget_us > boost.period_ms * 1000)
		return failure(EINVAL,
			       fmt::format("A budget of {} us in {} ms is less than a "
					   "slice of {} us, or more than there is.",
					   boost.budget_us, boost.period_ms, boost.slice_us));
	VectorSet vectors = vectors_in(before);

	if (!options.vectors.empty())
		vectors = CORBEL_EXPECT(vectors_of(options.vectors));
	else if (!before.sources)
		vectors.fill(~std::uint64_t{0});
	std::ranges::copy(vectors, boost.vectors);
	return boost;
}

Result<void> run(const Options &options)
{
	const bool changes = !options.sources.empty() || !options.vectors.empty() ||
			     options.priority || options.slice_us || options.budget_us ||
			     options.period_ms;
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(open_session(device, options.target));

	if (changes && !session.attached_before)
		return failure(ENOENT, fmt::format("{} is not attached, and boosting ends with the "
						   "attachment: `corbel vm attach {}` first.",
						   printable(session.label()), options.target));
	auto irq = CORBEL_EXPECT(session.vm.irq());
	auto boost = CORBEL_EXPECT(irq.boost());

	Change change{.dry_run = options.dry_run};

	if (changes) {
		const auto next = CORBEL_EXPECT(wanted(options, boost));

		change.changed = !same_rules(boost, next);
		boost = options.dry_run ? with_rules(boost, next)
					: CORBEL_EXPECT(irq.set_boost(next));
	}
	if (options.json)
		fmt::print("{}\n", dump(json_of_boost(session, boost, change), 2));
	else
		print(session, boost, change);
	return {};
}

template <auto Parse>
Result<void> check(const std::string &text)
{
	CORBEL_EXPECT(Parse(text));
	return {};
}

Json describe()
{
	namespace s = schema;

	return s::joined(s::object({{"vm", s::vm()},
				    {"sources", s::string("as for --set")},
				    {"vectors", s::string("as for --vectors")},
				    {"priority", s::count()},
				    {"slice_us", s::count()},
				    {"budget_us", s::count()},
				    {"period_ms", s::count()},
				    {"asked", s::count()},
				    {"boosted", s::count()},
				    {"needless", s::count("it had a CPU by then")},
				    {"over_budget", s::count()},
				    {"refused", s::count("by the scheduler")},
				    {"restored", s::count()},
				    {"foreign", s::count("left as somebody else had set them")},
				    {"used_ns", s::count()},
				    {"longest_ns", s::count()}}),
			 s::object(s::change()));
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.text("--set", options->sources, "SOURCE,...",
		 "What may ask: device, ipi, local (APIC timer and the like), dist (a "
		 "distributor's); or off",
		 check<sources_of>);
	set.text("--vectors", options->vectors, "V,V-V,...", "For these vectors alone; or all",
		 check<vectors_of>);
	set.number("--priority", options->priority, {1, CORBEL_IRQ_BOOST_MAX_PRIORITY}, "N",
		   "SCHED_FIFO priority of a boosted vCPU (1)");
	set.number("--slice-us", options->slice_us,
		   {CORBEL_IRQ_BOOST_MIN_SLICE_US, CORBEL_IRQ_BOOST_MAX_SLICE_US, "us"}, "US",
		   "How long one boost lasts (500)");
	set.number("--budget-us", options->budget_us,
		   {CORBEL_IRQ_BOOST_MIN_SLICE_US, CORBEL_IRQ_BOOST_MAX_PERIOD_MS * 1000, "us"},
		   "US", "CPU time of all boosts together in a period (5000)");
	set.number("--period-ms", options->period_ms,
		   {CORBEL_IRQ_BOOST_MIN_PERIOD_MS, CORBEL_IRQ_BOOST_MAX_PERIOD_MS, "ms"}, "MS",
		   "The period (100)");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options] { return exit_code_of(run(*options)); };
}

} /* namespace */

const Verb irq_boost_verb{
	.group = "irq",
	.name = "boost",
	.summary = "A CPU at once for vCPUs that have lost theirs and get an interrupt",
	.examples =
		"corbel irq boost web1                          what is in force, and what came "
		"of it\n"
		"corbel irq boost web1 --set device             for interrupts of devices, at "
		"most 5 % of a CPU\n"
		"corbel irq boost web1 --budget-us 2000         at most 2 %\n"
		"corbel irq boost web1 --set off                no more; all are set back",
	.effect = Effect::change,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
