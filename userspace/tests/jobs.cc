// SPDX-License-Identifier: GPL-2.0-or-later
/* Jobs: what they come to, whoever dies, gives up or changes his mind meanwhile. */
#include "../jobs/engine.hh"
#include "../state/sqlite_store.hh"
#include "result.hh"
#include "temporary_folder.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <random>
#include <semaphore>
#include <thread>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::jobs;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

namespace fs = std::filesystem;

std::unique_ptr<state::Store> open_store(const TemporaryFolder &folder)
{
	return must(
		state::open_sqlite_store(must(state::options_for(folder.path() / "state.sqlite"))));
}

/* A store, and engines on it that come and go. */
class Jobs : public testing::Test {
protected:
	void begin(std::vector<JobKind> kinds)
	{
		engine = must(Engine::start(*store, std::move(kinds), {.lease = 1s}));
	}
	/* The end of a job that was submitted. */
	Job run(std::string_view kind, const Json &argument = Json::object())
	{
		return must(engine->wait(must(engine->submit(kind, argument)).id, 60s));
	}

	TemporaryFolder folder;
	std::unique_ptr<state::Store> store = open_store(folder);
	std::unique_ptr<Engine> engine;
};

/* A kind whose steps write down that they were run and undone. */
struct Diary {
	std::mutex lock;
	std::vector<std::string> lines;

	void note(std::string line)
	{
		const std::lock_guard guard(lock);

		lines.push_back(std::move(line));
	}
	Step step(const std::string &name, const std::function<Result<void>(Work &)> &also = {})
	{
		return {name,
			[this, name, also](Work &work) -> Result<void> {
				note(name);
				return also ? also(work) : Result<void>();
			},
			[this, name](Work &) -> Result<void> {
				note("undo " + name);
				return {};
			}};
	}
};

Result<void> refuse(Work &)
{
	return failure(EIO, "The disk is gone.");
}

TEST_F(Jobs, run_from_the_first_step_to_the_last)
{
	Diary diary;

	begin({{"walk", {diary.step("a"), diary.step("b"), diary.step("c")}, 2}});
	const auto job = run("walk", {{"to", 5}});
	EXPECT_EQ(job.state, JobState::done);
	EXPECT_EQ(job.error, "");
	EXPECT_EQ(job.argument["to"], 5);
	EXPECT_EQ(job.attempts, 1U);
	EXPECT_THAT(diary.lines, ElementsAre("a", "b", "c"));
	EXPECT_EQ(must(engine->list()).size(), 1U);
}

TEST_F(Jobs, are_undone_when_a_step_fails_before_the_commit_point)
{
	Diary diary;

	begin({{"walk", {diary.step("a"), diary.step("b", refuse), diary.step("c")}, 2}});
	const auto job = run("walk");
	EXPECT_EQ(job.state, JobState::failed);
	EXPECT_EQ(job.error, "The disk is gone.");
	EXPECT_THAT(diary.lines, ElementsAre("a", "b", "undo b", "undo a"));
}

TEST_F(Jobs, stall_when_a_step_fails_after_it_and_can_be_resumed)
{
	Diary diary;
	std::atomic<bool> broken = true;

	begin({{"walk",
		{diary.step("a"),
		 diary.step("b",
			    [&](Work &work) { return broken ? refuse(work) : Result<void>(); })},
		1}});
	auto job = run("walk");
	EXPECT_EQ(job.state, JobState::stalled);
	EXPECT_EQ(job.stalled_by, "The disk is gone.");
	EXPECT_EQ(job.step_name, "b");
	EXPECT_EQ(error_of(engine->cancel(job.id)), EBUSY);
	must(engine->resume(job.id));
	EXPECT_EQ(must(engine->wait(job.id, 60s)).state, JobState::stalled);
	broken = false;
	must(engine->resume(job.id));
	job = must(engine->wait(job.id, 60s));
	EXPECT_EQ(job.state, JobState::done);
	EXPECT_EQ(job.stalled_by, "");
	EXPECT_EQ(error_of(engine->resume(job.id)), EBUSY);
	EXPECT_THAT(diary.lines, ElementsAre("a", "b", "b", "b"));
}

