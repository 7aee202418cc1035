// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qos_top.cc - the live view of a LUN.
 *
 * A frame is what happened since the frame before it; what `qos show` answers is what it is
 * made of. On a terminal it replaces the last one, elsewhere frames follow each other.
 */
#include "argument_values.hh"
#include "daemon_call.hh"
#include "irq_text.hh"
#include "pool_text.hh"
#include "qos_rates.hh"
#include "qos_text.hh"
#include "quantity.hh"
#include "schema.hh"
#include "terminal.hh"
#include "verb.hh"
#include "wakeup.hh"

#include "../rpc/controller_client.hh"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::cli {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct Options {
	std::string lun;
	double interval_s = 2;
	std::uint64_t count = 0; /* 0: until it is ended */
	bool json = false;
};

struct Sample {
	Clock::time_point taken;
	Json objects;
};

Result<Sample> take(const std::string &lun)
{
	Sample sample;
	std::optional<Json> whole;

	CORBEL_EXPECT(rpc::call(
		qos_show_verb.words(), {{"lun", lun}, {"histograms", true}},
		[&](const Json &answer) {
			add_piece(whole, answer);
			return true;
		},
		60s));
	if (!whole)
		return failure(EPROTO, "The daemon answered with nothing.");
	sample.objects = std::move(whole->at("objects"));
	sample.taken = Clock::now();
	return sample;
}

/* False once nobody reads it. */
bool put(const std::string &text)
{
	return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
	       std::fflush(stdout) == 0;
}

class Screen {
public:
	explicit Screen(const Options &options) : options_(options)
	{
		if (!options.json && ::isatty(STDOUT_FILENO) == 1)
			terminal_.emplace();
	}

	[[nodiscard]] bool live() const { return terminal_.has_value(); }
	void stop_here()
	{
		if (terminal_)
			terminal_->stop_here();
		else
			::raise(SIGSTOP);
	}

	[[nodiscard]] bool frame(const Json &rates, double seconds)
	{
		const auto now = show_time(std::chrono::system_clock::now());

		if (options_.json)
			return put(dump(Json{{"time", now},
					     {"lun", options_.lun},
					     {"seconds", seconds},
					     {"objects", rates}}) +
				   "\n");
		const auto headline = fmt::format("{}  {}  over {:.1f} s{}", options_.lun, now,
						  seconds, live() ? "  (q ends)" : "");
		if (terminal_)
			return terminal_->draw(show_rates(rates, headline, Terminal::size()));
		std::string text;
		for (const auto &line : show_rates(rates, headline))
			text += line.text + "\n";
		return put(text + "\n");
	}

private:
	const Options &options_;
	std::optional<Terminal> terminal_;
};

/* False: that was all. */
bool pause_until(Waiter &waiter, Clock::time_point moment, Screen &screen,
		 const std::function<bool()> &redraw)
{
	for (;;)
		switch (waiter.wait_until(moment)) {
		case Wakeup::quit:
			return false;
		case Wakeup::suspend:
			screen.stop_here();
			[[fallthrough]];
		case Wakeup::resized:
			if (screen.live() && !redraw())
				return false;
			break;
		case Wakeup::ready:
		case Wakeup::time:
			return true;
		}
}

Result<void> watch(const Options &options)
{
	const bool keys =
		!options.json && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
	auto waiter = CORBEL_EXPECT(Waiter::make(keys));
	auto sample = CORBEL_EXPECT(take(options.lun));
	const auto interval = std::chrono::duration_cast<Clock::duration>(
		std::chrono::duration<double>(options.interval_s));
	Screen screen(options);
	Json shown;
	double seconds = 0;
	/* A person should not look at an empty screen for a whole interval. */
	auto moment = sample.taken +
		      (screen.live() ? std::min<Clock::duration>(300ms, interval) : interval);

	for (std::uint64_t done = 0; options.count == 0 || done < options.count; done++) {
		if (!pause_until(waiter, moment, screen,
				 [&] { return shown.is_null() || screen.frame(shown, seconds); }))
			return {};
		auto next = CORBEL_EXPECT(take(options.lun));
		seconds = std::chrono::duration<double>(next.taken - sample.taken).count();
		shown = rates_between(sample.objects, next.objects, seconds);
		if (!screen.frame(shown, seconds))
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

	return s::object({{"time", s::string("UTC, ISO 8601")},
			  {"lun", s::string()},
			  {"seconds", s::real("that this is about")},
			  {"objects", s::array(rates_schema())}});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	declare_lun(set, options->lun);
	set.number("--interval", options->interval_s, {0.05, 3600, "s"}, "S",
		   "Seconds between frames, 2 by default");
	set.count("--count", options->count, "N", "End after so many frames");
	set.json(options->json);
	return [options] { return exit_code_of(watch(*options)); };
}

} /* namespace */

const Verb qos_top_verb{
	.group = "qos",
	.name = "top",
	.summary = "Watch what the objects of a LUN do, and what holds them back",
	.examples = "corbel qos top lun0                       live view, q ends it\n"
		    "corbel qos top lun0 --interval 0.5        two frames a second\n"
		    "corbel qos top lun0 --json --count 10     ten lines of JSON\n",
	.effect = Effect::read,
	.repeat = Repeat::harmless,
	.output = Output::lines,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
