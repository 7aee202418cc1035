// SPDX-License-Identifier: GPL-2.0-or-later
/* VMs that are started and stopped: what runs afterwards, whoever dies meanwhile. */
#include "../jobs/engine.hh"
#include "../qemu/definitions.hh"
#include "../qemu/launcher.hh"
#include "../qemu/process.hh"
#include "../qemu/qmp.hh"
#include "../qemu/runner.hh"
#include "../state/sqlite_store.hh"
#include "result.hh"
#include "temporary_folder.hh"

#include <libcorbel/text_file.hh>

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <random>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::qemu;
using namespace std::chrono_literals;
using jobs::Engine;
using jobs::Job;
using jobs::JobState;
using testing::HasSubstr;
using testing::Not;

class Runner : public testing::Test {
protected:
	Runner()
	{
		if (!find_program("qemu-system-x86_64"))
			return;
		has_qemu = true;
		options = {.root = folder.path() / "vm",
			   .program = "qemu-system-x86_64",
			   .cgroups = Cgroups(folder.path() / "no-cgroups"),
			   .ready_limit = 30s,
			   .powerdown_limit = 100ms,
			   .quit_limit = 5s};
		std::filesystem::create_directory(folder.path() / "no-cgroups");
		store = open();
		must(define(*store, description()));
	}
	~Runner() override
	{
		engine.reset();
		for (const auto &[name, launch] : running_below(options.root))
			(void)kill_process(launch.pid, launch.started);
	}
	void SetUp() override
	{
		if (!has_qemu)
			GTEST_SKIP() << "there is no qemu-system-x86_64 here";
	}

	static Description description(std::string_view more = {})
	{
		return must(
			description_of(fmt::format("name = 'v'\nmemory = '32M'\nmachine = 'none'\n"
						   "accelerator = 'tcg'\n{}",
						   more),
				       "test", FileCheck::no));
	}
	[[nodiscard]] std::unique_ptr<state::Store> open() const
	{
		return must(state::open_sqlite_store(
			must(state::options_for(folder.path() / "state"))));
	}
	[[nodiscard]] std::unique_ptr<Engine> engine_on(state::Store &state) const
	{
		return must(Engine::start(state, {start_job(state, options), stop_job(options)},
					  {.threads = 1, .lease = 100ms}));
	}
	Job run(std::string_view kind, std::string_view key = {})
	{
		if (!engine)
			engine = engine_on(*store);
		return must(engine->wait(must(engine->submit(kind, {{"vm", "v"}}, key)).id, 60s));
	}
	/* Of all processes, also of those that no record names. */
	[[nodiscard]] std::vector<pid_t> qemus() const
	{
		std::vector<pid_t> found;

		for (const auto &process : std::filesystem::directory_iterator("/proc")) {
			const auto pid = std::atoi(process.path().filename().c_str());
			const auto line =
				pid > 0 ? text_of_file(process.path() / "cmdline").value_or("")
					: "";

			if (line.starts_with("qemu-system") &&
			    line.find(options.root.string()) != line.npos && start_of(pid))
				found.push_back(pid);
		}
		return found;
	}

	TemporaryFolder folder;
	bool has_qemu = false;
	RunnerOptions options;
	std::unique_ptr<state::Store> store;
	std::unique_ptr<Engine> engine;
	Runtime runtime{folder.path() / "vm", "v"};
};

TEST_F(Runner, starts_and_stops)
{
	auto job = run(start_kind);
	ASSERT_EQ(job.state, JobState::done) << job.error;
	const auto launch = runtime.launch();
	ASSERT_TRUE(launch);
	EXPECT_TRUE(must(runtime.is_running()));
	EXPECT_EQ(qemus(), std::vector{launch->pid});
	EXPECT_TRUE(Qmp::connect(runtime.file("qmp"), 5s, launch->pid));

	/* It outlasts whoever started it. */
	engine.reset();
	EXPECT_TRUE(is_alive(launch->pid, launch->started));
	EXPECT_EQ(running_below(options.root).size(), 1U);

	job = run(stop_kind);
	EXPECT_EQ(job.state, JobState::done) << job.stalled_by;
	EXPECT_EQ(qemus().size(), 0U);
	EXPECT_FALSE(std::filesystem::exists(runtime.folder()));
}

TEST_F(Runner, changes_nothing_of_what_is_so_already)
{
	auto job = run(stop_kind);
	EXPECT_EQ(job.state, JobState::done) << job.stalled_by;
	ASSERT_EQ(job.warnings.size(), 1U);
	EXPECT_THAT(job.warnings[0].text, HasSubstr("did not run"));

	ASSERT_EQ(run(start_kind).state, JobState::done);
	const auto before = runtime.launch();
	job = run(start_kind);
	EXPECT_EQ(job.state, JobState::done) << job.error;
	ASSERT_FALSE(job.warnings.empty());
	EXPECT_THAT(job.warnings[0].text, HasSubstr("ran already"));
	ASSERT_TRUE(before && runtime.launch());
	EXPECT_EQ(runtime.launch()->pid, before->pid);
}