TEST_F(Jobs, stall_when_something_cannot_be_undone)
{
	Diary diary;
	std::atomic<bool> broken = true;
	auto first = diary.step("a");

	first.undo = [&](Work &work) { return broken ? refuse(work) : Result<void>(); };
	begin({{"walk", {first, diary.step("b", refuse)}, 2}});
	auto job = run("walk");
	EXPECT_EQ(job.state, JobState::stalled);
	EXPECT_TRUE(job.backwards);
	broken = false;
	must(engine->resume(job.id));
	EXPECT_EQ(must(engine->wait(job.id, 60s)).state, JobState::failed);
}

/* A step that waits until it is told to go on. */
struct Gate {
	std::binary_semaphore reached{0}, open{0};

	Result<void> operator()(Work &work)
	{
		reached.release();
		while (!open.try_acquire_for(5ms))
			if (work.interrupted())
				return failure(EINTR, "Interrupted.");
		return {};
	}
};

TEST_F(Jobs, that_are_cancelled_are_undone)
{
	Diary diary;
	Gate gate;

	begin({{"walk", {diary.step("a"), diary.step("b", std::ref(gate)), diary.step("c")}, 2}});
	const auto id = must(engine->submit("walk", {})).id;
	gate.reached.acquire();
	EXPECT_TRUE(must(engine->cancel(id)).cancel);
	EXPECT_EQ(error_of(engine->cancel(id)), 0) << "once more";
	const auto job = must(engine->wait(id, 60s));
	EXPECT_EQ(job.state, JobState::cancelled);
	EXPECT_EQ(job.error, "");
	EXPECT_THAT(diary.lines, ElementsAre("a", "b", "undo b", "undo a"));
}

/* Who cancels just before the commit point, and is told it will be undone, is right. */
TEST_F(Jobs, do_not_pass_their_commit_point_once_cancelled)
{
	Diary diary;
	Gate gate;
	const auto deaf = [&](Work &) -> Result<void> {
		gate.reached.release();
		gate.open.acquire();
		return {};
	};

	begin({{"walk", {diary.step("a", deaf), diary.step("b")}, 1}});
	const auto id = must(engine->submit("walk", {})).id;
	gate.reached.acquire();
	must(engine->cancel(id));
	gate.open.release();
	EXPECT_EQ(must(engine->wait(id, 60s)).state, JobState::cancelled);
	EXPECT_THAT(diary.lines, ElementsAre("a", "undo a"));
	EXPECT_EQ(error_of(engine->cancel(id)), 0) << "it is";
}

TEST_F(Jobs, cannot_be_cancelled_after_their_commit_point)
{
	Diary diary;
	Gate gate;

	begin({{"walk", {diary.step("a"), diary.step("b", std::ref(gate))}, 1}});
	const auto id = must(engine->submit("walk", {})).id;
	gate.reached.acquire();
	const auto refused = engine->cancel(id);
	EXPECT_EQ(error_of(refused), EBUSY);
	EXPECT_THAT(refused.error().sentence, HasSubstr("commit point (it is at 'b')"));
	gate.open.release();
	EXPECT_EQ(must(engine->wait(id, 60s)).state, JobState::done);
	EXPECT_EQ(error_of(engine->cancel(id)), EBUSY) << "it has ended";
}

