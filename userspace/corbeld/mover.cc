// SPDX-License-Identifier: GPL-2.0-or-later
#include "mover.hh"

#include "vm_owner.hh"

#include "../qemu/definitions.hh"
#include "../qemu/process.hh"
#include "../qemu/vm_process.hh"

#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <grpcpp/client_context.h>

namespace corbel::daemon {

using namespace migrate;
using namespace std::chrono_literals;
using jobs::Json;
using jobs::Severity;
using jobs::Work;

namespace {

constexpr auto pause_between = 10ms;
constexpr auto look_again = 100ms; /* if no event said so before */
constexpr auto poll_every = 200ms; /* while it runs there */
constexpr auto undo_limit = 10s; /* to tell a destination that it is undone */
constexpr unsigned most_rounds = 10;
constexpr std::uint64_t few_pages = 2048; /* are worth no further round */
constexpr std::size_t most_samples = 400;
constexpr std::size_t longest_devices = std::size_t{60} << 20;

std::chrono::milliseconds limit_of(Order order)
{
	/* All of its memory is allocated; devices are loaded. */
	return order == Order::reserve ? 120s : order == Order::prepare ? 40s : 3s;
}

} /* namespace */

std::int64_t now_ms()
{
	return std::chrono::duration_cast<std::chrono::milliseconds>(
		       std::chrono::system_clock::now().time_since_epoch())
		.count();
}

SourceRecord record_of(const jobs::Job &job)
{
	const auto text = [&](const char *key) { return job.data.value(key, std::string()); };
	const auto at = static_cast<std::size_t>(job.step);
	SourceRecord record{.undoing = job.backwards,
			    .back = outcome_of(text("back")).value_or(Outcome::none),
			    .outcome = outcome_of(text("outcome")).value_or(Outcome::none),
			    .terms = {.rollback = job.argument.value("rollback", false),
				      .spill = job.argument.value("spill", false)},
			    .epoch = job.data.value("epoch", Epoch{1})};

	record.phase = is_final(job.state) || job.data.value("over", false) ? SourcePhase::ended
		       : at < first_step				    ? SourcePhase::reserve
					 : static_cast<SourcePhase>(at - first_step);
	record.undoing = record.undoing || job.state == jobs::JobState::failed ||
			 job.state == jobs::JobState::cancelled;
	return record;
}

Mover::Mover(state::Store &store, Hosts &hosts, const qemu::RunnerOptions &options,
	     const MigrationLimits &limits, std::mutex &granting)
	: store_(store), hosts_(hosts), options_(options), limits_(limits), granting_(granting)
{}

/* ---- what is known ----------------------------------------------------------------- */

void Mover::remember(Work &work)
{
	const auto &data = work.data();
	const auto &argument = work.argument();

	if (!session_.empty())
		return;
	vm_ = argument.value("vm", std::string());
	session_ = data.at("session").get<std::string>();
	launch_.pid = data.at("pid").get<pid_t>();
	launch_.started = data.at("started").get<std::uint64_t>();
	plain_ = argument.value("plain", false);
	own_memory_ = argument.value("mode", std::string()) == name_of(Mode::precopy);
	if (!own_memory_ && data.contains("memory"))
		launch_.memory = data.at("memory").get<std::uint32_t>();
	if (argument.contains("container"))
		container_.emplace(limits_.containers / fmt::format("out-{}", session_),
				   containers::Group(data.at("group").get<std::string>()),
				   launch_.pid, launch_.started,
				   data.at("bytes").get<std::uint64_t>());
	/* Before this daemon somebody may have granted as much as can be. */
	heard_ = granted_ = Clock::now();
}

std::optional<qemu::Launch> Mover::launch() const
{
	if (!qemu::is_alive(launch_.pid, launch_.started))
		return std::nullopt;
	return launch_;
}

/* Not if it is of a QEMU that came here since. */
bool Mover::is_left() const
{
	const qemu::Runtime runtime(options_.root, vm_);
	const auto found = runtime.launch();
	std::error_code error;

	return found ? found->pid == launch_.pid && found->started == launch_.started
		     : std::filesystem::exists(runtime.folder(), error);
}

Result<Monitor *> Mover::monitor()
{
	if (!talk_)
		talk_ = CORBEL_EXPECT(Monitor::connect(qemu::Runtime(options_.root, vm_), launch_));
	return &*talk_;
}

SourceRecord Mover::record(Work &work, SourcePhase phase) const
{
	const auto text = [&](const char *key) { return work.data().value(key, std::string()); };

	return {.phase = work.data().value("over", false) ? SourcePhase::ended : phase,
		.undoing = false,
		.back = outcome_of(text("back")).value_or(Outcome::none),
		.outcome = outcome_of(text("outcome")).value_or(Outcome::none),
		.terms = {.rollback = work.argument().value("rollback", false),
			  .spill = work.argument().value("spill", false)},
		.epoch = work.data().value("epoch", Epoch{1})};
}

bool Mover::runs(SourcePhase phase)
{
	const auto talk = monitor();
	const auto status = talk ? (*talk)->status() : std::unexpected(talk.error());

	if (status)
		return Monitor::runs(*status);
	talk_.reset();
	/* One that does not answer has been stopped, if it was to be. */
	return phase < SourcePhase::hand_over;
}

SourceSeen Mover::look(Work &work, SourcePhase phase)
{
	SourceSeen seen{.guest = GuestThere::gone,
			.cancelled = phase < commit_point && work.interrupted(),
			.trouble = !trouble_.empty(),
			.warm = warm_,
			.all_there = own_memory_ || all_there_,
			.peer = peer_,
			.told = told_};
	const auto now = Clock::now();

	if (container_)
		look_at_container(phase, seen);
	else
		look_at_vm(phase, seen);
	const std::lock_guard guard(granting_);
	seen.lease_over = phase >= commit_point && now - granted_ > limits_.lease_over &&
			  now - heard_ > limits_.lease_over;
	seen.silent = phase >= commit_point && now - heard_ > limits_.patience * 3 / 2;
	return seen;
}

void Mover::look_at_vm(SourcePhase phase, SourceSeen &seen)
{
	const bool alive = launch().has_value();
	if (!own_memory_ && !memory_ && launch_.memory && alive)
		if (auto memory = Memory::open(*launch_.memory))
			memory_ = *std::move(memory);
	const auto info = memory_ ? memory_->info() : failure(ENOENT, "");
	seen.sealed = info && info->sealed;
	/* What is sealed was stopped before, and QEMU need not be asked. */
	if (alive)
		seen.guest =
			!seen.sealed && runs(phase) ? GuestThere::running : GuestThere::stopped;
	seen.memory = own_memory_ ? alive : info.has_value();
	/* Nothing writes to memory that goes with its QEMU, which is stopped. */
	if (own_memory_)
		seen.sealed = seen.guest == GuestThere::stopped && phase >= SourcePhase::seal;
	memory_there_ = seen.memory;
	/* A daemon that was killed, or a QEMU that ended by itself, left its folder. */
	if (phase == SourcePhase::finish)
		seen.memory = seen.memory || is_left();
}

bool Mover::grant(const SourceRecord &record, Clock::time_point since)
{
	if (record.back != Outcome::none || record.phase >= SourcePhase::ended)
		return false;
	granted_ = std::max(granted_, since);
	return true;
}

/* ---- doing it ---------------------------------------------------------------------- */

Result<void> Mover::run(Work &work, SourcePhase phase)
{
	remember(work);
	/* What it came to was written in an earlier step: only the end is left to do. */
	if (work.data().value("over", false) ||
	    (phase < SourcePhase::finish && work.data().contains("outcome")))
		return {};
	note(work, name_of(phase), "begins");
	for (;;) {
		/* QEMU talks to one at a time: others wait only while the guest stands still. */
		if (phase != SourcePhase::seal && phase != SourcePhase::hand_over)
			talk_.reset();
		const auto step = next(record(work, phase), look(work, phase));

		if (step.act == SourceAct::write) {
			if (CORBEL_EXPECT(write(work, phase, step.record)))
				return {};
			continue;
		}
		if (work.interrupted())
			return failure(EINTR, "It was interrupted.");
		if (auto done = act(work, step); !done) {
			talk_.reset();
			if (phase < commit_point)
				trouble_ = done.error().sentence;
			else
				work.warn(Severity::warning, done.error().sentence);
			::poll(nullptr, 0, static_cast<int>(poll_every.count()));
		}
	}
}

/* An error where the protocol turns back: the engine writes that it does. */
Result<bool> Mover::write(Work &work, SourcePhase phase, const SourceRecord &record)
{
	auto &data = work.data();

	if (record.undoing) {
		if (!why_.empty())
			return failure(EBUSY, why_);
		if (!trouble_.empty())
			return failure(EIO, trouble_);
		return failure(ECANCELED,
			       launch() ? "The destination gave it up." : "It has ended.");
	}
	const std::lock_guard guard(granting_);
	const auto before = data;
	if (record.back != Outcome::none)
		data["back"] = name_of(record.back);
	if (record.outcome != Outcome::none)
		data["outcome"] = name_of(record.outcome);
	if (record.phase == SourcePhase::ended) {
		data["over"] = true;
		end(work, record.outcome);
		return true;
	}
	if (record.phase == phase) {
		if (auto saved = work.save(); !saved) {
			data = before;
			return std::unexpected(saved.error());
		}
		return false;
	}
	/* Steps that are left out have nothing to do: the outcome says so. */
	granted_ = Clock::now();
	return true;
}

Result<void> Mover::act(Work &work, const SourceStep &step)
{
	if (step.act == SourceAct::tell)
		return tell(work, step.order);
	if (container_ && step.act != SourceAct::wait)
		return act_on_container(work, step.act);
	switch (step.act) {
	case SourceAct::warm:
		return warm(work);
	case SourceAct::stop:
		return stop(work);
	case SourceAct::seal:
		return memory_ ? memory_->seal(true) : failure(ENOENT, "Its memory is gone.");
	case SourceAct::unseal:
		pager_.reset();
		if (own_memory_)
			return go();
		return memory_->seal(false);
	case SourceAct::go:
		CORBEL_EXPECT(go());
		work.data()["back_ms"] = now_ms();
		note(work, "back", "the guest runs here again");
		return {};
	case SourceAct::discard:
		return discard(work);
	case SourceAct::tell:
	case SourceAct::write:
	case SourceAct::wait:
		break;
	}
	::poll(nullptr, 0, static_cast<int>(pause_between.count()));
	return {};
}

Result<void> Mover::tell(Work &work, Order order)
{
	const auto peer = CORBEL_EXPECT(hosts_.records().find(work.argument().at("host")));
	const auto now = record(work, SourcePhase::run);
	const bool prepared = peer_ && peer_->phase == DestinationPhase::prepared;
	v1::MigrateOrder message;
	v1::MigrateAnswer answer;

	message.set_version(protocol_version);
	message.set_session(session_);
	message.set_order(std::string(name_of(order)));
	message.set_epoch(now.epoch + (now.back != Outcome::none ? 2 : 1));
	if (order == Order::reserve)
		message.set_wish(CORBEL_EXPECT(container_ ? wish_for_container(work)
							  : wish_for_vm(work, now)));
	if (order == Order::prepare) {
		CORBEL_EXPECT(end_mirrors(work));
		if (container_ && !prepared)
			devices_ = CORBEL_EXPECT(state_of_container());
		if (!own_memory_) {
			if (!container_)
				CORBEL_EXPECT(save_devices(work));
			CORBEL_EXPECT(serve(work, prepared ? Sends::all : Sends::asked));
		} else {
			auto &talk = *CORBEL_EXPECT(monitor());
			if (CORBEL_EXPECT(talk.transfer()).status == "pre-switchover")
				CORBEL_EXPECT(talk.finish());
		}
		if (!prepared)
			message.set_state(devices_);
	}
	if (order == Order::run) {
		if (!own_memory_)
			if (const auto served = serve(work, Sends::asked); !served)
				work.warn(Severity::warning, served.error().sentence);
		const std::lock_guard guard(granting_);
		/* However often it is tried: of the last answer, which was sent before it came. */
		if (now.terms.rollback && answer_ != 0 && grant(now, heard_))
			message.set_lease_of(answer_);
	}
	const auto called = hosts_.call(peer, [&](v1::Peers::Stub &stub) {
		grpc::ClientContext context;

		context.set_deadline(std::chrono::system_clock::now() + limit_of(order));
		return stub.Migrate(&context, message, &answer);
	});
	if (!called)
		return called;
	const auto phase = destination_phase_of(answer.phase());
	const auto end = end_of_migration(answer.end());
	if (!phase || !end)
		return failure(EPROTO, "The destination says something that is not known here.");
	const auto before = peer_;
	peer_ = DestinationSays{*phase, *end};
	heard_ = Clock::now();
	answer_ = answer.number();
	if (order == Order::reserve)
		CORBEL_EXPECT(expect_disks(work, answer));
	told_ = told_ || order == Order::refuse;
	if (!answer.why().empty())
		why_ = answer.why();
	if (!answer.lost_pages().empty())
		work.data()["result"]["lost_pages"] = answer.lost_pages();
	sample(work, answer.pages());
	if (before != peer_) {
		note(work, name_of(order), fmt::format("destination is {}", answer.phase()));
		if (*phase >= DestinationPhase::running && order == Order::run &&
		    !work.data().contains("switch_ms") && work.data().contains("stopped_ms"))
			work.data()["switch_ms"] =
				now_ms() - work.data().at("stopped_ms").get<std::int64_t>();
	}
	/* Until the guest runs there, all that there is to do is to let it. */
	if (order == Order::run && *phase == DestinationPhase::running && !own_memory_)
		if (const auto served = serve(work, Sends::all); !served)
			work.warn(Severity::warning, served.error().sentence);
	if (order == Order::run && before == peer_)
		::poll(nullptr, 0, static_cast<int>(poll_every.count()));
	/* The guest stands still, and waits for the last page. */
	if (order == Order::prepare && prepared)
		::poll(nullptr, 0, static_cast<int>(pause_between.count()));
	return {};
}

Result<std::string> Mover::wish_for_vm(Work &work, const SourceRecord &record)
{
	auto wish = CORBEL_EXPECT(wish_here(
		CORBEL_EXPECT(qemu::definition(store_, vm_)),
		mode_of(work.argument().at("mode").get<std::string>()).value_or(Mode::postcopy),
		record.terms));

	wish.plain = plain_;
	wish.storage = work.argument().value("storage", false);
	disks_ = wish.disks;
	wish.source = CORBEL_EXPECT(hosts_.identity())->name();
	return json_of(wish).dump();
}

/* ---- what goes before -------------------------------------------------------------- */

Result<void> Mover::warm(Work &work)
{
	if (!CORBEL_EXPECT(mirror(work)))
		return {};
	if (own_memory_)
		return warm_by_qemu(work);
	CORBEL_EXPECT(serve(work, Sends::rounds));
	if (work.argument().value("mode", std::string()) != name_of(Mode::hybrid)) {
		warm_ = true;
		return {};
	}
	CORBEL_EXPECT(memory_->track(true));
	const auto pages = CORBEL_EXPECT(pager_->round());
	note(work, "warm-up", fmt::format("round {}: {} pages", ++rounds_, pages));
	work.progress(rounds_, most_rounds, "rounds");
	warm_ = pages <= few_pages || rounds_ >= most_rounds;
	return {};
}

Result<void> Mover::warm_by_qemu(Work &work)
{
	auto &talk = *CORBEL_EXPECT(monitor());

	if (!sending_) {
		CORBEL_EXPECT(talk.set_up(true, true));
		const auto sockets = CORBEL_EXPECT(connect(work, std::string(use_of_qemu)));
		CORBEL_EXPECT(talk.send_to(sockets.demand.get()));
		sending_ = true;
	}
	const auto transfer = CORBEL_EXPECT(talk.transfer());
	if (transfer.status == "failed" || transfer.status == "cancelled")
		return failure(EIO, fmt::format("QEMU's migration has {}: {}.", transfer.status,
						transfer.error.empty() ? "it does not say why"
								       : transfer.error));
	work.progress(transfer.done, transfer.total, "bytes");
	if (transfer.status == "pre-switchover") {
		work.data()["stopped_ms"] = now_ms();
		warm_ = true;
	}
	::poll(nullptr, 0, static_cast<int>(pause_between.count()));
	return {};
}

/* What can be done before it stands still is. */
Result<void> Mover::stop(Work &work)
{
	auto &talk = *CORBEL_EXPECT(monitor());

	if (!own_memory_)
		CORBEL_EXPECT(talk.set_up(false, true));
	work.data()["stopped_ms"] = now_ms();
	return talk.stop();
}

Result<void> Mover::go()
{
	auto &talk = *CORBEL_EXPECT(monitor());

	if (own_memory_) {
		const auto transfer = CORBEL_EXPECT(talk.transfer());
		if (transfer.status == "active" || transfer.status == "pre-switchover" ||
		    transfer.status == "setup" || transfer.status == "device") {
			CORBEL_EXPECT(talk.cancel());
			/* Which lets it run by itself, when it comes to it. */
			for (int i = 0; i < 200; i++) {
				if (Monitor::runs(CORBEL_EXPECT(talk.status())))
					return {};
				::poll(nullptr, 0, 10);
			}
		}
	}
	if (Monitor::runs(CORBEL_EXPECT(talk.status())))
		return {};
	return talk.go();
}

/* A file in memory, as whoever reads it needs no thread then. */
Result<void> Mover::save_devices(Work &work)
{
	if (!devices_.empty())
		return {};
	const ScopedFd file(::memfd_create("corbel-devices", MFD_CLOEXEC));
	const qemu::Deadline deadline(20s);
	struct stat facts{};

	if (!file)
		return failure(errno, "There is no memory for the state of its devices.");
	auto &talk = *CORBEL_EXPECT(monitor());
	CORBEL_EXPECT(talk.send_to(file.get()));
	for (;;) {
		const auto transfer = CORBEL_EXPECT(talk.transfer());
		if (transfer.status == "completed")
			break;
		if (transfer.status == "failed" || transfer.status == "cancelled")
			return failure(EIO, fmt::format("The state of its devices cannot be saved: "
							"{}.",
							transfer.error));
		if (deadline.passed())
			return failure(ETIMEDOUT, "QEMU takes too long to save the state of its "
						  "devices.");
		CORBEL_EXPECT(talk.wait_for_event(look_again));
	}
	if (::fstat(file.get(), &facts) != 0 || facts.st_size <= 0 ||
	    static_cast<std::size_t>(facts.st_size) > longest_devices)
		return failure(EFBIG,
			       "The state of its devices is larger than can be handed over.");
	devices_.resize(static_cast<std::size_t>(facts.st_size));
	if (::pread(file.get(), devices_.data(), devices_.size(), 0) !=
	    static_cast<ssize_t>(devices_.size())) {
		devices_.clear();
		return failure(EIO, "The state of its devices cannot be read.");
	}
	note(work, "hand-over", fmt::format("{} bytes of devices", devices_.size()));
	return {};
}

/* ---- how it ends ------------------------------------------------------------------- */

/* The VM is no longer this host's; nothing of it stays. */
Result<void> Mover::discard(Work &work)
{
	const qemu::Runtime runtime(options_.root, vm_);
	const auto lock = CORBEL_EXPECT(runtime.lock([&] { return work.interrupted(); }));

	pager_.reset();
	if (const auto running = launch())
		CORBEL_EXPECT(qemu::end_now(*running));
	const auto found = CORBEL_EXPECT(qemu::look(runtime));
	if (!found.running)
		CORBEL_EXPECT(qemu::clear(options_, runtime));
	const auto outcome = outcome_of(work.data().value("outcome", std::string()));
	if (outcome == Outcome::moved || outcome == Outcome::moved_from_spill)
		put_disks_aside(work);
	memory_.reset();
	launch_.memory.reset();
	memory_there_ = false;
	return {};
}

void Mover::end(Work &work, Outcome outcome)
{
	/* The memory of a VM that has stayed shall end with it. */
	if (outcome == Outcome::returned || outcome == Outcome::rolled_back)
		drop_mirrors(work);
	talk_.reset();
	pager_.reset();
	memory_.reset();
	devices_.clear();
	auto &data = work.data();
	const auto epoch = data.at("epoch").get<Epoch>();
	const bool here = outcome == Outcome::returned || outcome == Outcome::rolled_back ||
			  outcome == Outcome::stayed;
	const bool back = outcome == Outcome::returned || outcome == Outcome::rolled_back;

	note(work, "end", name_of(outcome));
	if (container_ && (here || outcome == Outcome::ended_at_source))
		container_->forget();
	if (!container_ && outcome != Outcome::stayed && outcome != Outcome::ended_at_source) {
		const auto known = qemu::definition(store_, vm_);

		(void)set_owner(store_, vm_,
				{.epoch = epoch + (back ? 2 : 1),
				 .here = here,
				 .host = here ? "" : work.argument().value("name", std::string()),
				 .uuid = known ? known->uuid : ""});
		if (outcome == Outcome::moved || outcome == Outcome::moved_from_spill)
			(void)qemu::undefine(store_, vm_);
	}
	auto &result = data["result"];
	result["outcome"] = name_of(outcome);
	result["sentence"] = sentence_of(outcome);
	if (!why_.empty())
		result["why"] = why_;
	result["session"] = session_;
	result["epoch"] = epoch + (back ? 2 : here ? 0 : 1);
	if (data.contains("switch_ms"))
		result["switch_ms"] = data["switch_ms"];
	if (outcome == Outcome::rolled_back && data.contains("stopped_ms"))
		result["point_age_ms"] =
			data.value("back_ms", now_ms()) - data["stopped_ms"].get<std::int64_t>();
	if (!here && outcome != Outcome::moved)
		work.warn(Severity::error, std::string(sentence_of(outcome)));
}

Result<void> Mover::undo(Work &work)
{
	const auto begin = Clock::now();

	if (!work.data().contains("session"))
		return {};
	remember(work);
	if (work.data().value("over", false))
		return {};
	note(work, "undo", "begins");
	drop_mirrors(work);
	for (;;) {
		talk_.reset();
		auto now = record(work, SourcePhase::hand_over);
		auto seen = look(work, SourcePhase::hand_over);

		now.undoing = true;
		/* The destination gives it up by itself if it is not told. */
		seen.told = told_ || Clock::now() - begin > undo_limit;
		const auto step = next(now, seen);
		if (step.act == SourceAct::write) {
			pager_.reset();
			if (memory_)
				(void)memory_->track(false);
			work.data()["over"] = true;
			end(work, step.record.outcome);
			return {};
		}
		if (auto done = act(work, step); !done) {
			work.warn(Severity::warning, done.error().sentence);
			::poll(nullptr, 0, static_cast<int>(poll_every.count()));
			/* What does not answer is asked again, while the daemon lasts. */
			if (step.act != SourceAct::tell && work.interrupted())
				return failure(EINTR, "It was interrupted.");
		}
	}
}

/* ---- what is told of it ------------------------------------------------------------ */

void Mover::note(Work &work, std::string_view phase, std::string_view what)
{
	auto &data = work.data();
	auto &timeline = data["result"]["timeline"];

	if (!data.contains("begun_ms"))
		data["begun_ms"] = now_ms();
	if (timeline.size() < most_samples)
		timeline.push_back({{"at_ms", now_ms() - data["begun_ms"].get<std::int64_t>()},
				    {"phase", phase},
				    {"what", what}});
}

void Mover::sample(Work &work, const std::string &pages)
{
	const auto parsed = qemu::parse_bounded_json(pages);
	const auto now = Clock::now();

	if (!parsed || !parsed->is_object() || parsed->empty())
		return;
	if (const auto stall = qemu::string_in(*parsed, "stall"); stall != stall_) {
		stall_ = stall;
		note(work, "drain",
		     stall.empty() ? "it goes on there" : "it stands still there: " + stall);
	}
	const auto bytes = qemu::number_in(*parsed, "bytes");
	const auto present = qemu::number_in(*parsed, "present");
	all_there_ = bytes > 0 && present == bytes;
	work.progress(present, bytes, "bytes");
	auto &samples = work.data()["result"]["samples"];
	if (now - last_sample_ < 100ms || samples.size() >= most_samples)
		return;
	last_sample_ = now;
	Json entry{{"at_ms", now_ms() - work.data()["begun_ms"].get<std::int64_t>()}};
	for (const auto &[key, value] : parsed->items())
		if (value.is_number_unsigned())
			entry[key] = value.get<std::uint64_t>();
	samples.push_back(std::move(entry));
}

} /* namespace corbel::daemon */