TEST_F(Runner, leaves_nothing_of_a_start_that_fails)
{
	must(define(*store, description("extra = ['-device', 'no-such-device']\n")));
	const auto job = run(start_kind);
	EXPECT_EQ(job.state, JobState::failed);
	EXPECT_THAT(job.error, HasSubstr("no-such-device"));
	EXPECT_FALSE(std::filesystem::exists(runtime.folder()));
	EXPECT_EQ(qemus().size(), 0U);
}

/* Where corbel_postcopy.ko is not loaded, as on any machine that these tests are for. */
TEST_F(Runner, has_ordinary_memory_where_there_is_no_other)
{
	if (std::filesystem::exists("/dev/corbel"))
		GTEST_SKIP() << "the modules are loaded";
	auto job = run(start_kind);
	ASSERT_EQ(job.state, JobState::done) << job.error;
	EXPECT_TRUE(std::ranges::any_of(job.warnings, [](const auto &warning) {
		return warning.text.contains("ordinary memory");
	}));
	ASSERT_TRUE(runtime.launch());
	EXPECT_FALSE(runtime.launch()->memory);

	ASSERT_EQ(run(stop_kind).state, JobState::done);
	must(define(*store, description("memory_backing = 'corbel'\n")));
	job = run(start_kind);
	EXPECT_EQ(job.state, JobState::failed);
	EXPECT_THAT(job.error, HasSubstr("corbel_postcopy.ko is not loaded"));
	EXPECT_FALSE(std::filesystem::exists(runtime.folder()));
	EXPECT_EQ(qemus().size(), 0U);

	must(define(*store, description("memory_backing = 'ordinary'\n")));
	job = run(start_kind);
	EXPECT_EQ(job.state, JobState::done) << job.error;
	for (const auto &warning : job.warnings)
		EXPECT_THAT(warning.text, Not(HasSubstr("ordinary memory")));
}

TEST(runtime, remembers_the_memory_object)
{
	const TemporaryFolder folder;
	const Runtime runtime(folder.path(), "v");

	must(runtime.make());
	must(runtime.write({.pid = 7,
			    .started = 8,
			    .token = "t",
			    .cgroup = "",
			    .memory = 12,
			    .migration = "s"}));
	EXPECT_EQ(runtime.launch().value().memory, 12U);
	EXPECT_EQ(runtime.launch().value().migration, "s");
	std::ofstream(runtime.file("launch.json")) << R"({"pid":7,"memory":-1})";
	EXPECT_FALSE(runtime.launch().value().memory);
}

TEST(runtime, has_a_process_or_none)
{
	const TemporaryFolder folder;
	const Runtime runtime(folder.path(), "v");
	const auto read = [&](const char *json) {
		std::filesystem::create_directory(runtime.folder());
		std::ofstream(runtime.file("launch.json")) << json;
		return runtime.launch();
	};

	EXPECT_EQ(read(R"({"pid":7})").value().pid, 7);
	EXPECT_FALSE(read("{}")) << "kill(0) reaches several";
	EXPECT_FALSE(read(R"({"pid":4294967295})")) << "kill(-1) reaches all";
	EXPECT_FALSE(read(R"({"pid":-1})"));
	EXPECT_FALSE(read("[]"));
}

TEST_F(Runner, starts_what_died_anew)
{
	ASSERT_EQ(run(start_kind).state, JobState::done);
	const auto first = runtime.launch();
	ASSERT_TRUE(first);
	must(kill_process(first->pid, first->started));
	ASSERT_EQ(run(start_kind).state, JobState::done);
	ASSERT_TRUE(runtime.launch());
	EXPECT_EQ(qemus(), std::vector{runtime.launch()->pid});
}

unsigned turns()
{
	const char *scale = std::getenv("CORBEL_SCALE");

	return 25 * (scale ? std::max(1, std::atoi(scale)) : 1);
}

/* Whoever works on a start or a stop is killed at a random moment, and another goes on. */
TEST_F(Runner, comes_to_the_same_however_often_it_is_killed)
{
	std::mt19937 random(3);
	unsigned taken_up = 0;

	engine.reset();
	store.reset();
	for (unsigned turn = 0; turn < turns(); turn++) {
		const auto *kind = turn % 2 ? stop_kind : start_kind;
		const auto key = fmt::format("{}", turn);

		for (unsigned lives = 1 + random() % 3; lives; lives--) {
			const auto child = ::fork();

			if (child == 0) {
				const auto state = open();
				const auto worker = engine_on(*state);

				(void)worker->submit(kind, {{"vm", "v"}}, key);
				::pause();
			}
			::usleep(static_cast<useconds_t>(random() % 250000));
			::kill(child, SIGKILL);
			::waitpid(child, nullptr, 0);
		}
		store = open();
		const auto job = run(kind, key);
		taken_up += job.attempts > 1;
		ASSERT_EQ(job.state, JobState::done) << turn << ": " << job.error << job.stalled_by;
		const bool runs = kind == start_kind;
		ASSERT_EQ(qemus().size(), runs ? 1U : 0U) << turn;
		ASSERT_EQ(must(runtime.is_running()), runs) << turn;
		ASSERT_EQ(std::filesystem::exists(runtime.folder()), runs) << turn;
		engine.reset();
		store.reset();
	}
	EXPECT_GT(taken_up, 0U);
}

} /* namespace */

} /* namespace corbel::test */
