// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * irq_balance.cc - moves a Linux guest's interrupts away from vCPUs that get no CPU.
 *
 * Such a guest gives each interrupt one target, so it has to choose another one itself:
 * the agent in it is asked to. What to move is decided in balance.hh. Whatever ends this,
 * the agent puts back what was moved; here it is only told earlier, to hear of it.
 */
#include "balance.hh"
#include "irq_json.hh"
#include "quantity.hh"
#include "schema.hh"
#include "session.hh"
#include "table.hh"
#include "vcpu_load.hh"
#include "verb.hh"
#include "wakeup.hh"

#include <agent/client.hh>

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

using Clock = Balance::Clock;
using std::chrono::system_clock;

struct Options {
	std::string target;
	double interval_s = 1;
	std::uint32_t budget = 6;
	std::uint32_t threshold = 30;
	std::uint64_t count = 0; /* 0: until it is ended */
	bool keep = false;
	bool dry_run = false;
	bool json = false;
};

std::string list_of(const agent::CpuSet &cpus)
{
	return cpus.list();
}

/* What is done, line by line as it happens. */
class Report {
public:
	Report(const Options &options, const Session &session)
		: options_(options), label_(printable(session.label()))
	{}

	void start(const Session &session, const agent::HelloReply &guest,
		   std::span<const agent::GuestIrq> irqs) const
	{
		auto list = Json::array();

		for (const auto &irq : irqs)
			list.push_back({{"irq", irq.number},
					{"name", irq.name},
					{"movable", irq.movable},
					{"cpus", list_of(irq.affinity)},
					{"effective_cpus", list_of(irq.effective)}});
		put({{"event", "start"},
		     {"vm", json_of(session.info)},
		     {"agent", guest.program},
		     {"kernel", guest.kernel},
		     {"cpus", guest.online.size()},
		     {"irqs", std::move(list)}},
		    fmt::format("{}: agent {}, Linux {}, {}, {}; starved above {} %, at most {} a "
				"minute{}",
				label_, guest.program, guest.kernel,
				show_number_of(guest.online.size(), "CPU"),
				show_number_of(irqs.size(), "interrupt"), options_.threshold,
				show_number_of(options_.budget, "move"),
				options_.dry_run ? " (would be: nothing is changed)" : ""));
	}

	void changed(const CpuChange &change) const
	{
		put({{"event", change.starved ? "starved" : "well"},
		     {"cpu", change.cpu},
		     {"waiting_share", change.waiting}},
		    fmt::format("CPU {} is {}: its vCPU waited for a CPU {:.0f} % of the time",
				change.cpu, change.starved ? "starved" : "well again",
				change.waiting * 100));
	}

	void moved(const Move &move, const agent::GuestIrq &irq,
		   const std::optional<agent::MoveReply> &made) const
	{
		put(with_move(options_.dry_run ? "would_move" : "moved", move, irq,
			      {{"effective_cpus",
				made ? Json(list_of(made->effective)) : Json(nullptr)}}),
		    fmt::format("interrupt {} ({}) {}from CPU {} to {}", move.irq, irq.name,
				options_.dry_run ? "would go " : "", move.from, move.to));
	}

	void refused(const Move &move, const agent::GuestIrq &irq, const Error &error) const
	{
		put(with_move("refused", move, irq, {{"error", error.sentence}}),
		    fmt::format("interrupt {} ({}) stays on CPU {}: {}", move.irq, irq.name,
				move.from, error.sentence));
	}

	void end(const Json &totals, const std::string &text) const { put(totals, text); }

	/* Whether anybody reads it. */
	[[nodiscard]] bool read() const { return read_; }

private:
	static Json with_move(const char *event, const Move &move, const agent::GuestIrq &irq,
			      const Json &more)
	{
		Json json{{"event", event},
			  {"irq", move.irq},
			  {"name", irq.name},
			  {"from", move.from},
			  {"to", move.to}};

		json.update(more);
		return json;
	}

	void put(Json json, const std::string &text) const
	{
		const auto now = show_time(system_clock::now());

		json["time"] = now;
		if (options_.json)
			fmt::print("{}\n", dump(json));
		else
			fmt::print("{}  {}\n", now, text);
		read_ = std::fflush(stdout) == 0 && read_;
	}

