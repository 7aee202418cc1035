// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon.hh"

#include "backup_job.hh"
#include "host_handlers.hh"
#include "job_handlers.hh"
#include "job_view.hh"
#include "log.hh"
#include "migrate_handlers.hh"
#include "pool_handlers.hh"
#include "probe_job.hh"
#include "qos_handlers.hh"
#include "vm_handlers.hh"

#include "../corbel/quantity.hh"
#include "../qemu/runner.hh"
#include "../state/sqlite_store.hh"
#include "../volumes/defragment.hh"
#include "../volumes/evacuation.hh"
#include "../volumes/tiering.hh"

#include <corbel/version.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <stop_token>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace corbel::daemon {

namespace {

using namespace std::chrono_literals;

std::unexpected<Error> failed(const std::string &path)
{
	return failure(errno, fmt::format("{}: {}.", path, describe_errno(errno)));
}

/* With @mode if it is made; those above it as usual. */
Result<void> make_folder(const std::string &path, mode_t mode)
{
	std::error_code error;

	std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
	if (error || (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST))
		return failed(path);
	return {};
}

/* Released by the kernel, however its holder ends. */
Result<ScopedFd> take_lock(const std::string &path)
{
	ScopedFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));

	if (!file)
		return failed(path);
	/* A process that one that was killed had just made may have it for a moment. */
	for (int i = 0; ::flock(file.get(), LOCK_EX | LOCK_NB) != 0; i++) {
		if (i == 200)
			return failure(
				EBUSY,
				fmt::format("Another corbeld has the state in {}: there is "
					    "one for each host.",
					    std::filesystem::path(path).parent_path().string()));
		std::this_thread::sleep_for(10ms);
	}
	return file;
}

std::string name_of_host()
{
	char name[HOST_NAME_MAX + 1] = "";

	return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

} /* namespace */

Result<std::unique_ptr<Daemon>> Daemon::start(Settings settings)
{
	std::unique_ptr<Daemon> daemon(new Daemon(std::move(settings)));

	CORBEL_EXPECT(daemon->start());
	return daemon;
}

/* Calls of other hosts end before what they call does. */
Daemon::~Daemon()
{
	local_.reset();
	if (hosts_)
		hosts_->set_migrations(nullptr);
}

Result<void> Daemon::start()
{
	CORBEL_EXPECT(make_folder(settings_.state, 0700));
	CORBEL_EXPECT(make_folder(std::filesystem::path(settings_.socket).parent_path(), 0755));
	lock_ = CORBEL_EXPECT(take_lock(settings_.state + "/lock"));
	store_ = CORBEL_EXPECT(
		state::open_sqlite_store(CORBEL_EXPECT(state::options_for(state_file()))));
	warnings_ = std::make_unique<Warnings>(*store_);
	hosts_ = CORBEL_EXPECT(Hosts::start({settings_.state + "/identity", settings_.listen},
					    *store_, *warnings_));
	qemu::RunnerOptions runner;
	runner.root = settings_.vms;
	runner.cgroups = qemu::Cgroups({}, settings_.slice);
	settings_.migration.containers = settings_.state + "/containers";
	settings_.migration.slice = settings_.slice;
	/* Disks first: jobs and VMs may be about them, and VMs come with them. */
	mapper_ = volumes::make_mapper();
	pools_ = std::make_unique<volumes::Pools>(*store_, *mapper_);
	volumes_ = std::make_unique<PoolVolumes>(*pools_);
	settings_.migration.volumes = volumes_.get();
	luns_ = std::make_unique<workloads::Luns>(*store_, *mapper_);
	layouts_ = workloads::make_layouts();
	objects_ = std::make_unique<workloads::Objects>(*luns_, *layouts_);
	const auto warn = [this](const std::string &sentence) {
		warnings_->add(jobs::Severity::warning, sentence);
	};
	/* A pool may lie on a LUN that is under QoS, and such a LUN be a pool's volume. */
	luns_->start_all(nullptr);
	pools_->start_all(warn);
	luns_->start_all(warn);
	arrivals_ = std::make_unique<Arrivals>(*store_, *hosts_, *warnings_, runner,
					       settings_.migration);
	departures_ = std::make_unique<Departures>(*store_, *hosts_, runner, settings_.migration);
	hosts_->set_migrations(std::make_shared<Migrations>(*arrivals_, *departures_));
	follower_ = std::make_unique<workloads::Follower>(*luns_, *objects_, warn);
	std::vector<jobs::JobKind> kinds{
		backup_job(state_file()),	  probe_job(*hosts_),	  rotate_job(*hosts_),
		qemu::start_job(*store_, runner), qemu::stop_job(runner), departures_->job(),
		departures_->container_job()};
	for (auto &kind : volumes::evacuation_jobs(*pools_))
		kinds.push_back(std::move(kind));
	kinds.push_back(volumes::tier_job(*pools_));
	kinds.push_back(volumes::defragment_job(*pools_));
	/* A migration may wait for long, and others must not wait for it. */
	engine_ = CORBEL_EXPECT(jobs::Engine::start(*store_, std::move(kinds),
						    {.threads = 16, .holder = "corbeld"}));
	guests_ = std::make_unique<qemu::HostGuests>([this] { return own_guests(settings_.vms); });
	inventory_ = std::make_unique<qemu::Inventory>(*guests_);
	serve_metrics();

	add_job_handlers(dispatcher_, *engine_);
	add_host_handlers(dispatcher_, *hosts_, *engine_);
	add_vm_handlers(dispatcher_, {*store_, *engine_, *inventory_, *arrivals_, settings_.vms});
	add_pool_handlers(dispatcher_, *pools_, *engine_);
	add_qos_handlers(dispatcher_, *luns_, *objects_, *inventory_);
	add_migrate_handlers(dispatcher_, *hosts_, *departures_, *engine_);
	dispatcher_.add_object(cli::status_verb, [this](const Json &) { return status(); });
	dispatcher_.add_object(cli::state_backup_verb, [this](const Json &arguments) {
		const auto file = arguments.at("file").get<std::string>();

		return begin_job(*engine_, backup_kind, {{"file", file}}, arguments,
				 fmt::format("Copies the state to {}.", file));
	});
	CORBEL_EXPECT(dispatcher_.check_complete());
	local_ = CORBEL_EXPECT(LocalServer::start(dispatcher_, settings_.socket, settings_.group));
	tender_ = std::jthread([this](const std::stop_token &stop) { tend(stop); });
	watch_ = std::make_unique<PoolWatch>(*pools_, *warnings_);
	watcher_ = std::jthread([this](const std::stop_token &stop) { watch_->run(stop); });
	log(Level::notice,
	    fmt::format("corbeld {} answers on {}.", CORBEL_VERSION, settings_.socket),
	    {{"VERSION", CORBEL_VERSION}});
	return {};
}

