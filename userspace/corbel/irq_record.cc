// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * irq_record.cc - from the event ring to a file.
 *
 * The ring drops records when this program is too slow for it, and counts them.
 * That count is part of the result: on stderr always, in the file as its last
 * line (JSON), and in the exit code.
 */
#include "event_text.hh"
#include "output_file.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "table.hh"
#include "verb.hh"
#include "wakeup.hh"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <algorithm>
#include <iterator>
#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
	std::string target;
	std::string output = "-";
	std::string events = all_events;
	std::string format = "json";
	double duration_s = 0; /* 0: until it is ended */
	std::uint32_t order = 16;
	bool allow_loss = false;
	bool quiet = false;
	bool json = false;
};

/* A line of progress: in place on a terminal, now and then elsewhere. */
class Progress {
public:
	explicit Progress(bool quiet)
		: quiet_(quiet),
		  in_place_(::isatty(STDERR_FILENO) == 1),
		  step_(in_place_ ? 1 : 10),
		  next_(Clock::now() + step_)
	{}

	[[nodiscard]] Clock::time_point next() const { return next_; }

	void show(const RingTotals &totals)
	{
		if (Clock::now() < next_)
			return;
		next_ = Clock::now() + step_;
		if (quiet_)
			return;
		fmt::print(stderr, "{}{} written, {} lost{}",
			   in_place_ ? "\r" : "corbel: ", show_number_of(totals.read, "record"),
			   totals.lost, in_place_ ? "\x1b[K" : " so far\n");
		shown_ = true;
	}

	void finish() const
	{
		if (shown_ && in_place_)
			fmt::print(stderr, "\r\x1b[K");
	}

private:
	bool quiet_;
	bool in_place_;
	std::chrono::seconds step_;
	Clock::time_point next_;
	bool shown_ = false;
};

enum class Ending { duration, signal, vm_ended };

const char *name_of(Ending ending)
{
	switch (ending) {
	case Ending::duration:
		return "duration";
	case Ending::signal:
		return "signal";
	case Ending::vm_ended:
		return "vm_ended";
	}
	return "unknown";
}

struct Summary {
	std::uint64_t produced;
	std::uint64_t written;
	std::uint64_t unwritten;
	std::uint64_t lost;
};

class Recorder {
public:
	Recorder(Ring ring, OutputFile output, EventWriter writer)
		: ring_(std::move(ring)), output_(std::move(output)), writer_(writer)
	{
		writer_.begin(output_.buffer());
	}

	/* One moment, so that produced = written + unwritten + lost holds. */
	[[nodiscard]] Summary summarize() const
	{
		auto totals = ring_.totals();

		return {totals.head + totals.lost, written_, totals.head - written_, totals.lost};
	}

	/* Takes what is complete now, up to the record with index @until. */
	[[nodiscard]] Result<std::uint64_t> drain(std::uint64_t until)
	{
		std::uint64_t taken = 0;

		while (ring_.totals().read < until) {
			auto event = ring_.next();

			if (!event)
				break;
			writer_.append(output_.buffer(), *event);
			taken++;
			if (output_.is_large())
				CORBEL_EXPECT(write());
		}
		CORBEL_EXPECT(write());
		return taken;
	}

	[[nodiscard]] Result<Ending> run(Waiter &waiter, Progress &progress,
					 Clock::time_point deadline)
	{
		for (;;) {
			bool ended = ring_.ended();
			auto head = ring_.totals().head;
			auto taken = CORBEL_EXPECT(drain(head));

			progress.show(ring_.totals());
			/* Looked at before draining: nothing came after it was set. */
			if (ended && ring_.totals().read == head)
				return Ending::vm_ended;

			/* Unread but incomplete: poll(2) would answer at once, so pause. */
			bool stuck = taken == 0 && ring_.totals().head != ring_.totals().read;
			auto moment = std::min(deadline, progress.next());
			if (stuck)
				moment = std::min(moment,
						  Clock::now() + std::chrono::milliseconds(1));
			auto wakeup = waiter.wait_until(moment, stuck ? -1 : ring_.fd());

			if (wakeup == Wakeup::suspend)
				::raise(SIGSTOP);
			if (wakeup == Wakeup::quit || Clock::now() >= deadline) {
				CORBEL_EXPECT(drain(ring_.totals().head));
				return wakeup == Wakeup::quit ? Ending::signal : Ending::duration;
			}
		}
	}

	[[nodiscard]] Result<void> append_line(std::string_view line)
	{
		output_.buffer() += line;
		return output_.write();
	}

private:
	[[nodiscard]] Result<void> write()
	{
		CORBEL_EXPECT(output_.write());
		written_ = ring_.totals().read;
		return {};
	}

	Ring ring_;
	OutputFile output_;
	EventWriter writer_;
	std::uint64_t written_ = 0;
};

std::string json_line(const Summary &summary, Clock::duration took, Ending ending)
{
	return fmt::format(R"({{"type":"totals","produced":{},"written":{},"unwritten":{},)"
			   R"("lost":{},"duration_ns":{},"ended_by":"{}"}})"
			   "\n",
			   summary.produced, summary.written, summary.unwritten, summary.lost,
			   std::chrono::nanoseconds(took).count(), name_of(ending));
}

