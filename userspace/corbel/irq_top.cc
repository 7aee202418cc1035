// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * irq_top.cc - the live view.
 *
 * A frame is what happened since the frame before it. On a terminal it replaces
 * the last one, elsewhere frames follow each other. When the VM ends the counts
 * are still readable, so the view closes with the totals.
 */
#include "irq_json.hh"
#include "irq_text.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "terminal.hh"
#include "verb.hh"
#include "wakeup.hh"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::system_clock;

struct Options {
	std::string target;
	double interval_s = 2;
	std::uint64_t count = 0; /* 0: until it is ended */
	bool once = false;
	bool json = false;
};

/* Where frames go. Each function returns false once nobody reads them. */
class Screen {
public:
	Screen(const Options &options, std::string label)
		: json_(options.json),
		  label_(std::move(label)),
		  lasting_(!options.json && !options.once && ::isatty(STDOUT_FILENO) == 1)
	{
		if (lasting_)
			terminal_.emplace();
	}

	[[nodiscard]] bool live() const { return lasting_; }
	void stop_here()
	{
		if (terminal_)
			terminal_->stop_here();
		else
			::raise(SIGSTOP);
	}

	[[nodiscard]] bool frame(const Activity &activity)
	{
		auto now = show_time(system_clock::now());

		if (json_)
			return put_json({{"event", "frame"}, {"time", now}}, activity);
		auto seconds = std::chrono::duration<double>(activity.interval).count();
		auto headline = fmt::format("{}  {}  {}  over {:.1f} s{}", printable(label_),
					    show_number_of(activity.info.nr_vcpus, "vCPU"), now,
					    seconds, lasting_ ? "  (q ends)" : "");
		if (terminal_)
			return terminal_->draw(show_activity(activity, headline, Terminal::size()));
		return put_text(show_activity(activity, headline));
	}

	/* On the ordinary screen, so that it is still there afterwards. */
	[[nodiscard]] bool ended(const Activity &totals)
	{
		auto now = show_time(system_clock::now());

		terminal_.reset();
		if (json_)
			return put_json({{"event", "vm_ended"}, {"time", now}}, totals);
		Room room;
		/* A screenful, with the prompt below it, so that no line scrolls off. */
		if (lasting_) {
			room = Terminal::size();
			room.height -= std::min<std::size_t>(room.height, 2);
		}
		return put_text(show_activity(
			totals, fmt::format("{}: VM ended at {}, totals:", printable(label_), now),
			room));
	}

private:
	[[nodiscard]] bool put_json(Json json, const Activity &activity)
	{
		json["irq"] = json_of(activity);
		return put(dump(json) + "\n");
	}

	[[nodiscard]] bool put_text(const std::vector<Line> &lines)
	{
		std::string text;

		for (const auto &line : lines)
			text += line.text + "\n";
		return put(text + "\n");
	}

	[[nodiscard]] static bool put(const std::string &text)
	{
		return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
		       std::fflush(stdout) == 0;
	}

	bool json_;
	std::string label_;
	bool lasting_;
	std::optional<Terminal> terminal_;
};

enum class Pause { over, quit, vm_ended };

/* Waits for the next frame. Looks more often once the guest's process is gone. */
class Pacer {
public:
	Pacer(Waiter waiter, const Irq &irq, int process)
		: waiter_(std::move(waiter)), irq_(irq), process_(process)
	{}

	[[nodiscard]] Result<Pause> pause_until(Clock::time_point moment, Screen &screen,
						const Activity *shown)
	{
		for (;;) {
			auto next = moment;

			if (process_gone_)
				next = std::min(next, Clock::now() + ending_step);
			switch (waiter_.wait_until(next, process_gone_ ? -1 : process_)) {
			case Wakeup::quit:
				return Pause::quit;
			case Wakeup::suspend:
				screen.stop_here();
				[[fallthrough]];
			case Wakeup::resized:
				if (shown && screen.live() && !screen.frame(*shown))
					return Pause::quit;
				break;
			case Wakeup::ready:
				process_gone_ = true;
				break;
			case Wakeup::time:
				break;
			}
			if (CORBEL_EXPECT(irq_.info()).ended)
				return Pause::vm_ended;
			if (Clock::now() >= moment)
				return Pause::over;
		}
	}

private:
	static constexpr std::chrono::milliseconds ending_step{20};

	Waiter waiter_;
	const Irq &irq_;
	int process_;
	bool process_gone_ = false;
};

Result<void> watch(const Options &options)
{
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(open_session(device, options.target));
	auto irq = CORBEL_EXPECT(session.vm.irq());
	auto status = CORBEL_EXPECT(irq.status_page());
	auto sample = CORBEL_EXPECT(take_sample(irq, status, nullptr));
	auto interval = std::chrono::duration_cast<Clock::duration>(
		std::chrono::duration<double>(options.interval_s));
	bool keys = !options.json && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
	Pacer pacer(CORBEL_EXPECT(Waiter::make(keys)), irq, session.process.get());
	Screen screen(options, session.label());
	std::optional<Activity> shown;
	auto frames = options.once ? 1 : options.count;

	/* A person should not look at an empty screen for a whole interval. */
	auto first = Clock::duration(std::chrono::milliseconds(300));
	auto moment = Clock::now() + (screen.live() ? std::min(first, interval) : interval);

	for (std::uint64_t done = 0; frames == 0 || done < frames; done++) {
		auto pause =
			CORBEL_EXPECT(pacer.pause_until(moment, screen, shown ? &*shown : nullptr));
		if (pause == Pause::quit)
			return {};

		auto next = CORBEL_EXPECT(take_sample(irq, status, &sample));
		if (pause == Pause::vm_ended || next.info.ended) {
			(void)screen.ended(totals_of(next));
			return {};
		}
		shown = between(sample, next);
		if (!screen.frame(*shown))
			return {};
		sample = std::move(next);
		/* A frame that came late does not make the next ones hurry. */
		moment = std::max(moment + interval, Clock::now());
	}
	return {};
}

Json describe()
{
	namespace s = schema;

	return s::object({{"event", s::one_of_words({"frame", "vm_ended"})},
			  {"time", s::string("local, ISO 8601")},
			  {"irq", s::activity()}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.number("--interval", options->interval_s, {0.05, 3600, "s"}, "S",
		   "Seconds between frames, 2 by default");
	set.count("--count", options->count, "N", "End after so many frames");
	set.flag("--once", options->once, "One frame, after one interval");
	set.json(options->json);
	return [options] { return exit_code_of(watch(*options)); };
}

} /* namespace */

const Verb irq_top_verb{
	.group = "irq",
	.name = "top",
	.summary = "Watch the interrupts of a virtual machine until it ends",
	.examples = "corbel irq top web1                         live view, q ends it\n"
		    "corbel irq top web1 --interval 0.5          two frames a second\n"
		    "corbel irq top web1 --once                  one frame, as plain text\n"
		    "corbel irq top 412 --json --count 10        ten lines of JSON",
	.exit_codes = "The end of the\nvirtual machine is a success.",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::lines,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