/* Somebody else may have the port: all else goes on without. */
void Daemon::serve_metrics()
{
	if (settings_.metrics.empty())
		return;
	metrics_ = std::make_unique<metrics::Service>(
		[this] { return inventory_->snapshot(); },
		metrics::JobSources{.version = [this] { return store_->version(); },
				    .jobs = [this] { return engine_->list(); },
				    .warnings = [this] { return warnings_->list(); }});
	if (const auto listens = metrics_->listen(settings_.metrics); !listens) {
		metrics_.reset();
		warnings_->add(jobs::Severity::warning, listens.error().sentence);
	}
}

void Daemon::tend(const std::stop_token &stop)
{
	std::mutex lock;
	std::condition_variable_any never;
	std::unique_lock guard(lock);

	do {
		forget_old_jobs();
		hosts_->tend(stop);
	} while (!never.wait_for(guard, stop, 1min, [&] { return stop.stop_requested(); }));
}

void Daemon::forget_old_jobs()
{
	const auto before = std::chrono::time_point_cast<std::chrono::milliseconds>(
		std::chrono::system_clock::now() - std::chrono::days(settings_.keep_days));
	const auto forgotten = engine_->forget_ended(before, settings_.keep_jobs);
	const auto warn = [&](const Error &error) {
		warnings_->add(jobs::Severity::warning,
			       fmt::format("Old jobs are not forgotten: {}", error.sentence));
	};

	if (!forgotten)
		warn(forgotten.error());
	if (const auto done = departures_->forget(); !done)
		warn(done.error());
	if (const auto done = arrivals_->forget(before); !done)
		warn(done.error());
}

Result<Json> Daemon::status()
{
	auto jobs = Json::object();
	auto warnings = Json::array();

	for (const auto &job : CORBEL_EXPECT(engine_->list())) {
		auto &count = jobs[std::string(name_of(job.state))];
		count = count.is_null() ? 1 : count.get<std::uint64_t>() + 1;
	}
	for (const auto &warning : CORBEL_EXPECT(warnings_->list()))
		warnings.push_back(view_of(warning));
	return Json{{"version", CORBEL_VERSION},       {"name", name_of_host()},
		    {"since", cli::show_time(since_)}, {"pid", ::getpid()},
		    {"state", state_file()},	       {"jobs", std::move(jobs)},
		    {"warnings", std::move(warnings)}};
}

} /* namespace corbel::daemon */