TEST_F(Jobs, with_the_same_key_are_the_same)
{
	Diary diary;

	begin({{"walk", {diary.step("a")}, 1},
	       {"picky", {}, 0, [](const Json &argument) -> Result<void> {
			if (argument.contains("vm"))
				return {};
			return failure(EINVAL, "Say which VM.");
		}}});
	const auto first = must(engine->submit("walk", {{"n", 1}}, "k"));
	EXPECT_EQ(must(engine->submit("walk", {{"n", 1}}, "k")).id, first.id);
	EXPECT_EQ(must(engine->wait(first.id, 60s)).state, JobState::done);
	EXPECT_EQ(must(engine->submit("walk", {{"n", 1}}, "k")).state, JobState::done);
	EXPECT_EQ(error_of(engine->submit("walk", {{"n", 2}}, "k")), EEXIST);
	EXPECT_EQ(error_of(engine->submit("fly", {})), EINVAL);
	EXPECT_EQ(error_of(engine->submit("picky", Json::object())), EINVAL);
	EXPECT_EQ(error_of(engine->get(4711)), ENOENT);
	EXPECT_EQ(must(engine->list()).size(), 1U);
	EXPECT_THAT(diary.lines, ElementsAre("a"));
}

TEST_F(Jobs, count_the_same_warning)
{
	begin({{"grumble",
		{{"a",
		  [](Work &work) -> Result<void> {
			  for (int i = 0; i < 3; i++)
				  work.warn(Severity::warning, "It is slow.");
			  for (int i = 0; i < 500; i++)
				  work.warn(Severity::info, fmt::format("Number {}.", i));
			  work.progress(7, 10, "files");
			  return {};
		  }}},
		1}});
	const auto job = run("grumble");
	ASSERT_EQ(job.warnings.size(), 100U);
	EXPECT_EQ(job.warnings[0].text, "It is slow.");
	EXPECT_EQ(job.warnings[0].count, 3U);
	EXPECT_LE(job.warnings[0].first, job.warnings[0].last);
	EXPECT_THAT(job.warnings.back().text, HasSubstr("More kinds"));
	EXPECT_EQ(job.progress, (Progress{7, 10, "files"}));
}

/* Nobody is there any more, but what he had begun goes on where it was. */
TEST_F(Jobs, go_on_with_the_next_engine)
{
	Diary diary;
	Gate gate;
	const std::vector<JobKind> kinds{{"walk",
					  {diary.step("a",
						      [](Work &work) -> Result<void> {
							      work.data()["seen"] = 5;
							      return {};
						      }),
					   diary.step("b", std::ref(gate))},
					  2}};

	begin(kinds);
	const auto id = must(engine->submit("walk", {})).id;
	gate.reached.acquire();
	engine.reset();
	EXPECT_EQ(diary.lines.size(), 2U) << "nothing is undone by an ending daemon";
	gate.open.release();
	begin(kinds);
	const auto job = must(engine->wait(id, 60s));
	EXPECT_EQ(job.state, JobState::done);
	EXPECT_EQ(job.data["seen"], 5);
	EXPECT_EQ(job.attempts, 2U);
	EXPECT_THAT(diary.lines, ElementsAre("a", "b", "b"));
}

TEST_F(Jobs, wait_for_a_daemon_that_knows_their_kind)
{
	Diary diary;

	begin({{"walk", {diary.step("a")}, 1}});
	const auto id = must(engine->submit("walk", {})).id;
	must(engine->wait(id, 60s));
	engine.reset();
	begin({{"other", {diary.step("b")}, 1}});
	EXPECT_EQ(run("other").state, JobState::done);
	EXPECT_EQ(must(engine->get(id)).kind, "walk");
}

TEST_F(Jobs, of_a_kind_that_nobody_knows_are_left_alone)
{
	Diary diary;
	Gate gate;

	begin({{"walk", {diary.step("a", std::ref(gate))}, 1}});
	const auto id = must(engine->submit("walk", {})).id;
	gate.reached.acquire();
	engine.reset();
	begin({{"other", {diary.step("b")}, 1}});
	EXPECT_EQ(run("other").state, JobState::done);
	std::this_thread::sleep_for(100ms);
	const auto version = must(store->version());
	std::this_thread::sleep_for(500ms);
	EXPECT_EQ(must(store->version()), version) << "nobody writes anything";
	engine.reset();
	gate.open.release();
	begin({{"walk", {diary.step("a", std::ref(gate))}, 1}});
	EXPECT_EQ(must(engine->wait(id, 60s)).state, JobState::done);
}

