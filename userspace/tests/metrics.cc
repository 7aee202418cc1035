// SPDX-License-Identifier: GPL-2.0-or-later
/* What Prometheus is told, and that nothing which hangs holds it up. */
#include "../metrics/gatherer.hh"
#include "../metrics/host_looker.hh"
#include "../metrics/job_gatherer.hh"
#include "../metrics/look_pool.hh"
#include "../metrics/service.hh"
#include "../metrics/vm_families.hh"
#include "result.hh"
#include "temporary_folder.hh"
#include "wait_until.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <prometheus/text_serializer.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <set>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::metrics;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

std::string text_of(Families families)
{
	return prometheus::TextSerializer().Serialize(families.take());
}

/* Those that hang do so until the test ends. */
class MadeUpLooker final : public VmLooker {
public:
	VmNumbers look(pid_t pid) override
	{
		looks++;
		if (hanging.contains(pid)) {
			hung++;
			std::unique_lock guard(lock);
			released.wait(guard, [&] { return free; });
		}
		if (pid == throwing)
			throw std::runtime_error("it broke");
		returned++;
		VmNumbers numbers;
		numbers.cpu["user"] = 1;
		numbers.kvm = {{"exits", 5}, {"halt_exits", 3}, {"io_exits", 1}};
		numbers.interrupts.emplace();
		numbers.interrupts->posted = {{"device", 7}};
		numbers.interrupts->latency.add(3e-6, 4);
		return numbers;
	}
	void release()
	{
		const std::lock_guard guard(lock);

		free = true;
		released.notify_all();
	}

	std::set<pid_t> hanging;
	pid_t throwing = 0;
	std::atomic<unsigned> looks = 0, hung = 0, returned = 0;
	std::mutex lock;
	std::condition_variable released;
	bool free = false;
};

class GathererTest : public testing::Test {
protected:
	~GathererTest() override
	{
		looker->release();
		EXPECT_TRUE(wait_until([&] { return looker.use_count() == 1; }));
	}
	qemu::Snapshot snapshot()
	{
		const std::lock_guard guard(lock);
		qemu::Snapshot snapshot;

		snapshot.guests = guests;
		snapshot.searched = qemu::now();
		return snapshot;
	}
	void add(pid_t pid, std::string name, std::uint64_t started = 1)
	{
		const std::lock_guard guard(lock);
		auto facts = std::make_shared<qemu::GuestFacts>();

		facts->pid = pid;
		facts->started = started;
		facts->name = std::move(name);
		guests.push_back(std::move(facts));
	}
	Gatherer::Guests source()
	{
		return [this] { return snapshot(); };
	}
	static std::string scrape(const Gatherer &gatherer)
	{
		Families families;

		add_vms(families, gatherer.view());
		return text_of(std::move(families));
	}
	/* There are VMs, and @but of them have never been looked at. */
	static bool all_seen(const View &view, std::size_t but)
	{
		const auto unseen = std::ranges::count_if(
			view.vms, [](const VmView &vm) { return !vm.numbers; });

		return !view.vms.empty() && static_cast<std::size_t>(unseen) == but;
	}

	std::mutex lock;
	std::vector<std::shared_ptr<const qemu::GuestFacts>> guests;
	std::shared_ptr<MadeUpLooker> looker = std::make_shared<MadeUpLooker>();
	const GathererOptions fast{
		.tick = 10ms, .period = 50ms, .patience = 30ms, .stale_after = 300ms, .threads = 2};
};

