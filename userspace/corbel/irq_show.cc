// SPDX-License-Identifier: GPL-2.0-or-later
#include "irq_json.hh"
#include "irq_text.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "verb.hh"

#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

struct Options {
	std::string target;
	bool json = false;
};

std::string headline_of(const Session &session, const Activity &activity)
{
	return fmt::format("{}: {}, {} observed, {} since it was first observed",
			   printable(session.label()), activity.info.ended ? "ended" : "live",
			   show_number_of(activity.info.nr_vcpus, "vCPU"),
			   show_number_of(activity.info.resyncs, "resync"));
}

Result<void> show(const Options &options)
{
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(open_session(device, options.target));
	auto irq = CORBEL_EXPECT(session.vm.irq());
	auto status = CORBEL_EXPECT(irq.status_page());
	auto activity = totals_of(CORBEL_EXPECT(take_sample(irq, status, nullptr)));
	bool observed_before = (session.info.features & CORBEL_FEATURE_IRQ) != 0;

	if (options.json) {
		Json json{{"name", session.name.empty() ? Json(nullptr) : Json(session.name)},
			  {"attached_before", session.attached_before},
			  {"observed_before", observed_before}};

		json["vm"] = json_of(session.info);
		json["irq"] = json_of(activity);
		fmt::print("{}\n", dump(json, 2));
		return {};
	}
	for (const auto &line : show_activity(activity, headline_of(session, activity)))
		fmt::print("{}\n", line.text);
	if (!observed_before)
		fmt::print("\nNobody observed this VM before, so the counts begin just now: "
			   "`corbel vm attach` lets them grow.\n");
	return {};
}

Json describe()
{
	namespace s = schema;

	return s::object({{"name", s::nullable(s::string())},
			  {"attached_before", s::boolean()},
			  {"observed_before", s::boolean()},
			  {"vm", s::vm()},
			  {"irq", s::activity()}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.json(options->json);
	return [options] { return exit_code_of(show(*options)); };
}

} /* namespace */

const Verb irq_show_verb{
	.group = "irq",
	.name = "show",
	.summary = "Pending records, counts and latencies of a virtual machine, once",
	.examples = "corbel irq show web1         totals since it was attached\n"
		    "corbel irq show 412 --json   the same for scripts",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::object,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