	const Options &options_;
	std::string label_;
	mutable bool read_ = true;
};

/* The loads of the guest's CPUs, from one call to the next. */
class Watch {
public:
	Watch(const Irq &irq, pid_t pid, VcpuThreads threads, std::span<const agent::Cpu> cpus)
		: irq_(irq), pid_(pid), threads_(std::move(threads))
	{
		for (const auto &cpu : cpus)
			cpus_[cpu.apic_id] = cpu.number;
	}

	/* Of those CPUs of the guest that are known by both sides. */
	[[nodiscard]] Result<std::vector<CpuLoad>> take(std::uint32_t nr_vcpus)
	{
		const auto now = Clock::now();
		std::map<std::uint32_t, ThreadTimes> times;
		std::vector<CpuLoad> loads;

		for (std::uint32_t i = 0; i < nr_vcpus; i++) {
			const auto vcpu = irq_.vcpu(i);
			/* Not observed yet, or without a thread that we know. */
			if (!vcpu || !threads_.contains(vcpu->vcpu_id) ||
			    !cpus_.contains(vcpu->vcpu_id))
				continue;
			const auto id = vcpu->vcpu_id;
			times[id] = CORBEL_EXPECT(times_of(pid_, threads_.at(id)));
			if (!before_.contains(id))
				continue;
			const auto shares = shares_of(before_.at(id), times[id], now - taken_,
						      vcpu->residency == CORBEL_RES_PREEMPTED);
			loads.push_back({cpus_.at(id), shares.running, shares.waiting});
		}
		if (times.empty())
			return failure(ENODEV,
				       "No vCPU of this host is a CPU that the agent in the guest "
				       "knows: their APIC ids differ.");
		before_ = std::move(times);
		taken_ = now;
		return loads;
	}

private:
	const Irq &irq_;
	pid_t pid_;
	VcpuThreads threads_;
	std::map<std::uint32_t, std::uint16_t> cpus_; /* by APIC id */
	std::map<std::uint32_t, ThreadTimes> before_;
	Clock::time_point taken_;
};

struct Totals {
	std::uint64_t intervals = 0;
	std::uint64_t moves = 0;
	std::uint64_t refused = 0;
	std::uint64_t over_budget = 0;
	agent::RestoreReply put_back;
	std::map<std::uint32_t, std::string> moved; /* and where they were */
};

/* One interval. An error is that of the guest or its agent: there is no going on. */
Result<void> balance_once(const Options &options, agent::Client &client, Balance &balance,
			  std::span<const CpuLoad> loads, const Report &report, Totals &totals)
{
	const auto irqs = CORBEL_EXPECT(client.irqs());
	const auto step = balance.step(Clock::now(), loads, irqs);

	totals.intervals++;
	totals.over_budget += step.over_budget;
	for (const auto &change : step.changes)
		report.changed(change);
	for (const auto &move : step.moves) {
		const auto &irq = *std::ranges::find(irqs, move.irq, &agent::GuestIrq::number);
		std::optional<agent::MoveReply> made;

		if (!options.dry_run) {
			auto answer = client.move(move.irq, agent::CpuSet::of(move.to));

			if (!answer && client.broken())
				return std::unexpected(answer.error());
			if (!answer) {
				balance.failed(move.irq, Clock::now(),
					       answer.error().number == EPERM);
				report.refused(move, irq, answer.error());
				totals.refused++;
				continue;
			}
			made = std::move(*answer);
			totals.moved.try_emplace(move.irq, list_of(irq.affinity));
		}
		balance.moved(move.irq, Clock::now());
		report.moved(move, irq, made);
		totals.moves++;
	}
	return {};
}