TEST_F(GathererTest, of_a_thousand_ten_hang_and_no_scrape_waits)
{
	constexpr int all = 1000, each_that_hangs = 100, hanging = all / each_that_hangs;
	std::vector<std::chrono::nanoseconds> times;

	for (int i = 1; i <= all; i++) {
		add(i, fmt::format("vm{}", i));
		if (i % each_that_hangs == 0)
			looker->hanging.insert(i);
	}
	Gatherer gatherer(source(), looker, {.tick = 20ms, .period = 500ms, .patience = 100ms});
	ASSERT_TRUE(wait_until([&] { return all_seen(gatherer.view(), hanging); }));
	ASSERT_TRUE(wait_until([&] { return gatherer.view().stuck == hanging; }));
	/* The others are looked at again and again, those that hang are not. */
	const auto before = looker->returned.load();
	ASSERT_TRUE(wait_until([&] { return looker->returned > before + all; }));
	EXPECT_EQ(looker->hung, hanging);

	for (int i = 0; i < 100; i++) {
		const auto begun = std::chrono::steady_clock::now();
		const auto text = scrape(gatherer);

		times.push_back(std::chrono::steady_clock::now() - begun);
		ASSERT_THAT(text, HasSubstr("corbel_guests 1000\n"));
	}
	std::ranges::sort(times);
	RecordProperty("p99_ms", static_cast<int>(times[98] / 1ms));
	std::printf("# a scrape of %d VMs: median %.1f ms, p99 %.1f ms\n", all,
		    static_cast<double>(times[49].count()) / 1e6,
		    static_cast<double>(times[98].count()) / 1e6);
	EXPECT_LT(times[98], 10s);
}

TEST_F(GathererTest, what_hangs_keeps_its_last_values_and_is_stale)
{
	add(1, "one");
	Gatherer gatherer(source(), looker, fast);
	ASSERT_TRUE(wait_until([&] { return all_seen(gatherer.view(), 0) && looker->looks > 3; }));
	EXPECT_THAT(scrape(gatherer),
		    HasSubstr("corbel_vm_stale{vm=\"one\",pid=\"1\",source=\"look\"} 0\n"));

	/* Only the gatherer's thread pool reads it, and never while a look is under way. */
	{
		const std::lock_guard guard(lock);

		guests.clear();
	}
	ASSERT_TRUE(wait_until([&] { return gatherer.view().vms.empty(); }));
	std::this_thread::sleep_for(50ms);
	looker->hanging = {2};
	add(2, "two");
	ASSERT_TRUE(wait_until([&] { return gatherer.view().stuck == 1; }));
	ASSERT_TRUE(wait_until([&] {
		return scrape(gatherer).find(
			       "corbel_vm_stale{vm=\"two\",pid=\"2\",source=\"look\"} 1\n") !=
		       std::string::npos;
	}));
	looker->release();
	ASSERT_TRUE(wait_until([&] { return gatherer.view().stuck == 0; }));
	ASSERT_TRUE(wait_until([&] {
		return scrape(gatherer).find(
			       "corbel_vm_stale{vm=\"two\",pid=\"2\",source=\"look\"} 0\n") !=
		       std::string::npos;
	}));
}

TEST_F(GathererTest, ends_while_a_look_hangs)
{
	add(1, "one");
	looker->hanging = {1};
	{
		Gatherer gatherer(source(), looker, fast);

		ASSERT_TRUE(wait_until([&] { return looker->hung == 1; }));
	}
	EXPECT_EQ(looker->returned, 0);
}

TEST_F(GathererTest, a_look_that_throws_is_an_error)
{
	add(1, "one");
	looker->throwing = 1;
	Gatherer gatherer(source(), looker, fast);

	ASSERT_TRUE(wait_until([&] { return gatherer.view().failures["process"] > 1; }));
	EXPECT_THAT(scrape(gatherer), Not(HasSubstr("corbel_vm_cpu_seconds_total{")));
}

TEST_F(GathererTest, of_two_processes_of_a_number_the_later_is_told)
{
	add(1, "earlier", 1);
	add(1, "later", 2);
	Gatherer gatherer(source(), looker, fast);
	ASSERT_TRUE(wait_until([&] { return all_seen(gatherer.view(), 0); }));
	const auto text = scrape(gatherer);

	EXPECT_THAT(text, HasSubstr("vm=\"later\""));
	EXPECT_THAT(text, Not(HasSubstr("vm=\"earlier\"")));
}

