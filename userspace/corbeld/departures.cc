// SPDX-License-Identifier: GPL-2.0-or-later
#include "departures.hh"

#include "mover.hh"
#include "vm_owner.hh"

#include "../jobs/engine.hh"
#include "../qemu/definitions.hh"
#include "../containers/wish.hh"
#include "../qemu/process.hh"

#include <libcorbel/device.hh>

#include <cerrno>

#include <fmt/format.h>
#include <grpcpp/client_context.h>

namespace corbel::daemon {

using namespace migrate;
using jobs::Json;
using jobs::Work;

namespace {

using namespace std::chrono_literals;

constexpr std::string_view session_prefix = "migrate/out/";

/* Of a session's entry. */
jobs::JobId job_in(const state::Entry &entry)
{
	return std::strtoull(entry.value.c_str(), nullptr, 10);
}

Mode mode_in(const Json &argument)
{
	return mode_of(argument.value("mode", std::string("postcopy"))).value_or(Mode::postcopy);
}

Terms terms_in(const Json &argument)
{
	return {.rollback = argument.value("rollback", false),
		.spill = argument.value("spill", false)};
}

} /* namespace */

Departures::Departures(state::Store &store, Hosts &hosts, qemu::RunnerOptions options,
		       MigrationLimits limits)
	: store_(store), hosts_(hosts), options_(std::move(options)), limits_(std::move(limits))
{}

Departures::~Departures() = default;

struct Departures::Life {
	std::mutex lock; /* for what is granted, against what is written */
	std::unique_ptr<Mover> mover;
};

std::shared_ptr<Departures::Life> Departures::life_of(jobs::JobId id)
{
	const std::lock_guard guard(lock_);
	auto &life = lives_[id];

	if (!life)
		life = std::make_shared<Life>();
	return life;
}

Result<std::string> Departures::plan(const Json &argument)
{
	if (argument.contains("container"))
		return plan_container(argument);
	const auto name = argument.at("vm").get<std::string>();
	const auto vm = CORBEL_EXPECT(qemu::definition(store_, name));
	const auto peer = CORBEL_EXPECT(hosts_.records().find(argument.at("host")));
	const auto mode = mode_in(argument);
	const auto terms = terms_in(argument);
	const qemu::Runtime runtime(options_.root, name);
	const auto launch = runtime.launch();

	if (!launch || !qemu::is_alive(launch->pid, launch->started))
		return failure(ENOENT,
			       fmt::format("'{}' does not run, so there is nothing to move: "
					   "define it on the other host and start it "
					   "there.",
					   name));
	if (terms.rollback && terms.spill)
		return failure(EINVAL, "With --rollback it does not run there without this host, "
				       "so --spill is of no use: take one or the other.");
	if (terms.rollback)
		for (const auto &disk : vm.disks)
			if (!disk.read_only)
				return failure(
					EINVAL,
					fmt::format("A rollback would bring back the guest's "
						    "memory and not what it had written to "
						    "{} since: --rollback is for guests "
						    "without disks that they write to.",
						    disk.path));
	if (mode != Mode::precopy && !launch->memory)
		return failure(EINVAL,
			       fmt::format("The memory of '{}' is QEMU's own, not a memory "
					   "object: move it with --mode precopy, or start it "
					   "anew with corbel_postcopy.ko loaded.",
					   name));
	auto monitor = CORBEL_EXPECT(Monitor::connect(runtime, *launch));
	const auto blockers = CORBEL_EXPECT(monitor.blockers());
	if (!blockers.empty())
		return failure(EBUSY,
			       fmt::format("QEMU cannot move '{}': {}", name, blockers.front()));
	if (!argument.value("plain", false) && !kernel_has_tls())
		return no_kernel_tls();
	auto wish = CORBEL_EXPECT(wish_here(vm, mode, terms));
	wish.plain = argument.value("plain", false);
	wish.storage = argument.value("storage", false);
	const auto answer = CORBEL_EXPECT(ask_for(peer, name, json_of(wish).dump()));
	std::uint64_t bytes = 0;
	for (const auto number : answer.disks())
		bytes += number < wish.disks.size() ? wish.disks[number].size : 0;
	return fmt::format("Moves '{}' ({} MiB) to host {} by {}{}{}{}{}.", name, vm.memory >> 20,
			   peer.name, name_of(mode),
			   bytes ? fmt::format(", with {} of its disks ({} MiB)",
					       answer.disks_size(), bytes >> 20)
				 : "",
			   terms.rollback ? ", with a way back if that host is lost: without word "
					    "from here it stops there"
					  : "",
			   terms.spill ? ", and stands still until all of its memory is there" : "",
			   wish.plain ? ", unencrypted" : "");
}

Result<v1::MigrateAnswer> Departures::ask_for(const trust::PeerTrust &peer, const std::string &what,
					      const std::string &wish)
{
	v1::MigrateOrder order;
	v1::MigrateAnswer answer;

	order.set_version(protocol_version);
	order.set_session(CORBEL_EXPECT(qemu::make_uuid()));
	order.set_order(std::string(name_of(Order::reserve)));
	order.set_wish(wish);
	order.set_only_check(true);
	auto asked = hosts_.call(peer, [&](v1::Peers::Stub &stub) {
		grpc::ClientContext context;

		context.set_deadline(std::chrono::system_clock::now() + 20s);
		return stub.Migrate(&context, order, &answer);
	});
	if (!asked)
		return failure(asked.error().number,
			       fmt::format("Host {} cannot take '{}': {}", peer.name, what,
					   asked.error().sentence));
	return answer;
}

Result<std::string> Departures::plan_container(const Json &argument)
{
	const auto peer = CORBEL_EXPECT(hosts_.records().find(argument.at("host")));
	const auto group =
		CORBEL_EXPECT(containers::Group::find(argument.at("container").get<std::string>()));
	auto wish = CORBEL_EXPECT(
		containers::wish_here(group, containers::bytes_for(group), terms_in(argument)));

	wish.plain = argument.value("plain", false);
	wish.source = CORBEL_EXPECT(hosts_.identity())->name();
	if (!containers::is_name(wish.name))
		return failure(EINVAL, fmt::format("'{}' cannot be the name of a container there.",
						   wish.name));
	(void)CORBEL_EXPECT(group.first_process());
	if (group.is_frozen())
		return failure(EBUSY, fmt::format("{} is frozen: let it go on first, or it would "
						  "run there.",
						  group.name()));
	CORBEL_EXPECT(containers::check_limit(group));
	(void)CORBEL_EXPECT(Device::open());
	if (!wish.plain && !kernel_has_tls())
		return no_kernel_tls();
	(void)CORBEL_EXPECT(ask_for(peer, group.name(), json_of(wish).dump()));
	return fmt::format("Moves container {} ({} processes, {} MiB of memory) to host {}{}{}.",
			   group.name(), group.processes().size(), group.memory() >> 20, peer.name,
			   wish.terms.spill ? ", and stands still until all of its memory is there"
					    : "",
			   wish.plain ? ", unencrypted" : "");
}

Result<void> Departures::remember_vm(Work &work)
{
	auto &data = work.data();
	const auto name = work.argument().at("vm").get<std::string>();
	const auto launch = qemu::Runtime(options_.root, name).launch();
	const auto known = qemu::definition(store_, name);
	const auto owner =
		CORBEL_EXPECT(owner_of(store_, name, known ? known->uuid : std::string()));

	if (!launch)
		return failure(ENOENT, fmt::format("'{}' has ended.", name));
	data["epoch"] = owner ? owner->epoch : Epoch{1};
	data["pid"] = launch->pid;
	data["started"] = launch->started;
	if (launch->memory)
		data["memory"] = *launch->memory;
	return {};
}

Result<void> Departures::remember_container(Work &work)
{
	auto &data = work.data();
	const auto group = CORBEL_EXPECT(
		containers::Group::find(work.argument().at("container").get<std::string>()));
	const auto first = CORBEL_EXPECT(group.first_process());

	data["epoch"] = Epoch{1};
	data["pid"] = first;
	data["started"] = qemu::start_of(first).value_or(0);
	data["group"] = group.folder().string();
	data["bytes"] = containers::bytes_for(group);
	return {};
}

Result<v1::MigrateAskReply> Departures::ask(const trust::HostId &from, const std::string &session)
{
	const auto entry = CORBEL_EXPECT(store_.get(fmt::format("{}{}", session_prefix, session)));
	v1::MigrateAskReply reply;

	reply.set_order(std::string(name_of(Order::none)));
	if (!entry)
		return reply;
	const auto id = job_in(*entry);
	const auto life = life_of(id);
	const std::lock_guard guard(life->lock);
	const auto job = CORBEL_EXPECT(jobs::find_job(store_, id));
	if (!job)
		return reply;
	if (job->argument.value("host", std::string()) != from.uuid)
		return failure(EPERM, "That migration is with another host.");
	const auto record = record_of(*job);
	const bool memory = life->mover ? life->mover->has_memory() : true;
	const auto order = order_of(record, memory);
	reply.set_order(std::string(name_of(order)));
	reply.set_epoch(epoch_of(record));
	if (order == Order::run && record.terms.rollback && life->mover &&
	    life->mover->grant(record, Mover::Clock::now()))
		reply.set_lease(true);
	return reply;
}

Result<void> Departures::forget()
{
	{
		const std::lock_guard guard(lock_);
		for (auto life = lives_.begin(); life != lives_.end();) {
			const auto job = CORBEL_EXPECT(jobs::find_job(store_, life->first));
			const bool over = !job || is_final(job->state);

			life = over && life->second.use_count() == 1 ? lives_.erase(life)
								     : std::next(life);
		}
	}
	for (const auto &entry : CORBEL_EXPECT(state::list_all(store_, session_prefix)))
		if (!CORBEL_EXPECT(jobs::find_job(store_, job_in(entry))))
			(void)CORBEL_EXPECT(
				store_.commit({.conditions = {{entry.key, entry.changed}},
					       .changes = {state::Erase{entry.key}}}));
	return {};
}

jobs::JobKind Departures::job(const char *kind)
{
	const auto mover = [this](Work &work) {
		const auto life = life_of(work.id());
		const std::lock_guard guard(life->lock);

		if (!life->mover)
			life->mover = std::make_unique<Mover>(store_, hosts_, options_, limits_,
							      life->lock);
		return life;
	};
	const auto step = [mover](SourcePhase phase) {
		return [mover, phase](Work &work) { return mover(work)->mover->run(work, phase); };
	};
	const auto undo = [mover](Work &work) { return mover(work)->mover->undo(work); };
	const auto prepare = [this](Work &work) -> Result<void> {
		auto &data = work.data();

		(void)CORBEL_EXPECT(plan(work.argument()));
		CORBEL_EXPECT(work.argument().contains("container") ? remember_container(work)
								    : remember_vm(work));
		data["session"] = CORBEL_EXPECT(qemu::make_uuid());
		(void)CORBEL_EXPECT(store_.commit(
			{.conditions = {},
			 .changes = {state::Put{fmt::format("{}{}", session_prefix,
							    data["session"].get<std::string>()),
						fmt::format("{}", work.id())}}}));
		return {};
	};
	return {.name = kind,
		.steps = {{.name = "plan", .run = prepare},
			  {.name = "reserve", .run = step(SourcePhase::reserve), .undo = undo},
			  {.name = "warm-up", .run = step(SourcePhase::warm_up), .undo = undo},
			  {.name = "seal", .run = step(SourcePhase::seal), .undo = undo},
			  {.name = "hand-over", .run = step(SourcePhase::hand_over), .undo = undo},
			  {.name = "run", .run = step(SourcePhase::run)},
			  {.name = "drain", .run = step(SourcePhase::drain)},
			  {.name = "finish", .run = step(SourcePhase::finish)}},
		.commit = first_step + static_cast<std::size_t>(commit_point)};
}

} /* namespace corbel::daemon */