void print_summary(const Session &session, const Summary &summary, Clock::duration took,
		   const char *why)
{
	auto seconds = std::chrono::duration<double>(took).count();

	fmt::print(stderr, "corbel: {}: {} produced in {:.1f} s, {} written, {} lost",
		   printable(session.label()), show_number_of(summary.produced, "record"), seconds,
		   summary.written, summary.lost);
	if (summary.unwritten)
		fmt::print(stderr, ", {} not written", summary.unwritten);
	fmt::print(stderr, " (ended by: {})\n", why);
	if (summary.lost)
		fmt::print(stderr, "corbel: Records were lost because the ring was full: use a "
				   "larger --order, fewer --events, or a faster output.\n");
}

Result<ExitCode> record(const Options &options)
{
	auto events = CORBEL_EXPECT(parse_events(options.events));
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(open_session(device, options.target));
	auto irq = CORBEL_EXPECT(session.vm.irq());
	auto info = CORBEL_EXPECT(irq.info());
	auto output = CORBEL_EXPECT(OutputFile::open(options.output));
	auto waiter = CORBEL_EXPECT(Waiter::make(false));
	const bool json = options.format == "json";
	Recorder recorder(CORBEL_EXPECT(irq.ring(options.order, events)), std::move(output),
			  EventWriter(json ? EventFormat::json : EventFormat::csv, info.tsc_khz));
	Progress progress(options.quiet);
	auto start = Clock::now();
	auto deadline = options.duration_s > 0
				? start + std::chrono::duration_cast<Clock::duration>(
						  std::chrono::duration<double>(options.duration_s))
				: Clock::time_point::max();

	auto ending = recorder.run(waiter, progress, deadline);
	progress.finish();
	auto took = Clock::now() - start;
	auto summary = recorder.summarize();

	if (ending && json)
		CORBEL_EXPECT(recorder.append_line(json_line(summary, took, *ending)));
	print_summary(session, summary, took, ending ? name_of(*ending) : "output");
	/* `| head` has what it wanted. */
	if (!ending && ending.error().number != EPIPE)
		return std::unexpected(ending.error());
	return summary.lost && !options.allow_loss ? ExitCode::partial : ExitCode::ok;
}

Json describe()
{
	namespace s = schema;
	const auto event = [](std::string_view type, std::vector<s::Key> more) {
		std::vector<s::Key> keys{{"type", s::constant(type)},
					 {"seq", s::count("no number is left out")},
					 {"time_ns", s::count("since the first one")},
					 {"tsc_ticks", s::count()},
					 {"vcpu", s::count()},
					 {"loss_before", s::boolean(), true}};

		std::ranges::move(more, std::back_inserter(keys));
		return s::object(keys);
	};
	const s::Key vector{"vector", s::count()};
	const s::Key path{"path", s::one_of_words({"device", "ipi", "local"})};

	return s::any_of({event("accept", {vector, path, {"coalesced", s::boolean()}}),
			  event("inject", {vector, {"latency_ns", s::nullable(s::count())}}),
			  event("drop", {vector, path}), event("resync", {}),
			  event("vcpu", {{"vcpu_id", s::count("of a vCPU that is new")}}),
			  s::object({{"type", s::constant("totals")},
				     {"produced", s::count()},
				     {"written", s::count()},
				     {"unwritten", s::count()},
				     {"lost", s::count()},
				     {"duration_ns", s::count()},
				     {"ended_by", s::string()}})});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.text("-o,--output", options->output, "FILE",
		 "File, or - for standard output (default)");
	set.number("--duration", options->duration_s, {0.001, 1e9, "s"}, "S",
		   "End after so many seconds");
	set.number("--order", options->order, {CORBEL_RING_MIN_ORDER, CORBEL_RING_MAX_ORDER}, "N",
		   "The ring holds 2^N records of 32 bytes, 2^16 by default");
	set.text("--events", options->events, "LIST",
		 std::string("Kinds of events, all by default: ") + all_events,
		 [](const std::string &list) -> Result<void> {
			 CORBEL_EXPECT(parse_events(list));
			 return {};
		 });
	set.choice("--format", options->format, {"json", "csv"}, "NAME",
		   "json (a line each, default) or csv");
	set.flag("--json", options->json, "The same as --format json");
	set.flag("--allow-loss", options->allow_loss, "Lost records are no partial result");
	set.flag("--quiet", options->quiet, "No progress on stderr, only the totals");
	return [options] {
		if (options->json && options->format == "csv") {
			fmt::print(stderr, "corbel: --json and --format csv exclude each other.\n");
			return ExitCode::usage;
		}
		return exit_code_of(record(*options));
	};
}

} /* namespace */

const Verb irq_record_verb{
	.group = "irq",
	.name = "record",
	.summary = "Write every interrupt event of a virtual machine to a file",
	.examples = "corbel irq record web1 -o web1.jsonl --duration 10   ten seconds\n"
		    "corbel irq record web1 --events inject --format csv  latencies, as CSV\n"
		    "corbel irq record web1 --order 20 -o all.jsonl       until Ctrl-C, large ring",
	.exit_codes = "3: records were lost\n(unless --allow-loss).",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::lines,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