TEST_F(GathererTest, tells_what_was_counted)
{
	add(1, "a\"b\\c\nd");
	Gatherer gatherer(source(), looker, fast);
	ASSERT_TRUE(wait_until(
		[&] { return gatherer.view().vms.size() == 1 && all_seen(gatherer.view(), 0); }));
	const auto text = scrape(gatherer);
	const std::string labels = R"(vm="a\"b\\c?d",pid="1")";

	EXPECT_THAT(text, HasSubstr("corbel_vm_exits_total{" + labels + "} 5\n"));
	EXPECT_THAT(text, HasSubstr("corbel_vm_halts_total{" + labels + "} 3\n"));
	EXPECT_THAT(text,
		    HasSubstr("corbel_vm_kvm_events_total{" + labels + ",event=\"io_exits\"} 1\n"));
	EXPECT_THAT(text, HasSubstr("corbel_vm_interrupt_latency_seconds_bucket{" + labels +
				    ",le=\"5e-06\"} 4\n"));
	EXPECT_THAT(text, HasSubstr("corbel_vm_interrupt_latency_seconds_bucket{" + labels +
				    ",le=\"2e-06\"} 0\n"));
	EXPECT_THAT(text, Not(HasSubstr("corbel_vm_boosts_total{")));
}

TEST(LabelValue, is_bounded_utf8_without_control_characters)
{
	EXPECT_EQ(label_value("guest"), "guest");
	EXPECT_EQ(label_value("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	EXPECT_EQ(label_value(std::string_view("a\0b\nc\x7f", 6)), "a?b?c?");
	/* Cut off, longer than needed, a surrogate, beyond the last. */
	EXPECT_EQ(label_value("\xe2\x82"), "??");
	EXPECT_EQ(label_value("\xc0\x80"), "??");
	EXPECT_EQ(label_value("\xed\xa0\x80"), "???");
	EXPECT_EQ(label_value("\xf4\x90\x80\x80"), "????");
	EXPECT_EQ(label_value(std::string(1000, 'x')).size(), 128);
	/* Not in the middle of a character. */
	EXPECT_EQ(label_value(std::string(127, 'x') + "\xc3\xa9"), std::string(127, 'x'));
}

TEST(MetricDefinitions, are_each_there_once)
{
	std::set<std::string> names;

	for (const auto &definition : definitions()) {
		const std::string_view name = definition.name;
		const bool counter = definition.type == prometheus::MetricType::Counter;

		EXPECT_TRUE(names.insert(definition.name).second) << name;
		EXPECT_TRUE(name.starts_with("corbel_")) << name;
		EXPECT_EQ(name.ends_with("_total"), counter) << name;
	}
	EXPECT_STREQ(definitions()[static_cast<std::size_t>(Metric::vm_info)].name,
		     "corbel_vm_info");
	EXPECT_STREQ(definitions().back().name, "corbel_vm_distributor_pending");
}

TEST(HostLooker, reads_what_there_is)
{
	TemporaryFolder folder;
	folder.write("proc/7/stat",
		     "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 500 200 0 0 20 0 1 0 100 0 0 0 "
		     "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 300 0\n");
	folder.write("proc/7/status",
		     "Name:\ta\nVmSwap:\t 4 kB\nRssAnon:\t 8 kB\nRssFile:\tx kB\n");
	folder.write("proc/7/io", "rchar: 1\nsyscr: 2\nread_bytes: 4096\n");
	folder.write("kvm/7-11/exits", "40\n");
	folder.write("kvm/7-12/exits", "2\n");
	folder.write("kvm/77-11/exits", "1000\n");
	HostLooker looker(folder.path() / "proc", folder.path() / "kvm", folder.path() / "none");
	const auto numbers = looker.look(7);
	const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));

	EXPECT_DOUBLE_EQ(numbers.cpu.at("user"), 200 / ticks);
	EXPECT_DOUBLE_EQ(numbers.cpu.at("system"), 200 / ticks);
	EXPECT_DOUBLE_EQ(numbers.cpu.at("guest"), 300 / ticks);
	EXPECT_EQ(numbers.resident, (Values{{"anonymous", 8192}}));
	EXPECT_EQ(numbers.swapped, 4096);
	EXPECT_EQ(numbers.io_bytes, (Values{{"read", 4096}}));
	EXPECT_EQ(numbers.kvm, (Values{{"exits", 42}}));
	EXPECT_FALSE(numbers.attached);
	EXPECT_TRUE(numbers.failed.empty());
	/* One that is gone is no failure. */
	EXPECT_TRUE(looker.look(8).failed.empty());
	EXPECT_TRUE(looker.look(8).cpu.empty());
}