Result<const char *> balance_until_ended(const Options &options, const Session &session,
					 const Irq &irq, agent::Client &client,
					 const Report &report, Totals &totals)
{
	const auto pid = static_cast<pid_t>(session.info.pid);
	Balance balance({.threshold = options.threshold / 100.0, .budget = options.budget});
	Watch watch(irq, pid, CORBEL_EXPECT(vcpu_threads(pid, -1)), client.guest().online);
	auto waiter = CORBEL_EXPECT(Waiter::make(false));
	const auto interval = std::chrono::duration_cast<Clock::duration>(
		std::chrono::duration<double>(options.interval_s));
	auto moment = Clock::now() + interval;

	CORBEL_EXPECT(watch.take(session.info.nr_vcpus));
	while (options.count == 0 || totals.intervals < options.count) {
		const auto woken = waiter.wait_until(moment, session.process.get());

		if (woken == Wakeup::quit || !report.read())
			return "quit";
		if (woken == Wakeup::ready || CORBEL_EXPECT(irq.info()).ended)
			return "vm_ended";
		if (woken != Wakeup::time)
			continue;
		const auto loads = CORBEL_EXPECT(watch.take(session.info.nr_vcpus));
		CORBEL_EXPECT(balance_once(options, client, balance, loads, report, totals));
		/* A guest that is slow to answer is not asked the more often for it. */
		moment = std::max(moment + interval, Clock::now() + interval / 2);
	}
	return "count";
}

/* What can be said of interrupts that could not be put back from here. */
Error with_moved(Error error, const Totals &totals)
{
	std::string list;

	for (const auto &[irq, cpus] : totals.moved)
		list += fmt::format("{}{} (was on CPU {})", list.empty() ? "" : ", ", irq, cpus);
	if (!list.empty())
		error.sentence +=
			fmt::format(" An agent that lives puts back what it moved; if it was "
				    "killed, these interrupts stay where they are: {}.",
				    list);
	return error;
}

Result<void> put_back(const Options &options, agent::Client &client, Totals &totals)
{
	if (options.keep)
		return client.keep();
	totals.put_back = CORBEL_EXPECT(client.restore());
	if (totals.put_back.failed)
		return failure(EIO,
			       fmt::format("{} could not be put back.",
					   show_number_of(totals.put_back.failed, "interrupt")));
	return {};
}

/* A process that ends hangs up before it is gone: both come soon, or it lives. */
bool has_ended(const ScopedFd &process)
{
	constexpr int soon_ms = 2000;
	pollfd polled{process.get(), POLLIN, 0};

	return process && ::poll(&polled, 1, soon_ms) == 1;
}

void report_end(const Options &options, const Report &report, const Totals &totals,
		std::string_view ended_by)
{
	report.end({{"event", "end"},
		    {"ended_by", ended_by},
		    {"dry_run", options.dry_run},
		    {"changed", totals.moves != 0},
		    {"intervals", totals.intervals},
		    {"moves", totals.moves},
		    {"refused", totals.refused},
		    {"over_budget", totals.over_budget},
		    {"restored", totals.put_back.restored},
		    {"foreign", totals.put_back.foreign},
		    {"failed", totals.put_back.failed}},
		   fmt::format(
			   "{}: {}, {} refused, {} over budget; {} put back, {} left as somebody "
			   "else had set them (ended by: {})",
			   show_number_of(totals.intervals, "interval"),
			   show_number_of(totals.moves, "move"), totals.refused, totals.over_budget,
			   totals.put_back.restored, totals.put_back.foreign, ended_by));
}

Result<void> run(const Options &options)
{
	auto device = CORBEL_EXPECT(Device::open());
	auto session = CORBEL_EXPECT(open_session(device, options.target));

	if (session.info.pid == 0)
		return failure(ESRCH, fmt::format("The process of {} is not visible here, so how "
						  "its vCPUs fare is not known.",
						  printable(session.label())));
	const auto cid = CORBEL_EXPECT(agent::guest_cid_of(static_cast<pid_t>(session.info.pid)));
	auto irq = CORBEL_EXPECT(session.vm.irq());
	auto client =
		CORBEL_EXPECT(agent::Client::open(CORBEL_EXPECT(agent::connect_to_guest(cid))));
	const Report report(options, session);
	Totals totals;

	report.start(session, client.guest(), CORBEL_EXPECT(client.irqs()));
	const auto ended = balance_until_ended(options, session, irq, client, report, totals);
	/* A guest that has ended takes its agent with it, and nothing is left to put back. */
	const bool vm_ended =
		ended ? std::string_view(*ended) == "vm_ended" : has_ended(session.process);
	auto restored =
		vm_ended || client.broken() ? Result<void>() : put_back(options, client, totals);

	report_end(options, report, totals,
		   vm_ended	     ? "vm_ended"
		   : ended	     ? *ended
		   : client.broken() ? "agent"
				     : "error");
	if (!ended && !vm_ended)
		return std::unexpected(client.broken() ? with_moved(ended.error(), totals)
						       : ended.error());
	if (!restored)
		return std::unexpected(with_moved(restored.error(), totals));
	return {};
}

