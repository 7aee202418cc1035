// SPDX-License-Identifier: GPL-2.0-or-later
/* Jobs as those see them who follow them, and for how long they are kept. */
#include "../jobs/engine.hh"
#include "../state/sqlite_store.hh"
#include "result.hh"
#include "temporary_folder.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <thread>

namespace corbel::test {

namespace {

using namespace corbel::jobs;
using namespace std::chrono_literals;

/* Steps that go on when they are let. */
struct KeptJobs : testing::Test {
	TemporaryFolder folder;
	std::unique_ptr<state::Store> store = must(state::open_sqlite_store(
		must(state::options_for((folder.path() / "state").string()))));
	std::atomic<bool> wait = false, broken = false;
	std::atomic<std::uint64_t> done = 0;
	std::unique_ptr<Engine> engine = must(Engine::start(*store, {walk()}));

	JobKind walk()
	{
		return {"walk",
			{{"count",
			  [this](Work &work) -> Result<void> {
				  while (wait && !work.interrupted()) {
					  work.progress(done, 100, "pages");
					  std::this_thread::sleep_for(1ms);
				  }
				  return {};
			  }},
			 {"arrive",
			  [this](Work &) -> Result<void> {
				  return broken ? failure(EIO, "It is broken.") : Result<void>();
			  }}},
			1};
	}
	JobId run(const std::string &key = {})
	{
		return must(engine->wait(must(engine->submit("walk", Json::object(), key)).id, 60s))
			.id;
	}
};

TEST_F(KeptJobs, are_forgotten_with_their_keys)
{
	const auto id = run("k");

	EXPECT_TRUE(must(engine->find("walk", Json::object(), "k")));
	EXPECT_EQ(error_of(engine->find("walk", {{"other", 1}}, "k")), EEXIST);
	EXPECT_FALSE(must(engine->find("walk", Json::object(), "another")));
	EXPECT_TRUE(must(engine->forget(id)));
	EXPECT_FALSE(must(engine->forget(id)));
	EXPECT_EQ(error_of(engine->get(id)), ENOENT);
	EXPECT_FALSE(must(engine->find("walk", Json::object(), "k")));
	EXPECT_NE(run("k"), id);
}

TEST_F(KeptJobs, are_not_forgotten_before_they_have_ended)
{
	wait = true;
	const auto id = must(engine->submit("walk", Json::object())).id;
	EXPECT_EQ(error_of(engine->forget(id)), EBUSY);
	EXPECT_EQ(must(engine->forget_ended(Time::max(), 0)), 0U);
	wait = false;
	must(engine->wait(id, 60s));
	EXPECT_EQ(must(engine->forget_ended(Time::max(), 0)), 1U);
}

TEST_F(KeptJobs, are_the_last_ones)
{
	std::vector<JobId> ids;

	for (int i = 0; i < 5; i++)
		ids.push_back(run());
	EXPECT_EQ(must(engine->forget_ended(Time(), 5)), 0U);
	EXPECT_EQ(must(engine->forget_ended(Time(), 2)), 3U);
	EXPECT_EQ(error_of(engine->get(ids[2])), ENOENT);
	EXPECT_EQ(must(engine->get(ids[3])).id, ids[3]);
	EXPECT_EQ(must(engine->forget_ended(Time::max(), 2)), 2U);
	EXPECT_TRUE(must(engine->list()).empty());
}

TEST_F(KeptJobs, are_seen_each_time_they_change)
{
	state::Version seen = 0;

	wait = true;
	const auto id = must(engine->submit("walk", Json::object())).id;
	unsigned changes = 0;
	for (JobState state = JobState::queued; state != JobState::done; changes++) {
		const auto before = seen;
		const auto job = must(engine->change_seen(id, seen, 60s));

		EXPECT_NE(seen, before);
		state = job.state;
		wait = wait && job.state == JobState::queued;
	}
	EXPECT_GE(changes, 3U);
	/* Nothing happens any more. */
	EXPECT_EQ(must(engine->change_seen(id, seen, 1ms)).state, JobState::done);
	EXPECT_EQ(error_of(engine->change_seen(id + 1, seen, 1ms)), ENOENT);
}

TEST_F(KeptJobs, say_how_fast_they_are)
{
	state::Version seen = 0;
	double rate = 0;

	wait = true;
	const auto id = must(engine->submit("walk", Json::object())).id;
	while (rate == 0) {
		const auto job = must(engine->change_seen(id, seen, 60s));

		done = std::min<std::uint64_t>(done + 10, 100);
		rate = job.progress.rate;
		ASSERT_EQ(job.state == JobState::queued || job.state == JobState::running, true);
		ASSERT_LE(job.progress.done, 100U);
	}
	EXPECT_GT(rate, 0);
	EXPECT_LT(rate, 100 / 0.5);
	wait = false;
	EXPECT_EQ(must(engine->wait(id, 60s)).progress.rate, 0);
}

TEST_F(KeptJobs, are_not_changed_by_a_dry_run)
{
	wait = broken = true;
	const auto id = must(engine->submit("walk", Json::object())).id;
	EXPECT_FALSE(must(engine->cancel(id, true)).cancel);
	EXPECT_FALSE(must(engine->get(id)).cancel);
	wait = false;
	EXPECT_EQ(must(engine->wait(id, 60s)).state, JobState::stalled);
	EXPECT_EQ(error_of(engine->cancel(id, true)), EBUSY);
	EXPECT_EQ(must(engine->resume(id, true)).state, JobState::stalled);
	EXPECT_EQ(must(engine->get(id)).state, JobState::stalled);
	broken = false;
	must(engine->resume(id));
	EXPECT_EQ(must(engine->wait(id, 60s)).state, JobState::done);
	EXPECT_EQ(error_of(engine->resume(id, true)), EBUSY);
	EXPECT_EQ(error_of(engine->check("run", Json::object())), EINVAL);
}

TEST_F(KeptJobs, can_be_taken_out_of_a_copy)
{
	const auto id = run("k");

	engine.reset();
	EXPECT_EQ(error_of(erase_job(*store, id)), 0);
	EXPECT_EQ(error_of(erase_job(*store, id)), ENOENT);
	EXPECT_TRUE(must(store->list("job/record/")).empty());
	EXPECT_TRUE(must(store->list("job/key/")).empty());
}

} /* namespace */

} /* namespace corbel::test */