TEST_F(Jobs, fail_when_a_step_throws_or_keeps_too_much)
{
	begin({{"throw",
		{{"a", [](Work &) -> Result<void> { throw std::runtime_error("Out of luck"); }}},
		1},
	       {"hoard",
		{{"a",
		  [](Work &work) -> Result<void> {
			  work.data()["all"] = std::string(300000, 'x');
			  return {};
		  }}},
		1},
	       {"mumble",
		{{"a",
		  [](Work &work) -> Result<void> {
			  work.data()["name"] = "\xff";
			  work.warn(Severity::info, "\xfe");
			  return {};
		  }}},
		1}});
	EXPECT_THAT(run("throw").error, HasSubstr("Out of luck"));
	const auto hoard = run("hoard");
	EXPECT_EQ(hoard.state, JobState::failed);
	EXPECT_THAT(hoard.error, HasSubstr("'a' leaves more than"));
	EXPECT_EQ(run("mumble").state, JobState::done);
	EXPECT_EQ(error_of(engine->submit("mumble", {{"x", "\xff"}})), EINVAL);
	EXPECT_EQ(error_of(engine->submit("mumble", {{"x", std::string(300000, 'x')}})), EINVAL);
}

/* A store with a hook before and after each commit. */
class HookedStore final : public state::Store {
public:
	/* @hook: an error, and it is not committed. */
	HookedStore(state::Store &store, std::function<Result<void>()> hook)
		: store_(store), hook_(std::move(hook))
	{}

	Result<state::Version> version() override { return store_.version(); }
	Result<std::optional<state::Entry>> get(std::string_view key) override
	{
		return store_.get(key);
	}
	Result<std::vector<state::Entry>> list(std::string_view prefix, std::string_view after,
					       std::size_t limit) override
	{
		return store_.list(prefix, after, limit);
	}
	Result<state::Outcome> commit(const state::Transaction &transaction) override
	{
		CORBEL_EXPECT(hook_());
		auto outcome = store_.commit(transaction);
		CORBEL_EXPECT(hook_());
		return outcome;
	}
	Result<state::LeaseId> grant(std::chrono::milliseconds length) override
	{
		return store_.grant(length);
	}
	Result<void> keep_alive(state::LeaseId lease) override { return store_.keep_alive(lease); }
	Result<void> revoke(state::LeaseId lease) override { return store_.revoke(lease); }
	Result<std::vector<state::Change>> changes(std::string_view prefix, state::Version since,
						   std::size_t limit) override
	{
		return store_.changes(prefix, since, limit);
	}

private:
	state::Store &store_;
	std::function<Result<void>()> hook_;
};

TEST_F(Jobs, go_on_once_the_store_has_room_again)
{
	Diary diary;
	Gate gate;
	std::atomic<bool> full = false;
	HookedStore moody(*store, [&]() -> Result<void> {
		if (full)
			return failure(ENOSPC, "There is no room.");
		return {};
	});

	engine = must(Engine::start(
		moody, {{"walk", {diary.step("a", std::ref(gate)), diary.step("b")}, 2}},
		{.lease = 60s}));
	const auto id = must(engine->submit("walk", {})).id;
	gate.reached.acquire();
	full = true;
	gate.open.release();
	EXPECT_EQ(error_of(engine->submit("walk", {})), ENOSPC);
	EXPECT_EQ(error_of(engine->wait(id, 700ms)), ETIMEDOUT);
	full = false;
	gate.open.release();
	EXPECT_EQ(must(engine->wait(id, 30s)).state, JobState::done);
	EXPECT_THAT(diary.lines, ElementsAre("a", "a", "b"));
	engine.reset();
}