std::vector<schema::Key> move_keys()
{
	namespace s = schema;

	return {{"irq", s::count("as the guest counts")},
		{"name", s::string()},
		{"from", s::count("CPU of the guest")},
		{"to", s::count()},
		{"time", s::string()}};
}

Json described_move(const char *event, const schema::Key &more)
{
	auto keys = move_keys();

	keys.push_back({"event", schema::constant(event)});
	keys.push_back(more);
	return schema::object(keys);
}

Json describe()
{
	namespace s = schema;
	const auto time = s::string("UTC, ISO 8601");
	const auto irq = s::object({{"irq", s::count()},
				    {"name", s::string("of those who handle it")},
				    {"movable", s::boolean("as far as is known")},
				    {"cpus", s::string("where it may go")},
				    {"effective_cpus", s::string("where it goes")}});
	const auto effective = s::nullable(s::string("null in a dry run"));

	return s::any_of({
		s::object({{"event", s::constant("start")},
			   {"vm", s::vm()},
			   {"agent", s::string("its version")},
			   {"kernel", s::string("of the guest")},
			   {"cpus", s::count()},
			   {"irqs", s::array(irq)},
			   {"time", time}}),
		s::object({{"event", s::one_of_words({"starved", "well"})},
			   {"cpu", s::count()},
			   {"waiting_share", s::real()},
			   {"time", time}}),
		described_move("moved", {"effective_cpus", effective}),
		described_move("would_move", {"effective_cpus", effective}),
		described_move("refused", {"error", s::string()}),
		s::joined(s::object({{"event", s::constant("end")},
				     {"ended_by", s::one_of_words({"count", "quit", "vm_ended",
								   "agent", "error"})},
				     {"intervals", s::count()},
				     {"moves", s::count()},
				     {"refused", s::count("by the guest's kernel")},
				     {"over_budget", s::count()},
				     {"restored", s::count("put back at the end")},
				     {"foreign", s::count("left as somebody else had set them")},
				     {"failed", s::count("could not be put back")},
				     {"time", time}}),
			  s::object(s::change())),
	});
}

std::function<ExitCode()> declare(OptionSet &set)
{
	auto options = std::make_shared<Options>();

	set.target(options->target);
	set.number("--interval", options->interval_s, {0.1, 60, "s"}, "S",
		   "Seconds between two looks, 1 by default");
	set.number("--budget", options->budget, {1, 600, "moves a minute"}, "N",
		   "At most so many moves a minute (6)");
	set.number("--threshold", options->threshold, {5, 95, "%"}, "PERCENT",
		   "A CPU is starved if its vCPU waits for more of the time (30)");
	set.count("--count", options->count, "N", "End after so many looks");
	set.flag("--keep", options->keep, "Leave the interrupts where they are at the end");
	set.dry_run(options->dry_run);
	set.json(options->json);
	return [options] { return exit_code_of(run(*options)); };
}

} /* namespace */

const Verb irq_balance_verb{
	.group = "irq",
	.name = "balance",
	.summary = "Move a guest's interrupts away from vCPUs that get no CPU, until it is ended",
	.examples =
		"corbel irq balance web1                         until Ctrl-C, then all go back\n"
		"corbel irq balance web1 --dry-run               say what would be moved\n"
		"corbel irq balance web1 --budget 2              at most two moves a minute\n"
		"corbel irq balance web1 --count 60 --keep       for 60 looks; they stay there",
	.exit_codes = "The end of the\nvirtual machine is a success.",
	.effect = Effect::change,
	.repeat = Repeat::own,
	.output = Output::lines,
	.schema = describe,
	.declare = declare,
};

} /* namespace corbel::cli */
