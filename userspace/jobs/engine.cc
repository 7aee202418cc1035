// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine.hh"

#include "worker.hh"

#include <algorithm>
#include <cerrno>
#include <ranges>

#include <fmt/format.h>

namespace corbel::jobs {

namespace {

using namespace std::chrono_literals;
using state::Erase;
using state::Put;

/* Keys of the store. Numbers are padded, so that their order is that of the keys. */
constexpr std::string_view job_prefix = "job/record/";
constexpr std::string_view ready_prefix = "job/ready/"; /* those that somebody shall work on */
constexpr const char *counter_key = "job/last";

std::string record_key(JobId id)
{
	return fmt::format("{}{:020}", job_prefix, id);
}

std::string ready_key(JobId id)
{
	return fmt::format("{}{:020}", ready_prefix, id);
}

std::string owner_key(JobId id)
{
	return fmt::format("job/owner/{:020}", id);
}

std::string client_key(std::string_view key)
{
	return fmt::format("job/key/{}", key);
}

std::unexpected<Error> no_job(JobId id)
{
	return failure(ENOENT, fmt::format("There is no job {}: `corbel job list` shows those "
					   "there are.",
					   id));
}

bool fits(const Json &argument)
{
	try {
		return argument.dump().size() <= most_data;
	} catch (const Json::type_error &) {
		return false; /* a text in it is not UTF-8 */
	}
}

} /* namespace */

Engine::Engine(state::Store &store, std::vector<JobKind> kinds, EngineOptions options)
	: store_(store), kinds_(std::move(kinds)), options_(std::move(options))
{
	if (!options_.now)
		options_.now = [] {
			return std::chrono::time_point_cast<std::chrono::milliseconds>(
				std::chrono::system_clock::now());
		};
}

Result<std::unique_ptr<Engine>> Engine::start(state::Store &store, std::vector<JobKind> kinds,
					      EngineOptions options)
{
	std::unique_ptr<Engine> engine(new Engine(store, std::move(kinds), std::move(options)));

	engine->lease_ = CORBEL_EXPECT(store.grant(engine->options_.lease));
	engine->threads_.emplace_back([it = engine.get()] { it->keep_lease(); });
	for (unsigned i = 0; i < engine->options_.threads; i++)
		engine->threads_.emplace_back([it = engine.get()] { it->work(); });
	return engine;
}

Engine::~Engine()
{
	{
		const std::lock_guard guard(lock_);
		ending_ = true;
	}
	changed_.notify_all();
	work_.notify_all();
	for (auto &thread : threads_)
		thread.join();
	if (lease_)
		(void)store_.revoke(lease_);
}

bool Engine::ending()
{
	const std::lock_guard guard(lock_);

	return ending_;
}

void Engine::changed_something()
{
	const std::lock_guard guard(lock_);

	changes_++;
	changed_.notify_all();
}

void Engine::has_work()
{
	const std::lock_guard guard(lock_);

	works_++;
	work_.notify_all();
}

const JobKind *Engine::kind_of(const std::string &name) const
{
	const auto found = std::ranges::find(kinds_, name, &JobKind::name);

	return found == kinds_.end() ? nullptr : &*found;
}

Result<Engine::Held> Engine::read(JobId id)
{
	const auto entry = CORBEL_EXPECT(store_.get(record_key(id)));

	if (!entry)
		return no_job(id);
	auto job = CORBEL_EXPECT(job_of(entry->value));
	const bool ready = is_ready(job.state);
	return Held{std::move(job), entry->changed, ready};
}

Result<bool> Engine::write(Held &held)
{
	const auto key = record_key(held.job.id);
	const auto text = text_of(json_of(held.job));
	const bool ready = is_ready(held.job.state);
	state::Transaction transaction{.conditions = {{key, held.changed}},
				       .changes = {Put{key, text}}};

	if (ready && !held.was_ready)
		transaction.changes.emplace_back(Put{ready_key(held.job.id), held.job.kind});
	if (!ready)
		transaction.changes.emplace_back(Erase{ready_key(held.job.id)});
	const auto outcome = CORBEL_EXPECT(store_.commit(transaction));
	if (outcome.committed) {
		if (ready && !held.was_ready)
			has_work();
		held.changed = outcome.version;
		held.was_ready = ready;
	}
	changed_something();
	return outcome.committed;
}

Result<Job> Engine::change(JobId id, const std::function<Result<bool>(Job &, const JobKind *)> &how)
{
	for (;;) {
		auto held = CORBEL_EXPECT(read(id));

		if (!CORBEL_EXPECT(how(held.job, kind_of(held.job.kind))))
			return held.job;
		held.job.updated = now();
		if (CORBEL_EXPECT(write(held)))
			return held.job;
	}
}

Result<void> Engine::check(std::string_view kind_name, const Json &argument) const
{
	const JobKind *kind = kind_of(std::string(kind_name));

	if (!kind)
		return failure(EINVAL, fmt::format("There is no kind of job '{}'.", kind_name));
	if (kind->check)
		CORBEL_EXPECT(kind->check(argument));
	if (!fits(argument))
		return failure(EINVAL, fmt::format("The argument of a job is UTF-8 of at most {} "
						   "bytes.",
						   most_data));
	return {};
}

Result<Job> Engine::submit(std::string_view kind_name, const Json &argument, std::string_view key,
			   bool *made)
{
	if (made)
		*made = false;
	for (;;) {
		const auto last = CORBEL_EXPECT(store_.get(counter_key));

		/* What its check looks for may be there because it was done. */
		if (auto before = CORBEL_EXPECT(find(kind_name, argument, key)))
			return *before;
		CORBEL_EXPECT(check(kind_name, argument));
		Job job;
		job.id = last ? std::stoull(last->value) + 1 : 1;
		job.kind = kind_name;
		job.argument = argument;
		job.key = key;
		job.data = Json::object();
		job.created = job.updated = now();
		state::Transaction transaction{
			.conditions = {{counter_key, last ? last->changed : 0}},
			.changes = {Put{counter_key, fmt::format("{}", job.id)},
				    Put{record_key(job.id), json_of(job).dump()},
				    Put{ready_key(job.id), job.kind}}};
		if (!key.empty()) {
			transaction.conditions.push_back({client_key(key), 0});
			transaction.changes.emplace_back(
				Put{client_key(key), fmt::format("{}", job.id)});
		}
		if (CORBEL_EXPECT(store_.commit(transaction)).committed) {
			has_work();
			changed_something();
			if (made)
				*made = true;
			return job;
		}
	}
}

Result<Job> Engine::get(JobId id)
{
	return CORBEL_EXPECT(read(id)).job;
}

Result<std::optional<Job>> Engine::find(std::string_view kind, const Json &argument,
					std::string_view key)
{
	const auto entry = key.empty() ? std::nullopt : CORBEL_EXPECT(store_.get(client_key(key)));

	if (!entry)
		return std::nullopt;
	auto job = CORBEL_EXPECT(get(std::stoull(entry->value)));
	if (job.kind != kind || job.argument != argument)
		return failure(EEXIST, fmt::format("The key '{}' was used for job {}, which is not "
						   "the same: take another.",
						   key, job.id));
	return job;
}

Result<std::vector<Job>> Engine::list()
{
	std::vector<Job> jobs;

	for (const auto &entry : CORBEL_EXPECT(state::list_all(store_, job_prefix)))
		jobs.push_back(CORBEL_EXPECT(job_of(entry.value)));
	return jobs;
}

Result<Job> Engine::cancel(JobId id, bool dry_run)
{
	return change(id, [&](Job &job, const JobKind *kind) -> Result<bool> {
		if (job.cancel || job.state == JobState::cancelled)
			return false;
		if (is_final(job.state))
			return failure(EBUSY, fmt::format("Job {} has ended: it is {}.", id,
							  name_of(job.state)));
		if (!kind)
			return failure(EBUSY,
				       fmt::format("Nobody here knows jobs of kind '{}', so job {} "
						   "waits for one who does.",
						   job.kind, id));
		if (job.step >= kind->commit && !job.backwards)
			return failure(EBUSY,
				       fmt::format("Job {} is past its commit point (it is at "
						   "'{}'): it will be completed.",
						   id, job.step_name));
		job.cancel = !dry_run;
		return !dry_run;
	});
}

Result<Job> Engine::resume(JobId id, bool dry_run)
{
	return change(id, [&](Job &job, const JobKind *) -> Result<bool> {
		if (job.state != JobState::stalled)
			return failure(EBUSY, fmt::format("Job {} is not stalled: it is {}.", id,
							  name_of(job.state)));
		if (dry_run)
			return false;
		job.state = job.backwards ? JobState::undoing : JobState::running;
		job.stalled_by.clear();
		return true;
	});
}

Result<bool> Engine::forget(JobId id)
{
	const auto held = read(id);

	if (!held)
		return held.error().number == ENOENT ? Result<bool>(false)
						     : std::unexpected(held.error());
	if (!is_final(held->job.state))
		return failure(EBUSY, fmt::format("Job {} has not ended: it is {}.", id,
						  name_of(held->job.state)));
	state::Transaction transaction{.conditions = {{record_key(id), held->changed}},
				       .changes = {Erase{record_key(id)}}};

	if (!held->job.key.empty())
		transaction.changes.emplace_back(Erase{client_key(held->job.key)});
	return CORBEL_EXPECT(store_.commit(transaction)).committed;
}

Result<std::size_t> Engine::forget_ended(Time before, std::size_t most)
{
	std::size_t forgotten = 0, ended = 0;
	auto jobs = CORBEL_EXPECT(list());

	for (const auto &job : jobs | std::views::reverse) {
		if (!is_final(job.state))
			continue;
		if (++ended > most || job.updated < before)
			forgotten += CORBEL_EXPECT(forget(job.id));
	}
	return forgotten;
}

Result<Job> Engine::change_seen(JobId id, state::Version &seen, std::chrono::milliseconds limit)
{
	const auto end = std::chrono::steady_clock::now() + limit;

	for (;;) {
		std::unique_lock guard(lock_);
		const auto changes = changes_;

		guard.unlock();
		auto held = CORBEL_EXPECT(read(id));
		if (held.changed != seen || std::chrono::steady_clock::now() >= end) {
			seen = held.changed;
			return held.job;
		}
		guard.lock();
		/* Another engine's changes are not announced here. */
		changed_.wait_for(guard, 200ms, [&] { return ending_ || changes_ != changes; });
		if (ending_)
			return held.job;
	}
}

Result<Job> Engine::wait(JobId id, std::chrono::milliseconds limit)
{
	const auto end = std::chrono::steady_clock::now() + limit;

	for (;;) {
		std::unique_lock guard(lock_);
		const auto seen = changes_;

		guard.unlock();
		auto job = CORBEL_EXPECT(get(id));
		if (!is_ready(job.state))
			return job;
		if (std::chrono::steady_clock::now() >= end)
			return failure(ETIMEDOUT,
				       fmt::format("Job {} is {} still.", id, name_of(job.state)));
		guard.lock();
		/* Another engine's changes are not announced here. */
		changed_.wait_for(guard, 200ms, [&] { return changes_ != seen; });
	}
}

Result<std::optional<Job>> find_job(state::Store &store, JobId id)
{
	const auto entry = CORBEL_EXPECT(store.get(record_key(id)));

	if (!entry)
		return std::nullopt;
	return CORBEL_EXPECT(job_of(entry->value));
}

Result<void> erase_job(state::Store &store, JobId id)
{
	const auto entry = CORBEL_EXPECT(store.get(record_key(id)));

	if (!entry)
		return no_job(id);
	const auto key = CORBEL_EXPECT(job_of(entry->value)).key;
	state::Transaction transaction{
		.conditions = {},
		.changes = {Erase{record_key(id)}, Erase{ready_key(id)}, Erase{owner_key(id)}}};

	if (!key.empty())
		transaction.changes.emplace_back(Erase{client_key(key)});
	(void)CORBEL_EXPECT(store.commit(transaction));
	return {};
}

/* ---- who works on what ------------------------------------------------------------- */

Result<std::optional<Engine::Claim>> Engine::claim(JobId id)
{
	const auto key = owner_key(id);
	state::LeaseId lease = 0;
	{
		const std::lock_guard guard(lock_);
		lease = lease_;
	}
	/* Our own one is from a time when it could not be given up. */
	const auto owner = CORBEL_EXPECT(store_.get(key));
	const bool ours = owner && (owner->lease == lease ||
				    (!options_.holder.empty() && owner->value == options_.holder));
	if (owner && !ours)
		return std::nullopt;
	const auto outcome =
		CORBEL_EXPECT(store_.commit({.conditions = {{key, owner ? owner->changed : 0}},
					     .changes = {Put{key, options_.holder, lease}}}));

	if (!outcome.committed)
		return std::nullopt;
	return Claim{id, lease, outcome.version};
}

/* What is somebody else's by now stays so. */
void Engine::release(const Claim &claim)
{
	const auto key = owner_key(claim.id);

	(void)store_.commit({.conditions = {{key, claim.version}}, .changes = {Erase{key}}});
	has_work();
}

Result<std::optional<Engine::Claim>> Engine::find_work()
{
	for (const auto &entry : CORBEL_EXPECT(store_.list(ready_prefix))) {
		if (!kind_of(entry.value))
			continue;
		const JobId id = std::stoull(entry.key.substr(ready_prefix.size()));
		{
			const std::lock_guard guard(lock_);
			if (ending_)
				return std::nullopt;
			if (!mine_.insert(id).second)
				continue;
		}
		auto claimed = claim(id);
		if (claimed && *claimed)
			return *claimed;
		const std::lock_guard guard(lock_);
		mine_.erase(id);
		if (!claimed)
			return std::unexpected(claimed.error());
	}
	return std::nullopt;
}

void Engine::work_on(const Claim &claim)
{
	auto held = read(claim.id);
	const JobKind *kind = held ? kind_of(held->job.kind) : nullptr;

	/* One that cannot be read or written waits for better times. */
	if (kind && (!is_ready(held->job.state) ||
		     Worker(*this, *kind, std::move(*held), claim.lease).run()))
		return;
	std::unique_lock guard(lock_);
	changed_.wait_for(guard, 200ms, [&] { return ending_; });
}

void Engine::work()
{
	while (!ending()) {
		std::unique_lock guard(lock_);
		const auto seen = works_;

		guard.unlock();
		const auto found = find_work();
		if (found && *found) {
			work_on(**found);
			release(**found);
			guard.lock();
			mine_.erase((*found)->id);
			continue;
		}
		guard.lock();
		work_.wait_for(guard, options_.lease / 4,
			       [&] { return ending_ || works_ != seen; });
	}
}

/* A lease that was lost all the same is replaced; its jobs are then somebody else's. */
void Engine::keep_lease()
{
	std::unique_lock guard(lock_);

	while (!ending_) {
		changed_.wait_for(guard, options_.lease / 4, [&] { return ending_; });
		const auto lease = lease_;
		guard.unlock();
		const auto kept = store_.keep_alive(lease);
		const auto next = !kept && kept.error().number == ENOENT
					  ? store_.grant(options_.lease)
					  : Result<state::LeaseId>(lease);
		guard.lock();
		if (next)
			lease_ = *next;
	}
}

} /* namespace corbel::jobs */