TEST_F(Jobs, many_are_all_done_once_by_several_engines)
{
	std::atomic<unsigned> begun = 0;
	const std::vector<JobKind> kinds{{"count",
					  {{"a",
					    [&](Work &) -> Result<void> {
						    begun++;
						    return {};
					    }}},
					  1}};
	auto other_store = open_store(folder);

	begin(kinds);
	auto other = must(Engine::start(*other_store, kinds, {.lease = 1s}));
	std::vector<JobId> ids(40);
	for (unsigned i = 0; i < ids.size(); i++)
		ids[i] = must((i % 2 ? engine : other)->submit("count", {{"i", i}})).id;
	for (const auto id : ids)
		EXPECT_EQ(must(engine->wait(id, 60s)).state, JobState::done);
	EXPECT_EQ(begun, 40U);
}

/* ---- killed at every point --------------------------------------------------------- */

/* Counts what happens, and kills its process at one of these points. */
class Fuse {
public:
	explicit Fuse(unsigned length) : left_(length) {}

	void point()
	{
		if (left_.fetch_sub(1) == 1)
			::kill(::getpid(), SIGKILL);
	}

private:
	std::atomic<unsigned> left_;
};

/*
 * Moves a folder the hard way: copies file by file, commits by renaming, removes the source.
 * Each step does what is left of it.
 */
JobKind folder_mover(Fuse &fuse)
{
	const auto part = [](Work &work) {
		return fs::path(work.argument().at("to").get<std::string>() + ".part");
	};
	const auto from = [](Work &work) {
		return fs::path(work.argument().at("from").get<std::string>());
	};

	return {"move",
		{{"make",
		  [=](Work &work) -> Result<void> {
			  fs::create_directories(part(work));
			  return {};
		  },
		  [=, &fuse](Work &work) -> Result<void> {
			  if (fs::exists(part(work)))
				  for (const auto &file : fs::directory_iterator(part(work))) {
					  fs::remove(file);
					  fuse.point();
				  }
			  fs::remove_all(part(work));
			  return {};
		  }},
		 {"copy",
		  [=, &fuse](Work &work) -> Result<void> {
			  for (const auto &file : fs::directory_iterator(from(work))) {
				  if (work.interrupted())
					  return failure(EINTR, "Interrupted.");
				  fs::copy_file(file, part(work) / file.path().filename(),
						fs::copy_options::overwrite_existing);
				  fuse.point();
			  }
			  return {};
		  }},
		 {"commit",
		  [=, &fuse](Work &work) -> Result<void> {
			  const fs::path to = work.argument().at("to").get<std::string>();

			  if (!fs::exists(to))
				  fs::rename(part(work), to);
			  fuse.point();
			  return {};
		  }},
		 {"clean",
		  [=, &fuse](Work &work) -> Result<void> {
			  if (fs::exists(from(work)))
				  for (const auto &file : fs::directory_iterator(from(work))) {
					  fs::remove(file);
					  fuse.point();
				  }
			  fs::remove_all(from(work));
			  return {};
		  }}},
		2};
}

/* Names and bytes of all files below @folder. */
std::map<std::string, std::string> files_in(const fs::path &folder)
{
	std::map<std::string, std::string> files;

	if (!fs::exists(folder))
		return files;
	for (const auto &file : fs::recursive_directory_iterator(folder)) {
		std::ifstream stream(file.path());

		files[fs::relative(file.path(), folder)] =
			file.is_directory() ? "folder"
					    : std::string(std::istreambuf_iterator(stream), {});
	}
	return files;
}

unsigned turns()
{
	const char *scale = std::getenv("CORBEL_SCALE");

	return scale && std::atoi(scale) >= 10 ? 2000 : 200;
}

struct Move {
	EngineOptions options; /* of all engines that work on it */
	TemporaryFolder folder;
	fs::path from = folder.path() / "from", to = folder.path() / "to";
	Json argument{{"from", from}, {"to", to}};
	std::map<std::string, std::string> whole;

	explicit Move(EngineOptions given) : options(std::move(given))
	{
		for (int i = 0; i < 6; i++)
			folder.write(fmt::format("from/{}", i),
				     std::string(1000, static_cast<char>('a' + i)));
		whole = files_in(from);
	}