/* Though KVM's folders are listed for many looks at once. */
TEST(HostLooker, sees_a_vm_that_comes_later)
{
	TemporaryFolder folder;
	folder.write("kvm/7-11/exits", "40\n");
	HostLooker looker(folder.path() / "proc", folder.path() / "kvm", folder.path() / "none");

	EXPECT_EQ(looker.look(7).kvm, (Values{{"exits", 40}}));
	folder.write("kvm/8-11/exits", "2\n");
	EXPECT_TRUE(wait_until([&] { return looker.look(8).kvm == Values{{"exits", 2}}; }));
}

struct MadeUpJobs {
	std::mutex lock;
	state::Version version = 1;
	std::vector<jobs::Job> jobs;
	bool broken = false;

	JobSources sources()
	{
		return {.version = [this]() -> Result<state::Version> {
				const std::lock_guard guard(lock);
				if (broken)
					return failure(EIO, "It is broken.");
				return version;
			},
			.jobs = [this]() -> Result<std::vector<jobs::Job>> {
				const std::lock_guard guard(lock);
				return jobs;
			},
			.warnings = []() -> Result<std::vector<jobs::Warning>> {
				return std::vector<jobs::Warning>{
					{jobs::Severity::warning, "w", 3, {}, {}}};
			}};
	}
	void add(jobs::JobId id, jobs::JobState state, std::chrono::milliseconds length)
	{
		const std::lock_guard guard(lock);
		jobs::Job job;

		job.id = id;
		job.kind = "vm.start";
		job.state = state;
		job.updated = job.created + length;
		jobs.push_back(std::move(job));
		version++;
	}
};

std::string scrape(const JobGatherer &gatherer)
{
	Families families;

	gatherer.add(families);
	return text_of(std::move(families));
}

TEST(JobGatherer, counts_jobs_that_end_while_it_looks)
{
	MadeUpJobs made_up;
	made_up.add(1, jobs::JobState::done, 1s);
	JobGatherer gatherer(made_up.sources(), 5ms);
	const auto shows = [&](const char *line) {
		return wait_until([&] { return scrape(gatherer).find(line) != std::string::npos; });
	};

	EXPECT_TRUE(shows("corbel_jobs{kind=\"vm.start\",state=\"done\"} 1\n"));
	EXPECT_TRUE(shows("corbel_warnings{severity=\"warning\"} 3\n"));
	EXPECT_THAT(scrape(gatherer), Not(HasSubstr("corbel_jobs_ended_total{")));
	made_up.add(2, jobs::JobState::failed, 3s);
	EXPECT_TRUE(shows("corbel_jobs_ended_total{kind=\"vm.start\",state=\"failed\"} 1\n"));
	EXPECT_TRUE(shows("corbel_job_duration_seconds_bucket{kind=\"vm.start\",le=\"1\"} 0\n"));
	EXPECT_TRUE(shows("corbel_job_duration_seconds_bucket{kind=\"vm.start\",le=\"5\"} 1\n"));
	{
		const std::lock_guard guard(made_up.lock);
		made_up.jobs.clear();
		made_up.version++;
	}
	/* What is forgotten has been all the same. */
	EXPECT_TRUE(shows("corbel_jobs{kind=\"vm.start\",state=\"failed\"} 0\n"));
	EXPECT_TRUE(shows("corbel_jobs_ended_total{kind=\"vm.start\",state=\"failed\"} 1\n"));
	{
		const std::lock_guard guard(made_up.lock);
		made_up.broken = true;
	}
	EXPECT_TRUE(wait_until([&] {
		return scrape(gatherer).find("corbel_gather_errors_total{source=\"state\"} 0\n") ==
		       std::string::npos;
	}));
	EXPECT_TRUE(shows("corbel_jobs_ended_total{kind=\"vm.start\",state=\"failed\"} 1\n"));
}

TEST(MetricsService, says_what_to_do_if_it_cannot_listen)
{
	MadeUpJobs made_up;
	Service service([] { return qemu::Snapshot(); }, made_up.sources());
	const auto listens = service.listen("256.0.0.1:1");

	ASSERT_EQ(error_of(listens), EADDRINUSE);
	EXPECT_THAT(listens.error().sentence, HasSubstr("--metrics"));
}

} /* namespace */

} /* namespace corbel::test */
