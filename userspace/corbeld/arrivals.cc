// SPDX-License-Identifier: GPL-2.0-or-later
#include "arrival.hh"

#include "log.hh"
#include "vm_owner.hh"

#include "../migrate/page_ranges.hh"
#include "../qemu/definitions.hh"
#include "../qemu/process.hh"
#include "../qemu/vm_process.hh"

#include <libcorbel/device.hh>
#include <libcorbel/text_file.hh>

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <csignal>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace corbel::daemon {

using namespace std::chrono_literals;
using namespace migrate;
using qemu::Launch;
using qemu::Runtime;

namespace {

constexpr auto look_again = 100ms; /* if no event said so before */
constexpr std::size_t most_ranges = 100'000; /* of lost pages: 2 MB of text at most */
constexpr unsigned most_steps = 64; /* of one call: it is a bug to need more */

std::string key_of(const std::string &session)
{
	return fmt::format("{}{}", arrival_prefix, session);
}

/* 'T' of /proc/PID/stat. */
bool is_stopped(pid_t pid)
{
	const auto text = text_of_file(fmt::format("/proc/{}/stat", pid), 4096).value_or("");
	const auto at = text.rfind(')');

	return at != text.npos && at + 2 < text.size() &&
	       (text[at + 2] == 'T' || text[at + 2] == 't');
}

} /* namespace */

Arrivals::Arrivals(state::Store &store, Hosts &hosts, Warnings &warnings,
		   qemu::RunnerOptions options, MigrationLimits limits)
	: store_(store),
	  hosts_(hosts),
	  warnings_(warnings),
	  options_(std::move(options)),
	  limits_(std::move(limits)),
	  tender_([this](const std::stop_token &stop) { tend(stop); })
{
	const auto entries = state::list_all(store_, arrival_prefix);

	if (!entries)
		return;
	for (const auto &entry : *entries) {
		const auto arrival = find(entry.key.substr(arrival_prefix.size()), {});

		if (!arrival)
			continue;
		/* The last daemon may have been killed between the two. */
		const std::lock_guard guard((*arrival)->lock);
		if ((*arrival)->record.phase == DestinationPhase::ended && !(*arrival)->container)
			(void)give_back(**arrival);
	}
}

/* Pagers end here; who misses pages waits until the next daemon has made new ones. */
Arrivals::~Arrivals()
{
	tender_.request_stop();
	tender_.join();
	/* A connector must not be the last to have what it belongs to. */
	for (auto &[session, arrival] : arrivals_)
		if (arrival->connector.joinable())
			arrival->connector.join();
	arrivals_.clear();
}

/* ---- records ----------------------------------------------------------------------- */

Result<void> Arrivals::keep(Arrival &arrival)
{
	const auto &record = arrival.record;
	auto disks = jobs::Json::array();

	for (const auto &disk : arrival.disks)
		disks.push_back(
			{{"number", disk.number}, {"path", disk.path}, {"inode", disk.inode}});
	const jobs::Json json{{"source", arrival.source.uuid},
			      {"wish", arrival.wish_text},
			      {"phase", name_of(record.phase)},
			      {"end", name_of(record.end)},
			      {"epoch", record.epoch},
			      {"why", arrival.why},
			      {"lost_pages", arrival.lost_pages},
			      {"at_ms", std::chrono::duration_cast<std::chrono::milliseconds>(
						std::chrono::system_clock::now().time_since_epoch())
						.count()},
			      {"went", arrival.went},
			      {"disks", std::move(disks)},
			      {"made_definition", arrival.made_definition},
			      {"made_folder", arrival.made_folder}};

	(void)CORBEL_EXPECT(store_.commit(
		{.conditions = {}, .changes = {state::Put{key_of(arrival.session), json.dump()}}}));
	return {};
}

Result<void> Arrivals::read(Arrival &arrival, const std::string &text) const
{
	const auto json = jobs::Json::parse(text, nullptr, false);
	const auto word = [&](const char *key) { return json.value(key, std::string()); };

	if (!json.is_object())
		return failure(EBADMSG, fmt::format("What is kept of the migration {} cannot be "
						    "read.",
						    arrival.session));
	arrival.source = {word("source")};
	arrival.wish_text = word("wish");
	arrival.why = word("why");
	arrival.lost_pages = word("lost_pages");
	arrival.made_definition = json.value("made_definition", false);
	arrival.made_folder = json.value("made_folder", false);
	for (const auto &disk : json.value("disks", jobs::Json::array()))
		arrival.disks.push_back({disk.value("number", 0U),
					 disk.value("path", std::string()),
					 disk.value("inode", std::uint64_t{0})});
	arrival.record = {
		.phase = destination_phase_of(word("phase")).value_or(DestinationPhase::absent),
		.end = end_of_migration(word("end")).value_or(End::none),
		.epoch = json.value("epoch", Epoch{0})};
	/* Who has paused it since has his reasons. */
	if (arrival.record.phase == DestinationPhase::ended)
		arrival.went = json.value("went", false);
	if (understand(arrival, arrival.wish_text))
		arrival.record.terms = arrival.wish.terms;
	return {};
}

Result<std::shared_ptr<Arrivals::Arrival>> Arrivals::find(const std::string &session,
							  const trust::HostId &from)
{
	const std::lock_guard guard(lock_);
	auto arrival = arrivals_.contains(session) ? arrivals_[session] : nullptr;

	if (!arrival) {
		arrival = std::make_shared<Arrival>();
		arrival->session = session;
		arrival->source = from;
		if (const auto entry = CORBEL_EXPECT(store_.get(key_of(session))))
			CORBEL_EXPECT(read(*arrival, entry->value));
		arrivals_[session] = arrival;
	}
	if (!from.uuid.empty() && arrival->source.uuid != from.uuid)
		return failure(EPERM, "That migration is another host's.");
	return arrival;
}

bool Arrivals::expects(const std::string &vm)
{
	const std::lock_guard guard(lock_);

	for (const auto &[session, arrival] : arrivals_)
		if (!arrival->container && arrival->wish.vm.name == vm &&
		    arrival->record.phase != DestinationPhase::absent &&
		    arrival->record.phase != DestinationPhase::ended)
			return true;
	return false;
}

/* ---- what is to be done, and doing it ---------------------------------------------- */

/*
 * A QEMU whose source breaks off ends by itself, and leaves its folder; a corbeld that is
 * killed while it makes one leaves the folder alone, or a QEMU that nobody has written down.
 */
bool Arrivals::left_something(const Arrival &arrival) const
{
	const auto runtime = arrival.runtime(options_);
	const auto left = runtime.launch();
	std::error_code error;

	if (arrival.coming)
		return arrival.coming->is_left();
	if (!arrival.disks.empty())
		return true;
	return left ? left->migration == arrival.session
		    : arrival.made_folder && std::filesystem::exists(runtime.folder(), error);
}

/* Of a daemon's before this one, too: what it loaded or let run is so still. */
GuestHere Arrivals::ask_qemu(Arrival &arrival, const Launch &launch)
{
	const auto monitor = arrival.monitor(options_, launch);
	const auto status = monitor ? (*monitor)->status() : std::unexpected(monitor.error());

	/* QEMU talks to one at a time: others wait only while the guest stands still. */
	if (!status || arrival.record.phase >= DestinationPhase::prepared)
		arrival.talk.reset();
	if (!status) {
		/* It may be busy with something that waits for a page. */
		return arrival.record.phase >= DestinationPhase::prepared ? GuestHere::loaded
									  : GuestHere::waiting;
	}
	arrival.went = Monitor::runs(*status);
	/* With -S that is what becomes of "inmigrate". */
	arrival.loaded = arrival.went || *status == "paused";
	return arrival.went	? GuestHere::running
	       : arrival.loaded ? GuestHere::loaded
				: GuestHere::waiting;
}

DestinationSeen Arrivals::look(Arrival &arrival, const Told &told)
{
	DestinationSeen seen{.order = told.order,
			     .epoch = told.epoch,
			     .terms = told.terms,
			     .source_gone = arrival.source_gone,
			     .silent = Clock::now() - arrival.heard > limits_.patience};
	if (arrival.coming) {
		look_at_container(arrival, seen);
		return seen;
	}
	const auto launch = arrival.launch(options_);

	if (!launch) {
		if (arrival.record.phase == DestinationPhase::ended &&
		    arrival.record.end != End::completed && left_something(arrival))
			seen.guest = GuestHere::waiting;
		return seen;
	}
	if (arrival.record.terms.rollback)
		seen.lease = now_since_boot() < arrival.lease_end;
	arrival.find_memory(options_);
	if (arrival.memory) {
		const auto info = arrival.memory->info();

		seen.all_here = info && info->present == info->bytes;
	}
	seen.guest = GuestHere::waiting;
	if (arrival.record.phase >= DestinationPhase::running && is_stopped(launch->pid))
		seen.guest = GuestHere::frozen;
	else if (arrival.went)
		seen.guest = GuestHere::running;
	else if (arrival.loaded)
		seen.guest = GuestHere::loaded;
	else if (arrival.record.phase >= DestinationPhase::prepared || told.order == Order::prepare)
		seen.guest = ask_qemu(arrival, *launch);
	if (arrival.own_memory())
		seen.all_here = seen.guest >= GuestHere::loaded;
	return seen;
}

Result<void> Arrivals::drive(Arrival &arrival, const Told &told)
{
	for (unsigned i = 0; i < most_steps; i++) {
		const auto step = next(arrival.record, look(arrival, told));

		if (step.act == DestinationAct::wait || step.act == DestinationAct::answer)
			return {};
		const auto done = act(arrival, told, step);
		/* The source is not silent while it waits for an answer, however long that takes. */
		if (told.order != Order::none)
			arrival.heard = Clock::now();
		if (done)
			continue;
		/* What cannot be made or loaded is refused, with the reason. */
		if (step.act != DestinationAct::make && step.act != DestinationAct::load)
			return done;
		arrival.why = done.error().sentence;
		auto refused = arrival.record;
		refused.phase = DestinationPhase::ended;
		refused.end = End::refused;
		CORBEL_EXPECT(write(arrival, refused));
	}
	return failure(ELOOP, fmt::format("The migration {} does not get on: it is {}.",
					  arrival.session, name_of(arrival.record.phase)));
}

Result<void> Arrivals::act(Arrival &arrival, const Told &told, const DestinationStep &step)
{
	if (arrival.coming && step.act != DestinationAct::write)
		return act_on_container(arrival, told, step.act);
	switch (step.act) {
	case DestinationAct::write:
		return write(arrival, step.record);
	case DestinationAct::make:
		return make(arrival);
	case DestinationAct::load:
		return load(arrival, told.state);
	case DestinationAct::go:
		return go(arrival);
	case DestinationAct::freeze:
		if (const auto launch = arrival.launch(options_))
			(void)::kill(launch->pid, SIGSTOP);
		return {};
	case DestinationAct::destroy:
		return destroy(arrival);
	case DestinationAct::wait:
	case DestinationAct::answer:
		break;
	}
	return {};
}

void Arrivals::tell_lost(Arrival &arrival)
{
	const auto absent = arrival.memory->absent();

	if (!absent)
		return;
	std::uint64_t count = 0;
	for (const auto word : *absent)
		count += static_cast<std::uint64_t>(std::popcount(word));
	arrival.why = fmt::format("{} of {} pages have not come.", count,
				  arrival.memory->bytes() / CORBEL_MEMORY_PAGE);
	arrival.lost_pages = text_of_pages(*absent, most_ranges);
}

/* The VM is this host's from `running` on: who asks for it must find it then. */
Result<void> Arrivals::write(Arrival &arrival, const DestinationRecord &record)
{
	const auto before = arrival.record;
	const auto &vm = arrival.wish.vm;

	if (arrival.memory && record.end == End::lost)
		tell_lost(arrival);
	if (record.phase == DestinationPhase::running && !arrival.container) {
		const auto owner = CORBEL_EXPECT(owner_of(store_, vm.name, vm.uuid));

		/* Of what ran here before it was taken back, one may be left: see give_back(). */
		CORBEL_EXPECT(set_owner(store_, vm.name,
					{.epoch = record.epoch, .here = true, .uuid = vm.uuid}));
		if (!qemu::definition(store_, vm.name) || (owner && !owner->here)) {
			(void)CORBEL_EXPECT(qemu::define(store_, vm));
			arrival.made_definition = true;
		}
	}
	const auto disks = arrival.disks;

	arrival.record = record;
	/* What a guest has written to is not removed, whatever has become of it. */
	if (record.phase == DestinationPhase::running)
		arrival.disks.clear();
	if (auto kept = keep(arrival); !kept) {
		arrival.record = before;
		arrival.disks = disks;
		return kept;
	}
	if (record.phase != DestinationPhase::ended)
		return {};
	arrival.pager.reset();
	if (record.end == End::completed) {
		if (arrival.memory)
			(void)arrival.memory->join();
		if (const auto launch = arrival.launch(options_); launch && record.terms.rollback)
			(void)arrival.lease(options_, *launch).lift();
		arrival.memory.reset();
		if (arrival.coming)
			arrival.coming->finish();
	} else if (!arrival.container) {
		CORBEL_EXPECT(give_back(arrival));
	}
	log(record.end == End::completed || record.end == End::refused ? Level::notice
								       : Level::warning,
	    fmt::format("{} from host {}: {}{}{}", arrival.title(), arrival.wish.source,
			sentence_of(record.end), arrival.why.empty() ? "" : " ", arrival.why),
	    {{"SESSION", arrival.session}});
	return {};
}

/*
 * What has ended here otherwise than whole is nobody's, or the source's: with leases that may
 * have taken it back when nothing could be heard of it, so nobody may start it here. The
 * definition goes once the source has said so.
 */
Result<void> Arrivals::give_back(Arrival &arrival)
{
	const auto &record = arrival.record;
	const auto &vm = arrival.wish.vm;
	const auto owner = CORBEL_EXPECT(owner_of(store_, vm.name, vm.uuid));
	/* One that was refused is only so where somebody was killed who was to let it run. */
	if (owner && owner->here && owner->epoch == record.epoch && !owns(record))
		CORBEL_EXPECT(set_owner(store_, vm.name,
					{.epoch = record.epoch + 1,
					 .here = false,
					 .host = arrival.wish.source,
					 .uuid = vm.uuid}));
	if ((record.end != End::fenced && record.end != End::refused) || !arrival.made_definition)
		return {};
	arrival.made_definition = false;
	const auto known = qemu::definition(store_, vm.name);
	if (!known || known->uuid != vm.uuid)
		return {};
	CORBEL_EXPECT(qemu::undefine(store_, vm.name));
	/* It may just come again, by another migration that found it defined. */
	const auto now = CORBEL_EXPECT(owner_of(store_, vm.name, vm.uuid));
	if (now && now->epoch > record.epoch + 1)
		(void)CORBEL_EXPECT(qemu::define(store_, *known));
	return keep(arrival);
}

Result<void> Arrivals::make(Arrival &arrival)
{
	const auto runtime = arrival.runtime(options_);
	const auto lock = CORBEL_EXPECT(runtime.lock([] { return true; }));

	arrival.made_folder = true;
	CORBEL_EXPECT(keep(arrival));
	CORBEL_EXPECT(runtime.make());
	auto found = CORBEL_EXPECT(qemu::look(runtime));
	if (found.running)
		return failure(EEXIST, fmt::format("A VM called '{}' runs there already.",
						   arrival.wish.vm.name));
	CORBEL_EXPECT(qemu::remove_traces(options_, runtime));
	CORBEL_EXPECT(make_disks(arrival));
	const auto started =
		qemu::start_qemu(options_, runtime, std::move(*found.alive),
				 {.vm = arrival.wish.vm,
				  .token = arrival.session,
				  .migration = arrival.session,
				  .command = {.memory_object = !arrival.own_memory(),
					      .all_memory = arrival.own_memory(),
					      .incoming = true},
				  .memory_flags = arrival.own_memory() ? 0 : CORBEL_MEMORY_MISSING,
				  .warn = [&](jobs::Severity severity, const std::string &text) {
					  warnings_.add(severity, text);
				  }});
	if (!started) {
		(void)qemu::clear(options_, runtime);
		return started;
	}
	const qemu::Deadline deadline(options_.ready_limit);
	if (const auto launch = arrival.launch(options_); launch && arrival.record.terms.rollback)
		CORBEL_EXPECT(arrival.lease(options_, *launch).watch(limits_.watcher));
	for (;;) {
		const auto launch = arrival.launch(options_);
		if (!launch)
			return failure(ECHILD, fmt::format("QEMU ended there before it was ready: "
							   "{}.",
							   runtime.last_words()));
		auto monitor = Monitor::connect(runtime, *launch);
		if (monitor)
			return monitor->set_up(arrival.own_memory(), false);
		if (deadline.passed())
			return std::unexpected(monitor.error());
		::poll(nullptr, 0, 10);
	}
}

Result<void> Arrivals::make_disks(Arrival &arrival)
{
	for (const auto number : disks_to_come(arrival.wish)) {
		const auto &[path, size, identity] = arrival.wish.disks[number];

		arrival.disks.push_back({.number = number, .path = path});
		CORBEL_EXPECT(keep(arrival));
		CORBEL_EXPECT(make_disk(
			arrival.disks.back(), arrival.session, size, [&] { return keep(arrival); },
			limits_.volumes));
	}
	return {};
}

/* What the devices touch of the memory while they load comes by the pager. */
Result<void> Arrivals::load(Arrival &arrival, const std::string &state)
{
	const auto runtime = arrival.runtime(options_);
	const auto launch = arrival.launch(options_);
	const qemu::Deadline deadline(30s);

	if (!launch)
		return failure(ECHILD, "QEMU has ended there.");
	auto &monitor = *CORBEL_EXPECT(arrival.monitor(options_, *launch));
	if (!arrival.bridges.empty()) {
		CORBEL_EXPECT(monitor.end_serving());
		arrival.bridges.clear();
	}
	if (!arrival.own_memory() && !arrival.loading) {
		const ScopedFd file(::memfd_create("corbel-devices", MFD_CLOEXEC));

		if (!arrival.pager)
			return failure(ENOTCONN, "There is no connection for pages.");
		if (!file ||
		    ::write(file.get(), state.data(), state.size()) !=
			    static_cast<ssize_t>(state.size()) ||
		    ::lseek(file.get(), 0, SEEK_SET) != 0)
			return failure(errno, fmt::format("The state of its devices cannot be "
							  "kept: {}.",
							  describe_errno(errno)));
		CORBEL_EXPECT(monitor.receive_from(file.get()));
	}
	arrival.loading = true;
	while (CORBEL_EXPECT(monitor.status()) == "inmigrate") {
		if (!arrival.launch(options_))
			return failure(ECHILD, fmt::format("QEMU cannot take the VM's state: {}.",
							   runtime.last_words()));
		if (deadline.passed())
			return failure(ETIMEDOUT, "QEMU takes too long for the VM's state.");
		CORBEL_EXPECT(monitor.wait_for_event(look_again));
	}
	arrival.loaded = true;
	return {};
}

Result<void> Arrivals::go(Arrival &arrival)
{
	const auto runtime = arrival.runtime(options_);
	const auto launch = arrival.launch(options_);

	if (!launch)
		return failure(ECHILD, "QEMU has ended.");
	if (arrival.record.terms.rollback && arrival.record.end != End::completed) {
		const auto lease = arrival.lease(options_, *launch);

		CORBEL_EXPECT(lease.extend(arrival.lease_end));
		CORBEL_EXPECT(lease.watch(limits_.watcher));
	}
	if (is_stopped(launch->pid))
		(void)::kill(launch->pid, SIGCONT);
	if (arrival.went)
		return {};
	/* The order is enough: an answer may wait for a page. */
	const auto gone_on = CORBEL_EXPECT(arrival.monitor(options_, *launch))->go();
	arrival.talk.reset();
	if (!gone_on && gone_on.error().number != ETIMEDOUT)
		return gone_on;
	arrival.went = true;
	return {};
}

Result<void> Arrivals::destroy(Arrival &arrival)
{
	const auto runtime = arrival.runtime(options_);
	const auto lock = CORBEL_EXPECT(runtime.lock([] { return true; }));

	arrival.talk.reset();
	arrival.pager.reset();
	arrival.memory.reset();
	arrival.bridges.clear();
	if (const auto launch = arrival.launch(options_))
		CORBEL_EXPECT(qemu::end_now(*launch));
	const auto found = CORBEL_EXPECT(qemu::look(runtime));
	if (!found.running)
		CORBEL_EXPECT(qemu::clear(options_, runtime));
	for (const auto &disk : arrival.disks)
		CORBEL_EXPECT(remove_disk(disk, arrival.session, limits_.volumes));
	arrival.disks.clear();
	arrival.made_folder = false;
	return keep(arrival);
}

/* ---- what the source asks for ------------------------------------------------------ */

Result<void> Arrivals::check(const Wish &wish)
{
	auto found = obstacles(wish, limits_.volumes);
	const auto known = qemu::definition(store_, wish.vm.name);
	const auto launch = Runtime(options_.root, wish.vm.name).launch();

	if (known && known->uuid != wish.vm.uuid)
		found.push_back(
			fmt::format("Another VM called '{0}' is defined there: `corbel vm undefine "
				    "{0}` there if nobody needs it.",
				    wish.vm.name));
	if (launch && qemu::is_alive(launch->pid, launch->started))
		found.push_back(fmt::format("A VM called '{}' runs there.", wish.vm.name));
	if (wish.mode != Mode::precopy)
		if (const auto device = Device::open(); !device)
			found.push_back(fmt::format("It has no memory objects: {}",
						    device.error().sentence));
	if (found.empty())
		return {};
	return failure(EBUSY, fmt::format("{}", fmt::join(found, " ")));
}

Result<v1::MigrateAnswer> Arrivals::order(const trust::HostId &from, const v1::MigrateOrder &order)
{
	Told told{.epoch = order.epoch(), .state = order.state()};
	v1::MigrateAnswer answer;

	if (order.version() != protocol_version)
		return failure(EPROTO, fmt::format("It speaks version {} of the protocol for "
						   "migrations, this host {}.",
						   order.version(), protocol_version));
	(void)CORBEL_EXPECT(session_of(order.session()));
	for (auto known = Order::none; known <= Order::gone;
	     known = static_cast<Order>(static_cast<unsigned>(known) + 1))
		if (name_of(known) == order.order())
			told.order = known;
	if (told.order == Order::reserve && order.only_check()) {
		const auto container = CORBEL_EXPECT(containers::wish_of(order.wish()));
		const auto wish = container ? Wish{} : CORBEL_EXPECT(wish_of(order.wish()));

		CORBEL_EXPECT(container ? check(*container) : check(wish));
		for (const auto number : disks_to_come(wish))
			answer.add_disks(number);
		answer.set_version(protocol_version);
		answer.set_phase(std::string(name_of(DestinationPhase::absent)));
		answer.set_end(std::string(name_of(End::none)));
		return answer;
	}
	const auto arrival = CORBEL_EXPECT(find(order.session(), from));
	/* The source has connected, and may be ahead of what is done with that here. */
	for (int i = 0; told.order == Order::prepare && arrival->connecting && i < 5000; i++)
		::poll(nullptr, 0, 1);
	const std::lock_guard guard(arrival->lock);

	arrival->heard = Clock::now();
	if (told.order == Order::reserve && arrival->record.phase == DestinationPhase::absent) {
		CORBEL_EXPECT(understand(*arrival, order.wish()));
		const auto &wish = arrival->wish;
		CORBEL_EXPECT(arrival->container ? check(*arrival->container) : check(wish));
		if (const auto owner = owner_of(store_, wish.vm.name, wish.vm.uuid);
		    !arrival->container && owner && *owner && (*owner)->epoch >= order.epoch())
			return failure(ESTALE,
				       fmt::format("This host knows of a later owner of '{}' "
						   "(epoch {}, not {}).",
						   wish.vm.name, (*owner)->epoch,
						   order.epoch() - 1));
		arrival->wish_text = order.wish();
	}
	told.terms = arrival->wish.terms;
	if (told.order == Order::gone)
		arrival->source_gone = true;
	/* A lease counts from when the answer was sent that the source had got. */
	if (order.lease_of() != 0 && told.order == Order::run)
		for (const auto &[number, sent] : arrival->answers)
			if (number == order.lease_of())
				arrival->lease_end =
					std::max(arrival->lease_end, sent + limits_.lease);
	if (arrival->record.terms.rollback && arrival->record.phase >= DestinationPhase::running)
		if (const auto launch = arrival->launch(options_))
			(void)arrival->lease(options_, *launch).extend(arrival->lease_end);
	CORBEL_EXPECT(drive(*arrival, told));

	answer.set_version(protocol_version);
	answer.set_phase(std::string(name_of(arrival->record.phase)));
	answer.set_end(std::string(name_of(arrival->record.end)));
	answer.set_number(++arrival->last_answer);
	answer.set_why(arrival->why);
	answer.set_lost_pages(arrival->lost_pages);
	answer.set_pages(pages_of(*arrival));
	for (const auto &disk : arrival->disks)
		answer.add_disks(disk.number);
	arrival->answers.emplace_back(arrival->last_answer, now_since_boot());
	if (arrival->answers.size() > 16)
		arrival->answers.pop_front();
	return answer;
}

std::string Arrivals::pages_of(Arrival &arrival)
{
	jobs::Json json = jobs::Json::object();

	if (!arrival.stall.empty())
		json["stall"] = arrival.stall;
	if (arrival.memory)
		if (const auto info = arrival.memory->info()) {
			json["bytes"] = info->bytes;
			json["present"] = info->present;
			json["requested"] = info->requested / CORBEL_MEMORY_PAGE;
			json["waiting"] = info->waiting;
			json["waits"] = info->waits;
			json["duplicates"] = info->duplicates;
		}
	if (arrival.pager)
		if (const auto info = arrival.pager->info()) {
			json["by_demand"] = info->by_demand;
			json["by_push"] = info->by_push;
			json["staged"] = info->staged;
			json["zeros"] = info->zeros;
			json["compressed"] = info->compressed;
			json["wire_bytes"] = info->bytes;
			json["again"] = info->again;
		}
	return json.dump();
}

} /* namespace corbel::daemon */