	/* Works on it, as a process that is killed at point @point, or at its end. */
	void work_until(unsigned point, bool cancel)
	{
		const auto child = ::fork();

		if (child == 0) {
			Fuse fuse(point);
			auto file = open_store(folder);
			HookedStore store(*file, [&]() -> Result<void> {
				fuse.point();
				return {};
			});
			auto engine = must(Engine::start(store, {folder_mover(fuse)}, options));
			const auto id = must(engine->submit("move", argument, "k")).id;
			if (cancel)
				(void)engine->cancel(id);
			(void)engine->wait(id, 60s);
			::kill(::getpid(), SIGKILL);
		}
		int status = 0;
		::waitpid(child, &status, 0);
		ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
	}
};

TEST(JobsKilled, come_to_what_they_would_have_come_to)
{
	std::mt19937 random(5);
	unsigned moved = 0, undone = 0, taken_up = 0;

	for (unsigned turn = 0; turn < turns(); turn++) {
		/* A lease that passes soon, or one that does not and is of the one holder. */
		const bool held = turn / 100 % 2;
		Move move(held ? EngineOptions{.threads = 1, .lease = 1h, .holder = "one"}
			       : EngineOptions{.threads = 1, .lease = 100ms});
		Fuse unlimited(0);

		/* Each point of the first life; then anywhere, perhaps while taking it up again. */
		move.work_until(1 + turn / 2 % 50, turn % 2);
		for (unsigned more = random() % 3; more; more--)
			move.work_until(1 + random() % 30, random() % 8 == 0);
		auto store = open_store(move.folder);
		auto engine = must(Engine::start(*store, {folder_mover(unlimited)}, move.options));
		const auto id = must(engine->submit("move", move.argument, "k")).id;
		const auto job = must(engine->wait(id, 60s));
		taken_up += job.attempts > 1;
		ASSERT_FALSE(fs::exists(move.to.string() + ".part"));
		if (job.state == JobState::done) {
			ASSERT_EQ(files_in(move.to), move.whole);
			ASSERT_FALSE(fs::exists(move.from));
			moved++;
		} else {
			ASSERT_TRUE(job.cancel) << job.error;
			ASSERT_EQ(job.state, JobState::cancelled);
			ASSERT_EQ(files_in(move.from), move.whole);
			ASSERT_FALSE(fs::exists(move.to));
			undone++;
		}
	}
	fmt::print("# {} moved, {} undone, {} taken up again\n", moved, undone, taken_up);
	EXPECT_GT(moved, turns() / 10);
	EXPECT_GT(undone, turns() / 10);
	EXPECT_GT(taken_up, turns() / 10);
}

/* ---- as text ----------------------------------------------------------------------- */

TEST(JobText, is_read_as_it_was_written)
{
	Job job;

	job.id = 7;
	job.kind = "walk";
	job.argument = {{"a", 1}};
	job.key = "k";
	job.state = JobState::stalled;
	job.step = 3;
	job.step_name = "b";
	job.cancel = job.backwards = true;
	job.data = {{"d", {1, 2}}};
	job.progress = {1, 2, "bytes"};
	job.warnings = {{Severity::error, "It is slow.", 4, Time(5ms), Time(6ms)}};
	job.error = "e";
	job.stalled_by = "s";
	job.created = Time(7ms);
	job.updated = Time(8ms);
	job.attempts = 9;
	job.worker = 10;
	const auto text = json_of(job).dump();
	EXPECT_EQ(json_of(must(job_of(text))).dump(), text);
	for (std::size_t cut = 0; cut < text.size(); cut++)
		EXPECT_EQ(error_of(job_of(text.substr(0, cut))), EUCLEAN);
	for (const char *bad : {"[]", "{}", "null"})
		EXPECT_EQ(error_of(job_of(bad)), EUCLEAN) << bad;
}

} /* namespace */

} /* namespace corbel::test */
