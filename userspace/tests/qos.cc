// SPDX-License-Identifier: GPL-2.0-or-later
/* LUNs, policies and objects by name, over a device-mapper in this process. */
#include "fake_meter.hh"
#include "result.hh"
#include "schema_check.hh"
#include "temporary_folder.hh"

#include "../corbel/verb.hh"
#include "../qos/objects.hh"
#include "../qos/policies.hh"
#include "../state/sqlite_store.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace {

using namespace corbel;
using namespace corbel::test;
using namespace corbel::workloads;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t KiB = 1024;
const std::string mapped = "corbel-qos-lun0";

/* Disks lie where a test says. */
class FakeLayouts final : public Layouts {
public:
	Result<extents::Layout> find(const ObjectRecord &object, const std::string &) override
	{
		looks++;
		const auto found = disks.find(object.path);
		if (found == disks.end())
			return failure(ENOENT, fmt::format("{}: No such file.", object.path));
		return found->second;
	}

	std::map<std::string, extents::Layout> disks;
	unsigned looks = 0;
};

class QosTest : public testing::Test {
protected:
	QosTest()
	{
		folder.write("device", "");
		std::filesystem::resize_file(device, 16 << 20);
	}

	/* In KiB of the disk, of the LUN. */
	void lay(const std::string &path, const std::vector<extents::Extent> &extents)
	{
		extents::Layout layout{"raw file", 1 << 20, {}, {}};

		for (const auto &[offset, at, bytes] : extents)
			layout.extents.push_back({offset * KiB, at * KiB, bytes * KiB});
		layouts.disks[path] = layout;
	}
	void add(std::uint64_t depth = 0)
	{
		(void)must(luns->add({"lun0", device, depth, 32768, false}, false));
		(void)must(put("gold", 1000));
		(void)must(put("silver", 100));
	}
	Result<Json> put(const std::string &name, std::uint64_t ios)
	{
		PolicyRecord policy;

		policy.name = name;
		policy.limits[2].rate = ios;
		return Policies(*luns).put(policy, false);
	}
	static ObjectRecord wish(const std::string &name, const std::string &policy)
	{
		ObjectRecord record;

		record.lun = "lun0";
		record.name = name;
		record.policy = policy;
		record.path = "/" + name;
		return record;
	}
	Result<Json> attach(const std::string &name, const std::string &policy)
	{
		return objects->attach(wish(name, policy), false);
	}
	Json view(const std::string &name)
	{
		return must(objects->show("lun0", name, false)).at("objects").at(0);
	}
	std::uint64_t number(const std::string &name) { return view(name).at("number"); }
	Spans spans(const std::string &name) { return meter->spans(mapped, number(name)); }
	std::string settings(const std::string &name)
	{
		const auto &there = meter->at(mapped);

		return there.budgets.at(must_have(there.objects.at(number(name)).budget));
	}
	static std::uint64_t must_have(const std::optional<std::uint64_t> &number)
	{
		EXPECT_TRUE(number);
		return number.value_or(0);
	}
	void look() { objects->look_again(warn); }
	/* The daemon is killed and begins anew. */
	void restart()
	{
		objects.reset();
		luns = std::make_unique<Luns>(*store, *meter);
		objects = std::make_unique<Objects>(*luns, layouts);
		meter->messages.clear();
		luns->start_all(warn);
	}
	void reboot()
	{
		objects.reset();
		luns.reset();
		meter = std::make_unique<FakeMeter>();
		restart();
	}
	static void fits(const cli::Verb &verb, const Json &answer)
	{
		EXPECT_EQ(find_fault(cli::dump(verb.schema()), cli::dump(answer)), "");
	}

	TemporaryFolder folder;
	std::string device = folder.path() / "device";
	std::unique_ptr<state::Store> store =
		must(state::open_sqlite_store(must(state::options_for(folder.path() / "state"))));
	std::unique_ptr<FakeMeter> meter = std::make_unique<FakeMeter>();
	FakeLayouts layouts;
	std::unique_ptr<Luns> luns = std::make_unique<Luns>(*store, *meter);
	std::unique_ptr<Objects> objects = std::make_unique<Objects>(*luns, layouts);
	std::vector<std::string> warnings;
	Warn warn = [this](const std::string &sentence) { warnings.push_back(sentence); };
};

TEST_F(QosTest, devices_come_and_go)
{
	fits(cli::qos_list_verb, must(luns->list()));
	fits(cli::qos_add_verb, must(luns->add({"lun0", device, 32, 4096, false}, true)));
	EXPECT_FALSE(meter->has(mapped));
	const auto answer = must(luns->add({"lun0", device, 32, 4096, false}, false));
	fits(cli::qos_add_verb, answer);
	EXPECT_EQ(answer.at("device"), "/dev/mapper/corbel-qos-lun0");
	EXPECT_EQ(meter->at(mapped).table.sectors, 32768);
	EXPECT_EQ(meter->at(mapped).table.parameters, device + " 0 4 depth 32 io_bytes 4096");
	EXPECT_THAT(meter->at(mapped).mapped.uuid, testing::StartsWith("CORBEL-QOS-"));
	EXPECT_EQ(error_of(luns->add({"lun0", device, 0, 4096, false}, false)), EEXIST);
	fits(cli::qos_list_verb, must(luns->list()));

	meter->at(mapped).mapped.open = 1;
	EXPECT_EQ(error_of(luns->remove("lun0", false, false)), EBUSY);
	meter->at(mapped).mapped.open = 0;
	fits(cli::qos_remove_verb, must(luns->remove("lun0", false, false)));
	EXPECT_FALSE(meter->has(mapped));
	EXPECT_EQ(error_of(luns->remove("lun0", false, false)), ENOENT);
}

TEST_F(QosTest, a_device_that_holds_something_is_named_twice)
{
	/* LUKS. */
	folder.write("device", std::string("LUKS\xba\xbe\0\1", 8));
	std::filesystem::resize_file(device, 16 << 20);
	const auto refused = luns->add({"lun0", device, 0, 4096, false}, false);
	ASSERT_EQ(error_of(refused), EEXIST);
	EXPECT_THAT(refused.error().sentence, HasSubstr("--force"));
	EXPECT_EQ(error_of(luns->add({"lun0", device, 0, 4096, true}, false)), 0);
}

TEST_F(QosTest, a_device_that_has_shrunk_is_another)
{
	add();
	std::filesystem::resize_file(device, 8 << 20);
	reboot();
	ASSERT_EQ(warnings.size(), 1);
	EXPECT_THAT(warnings[0], HasSubstr("disks have changed their names"));
	EXPECT_EQ(error_of(attach("web", "gold")), ENODEV);
	std::filesystem::resize_file(device, 32 << 20);
	restart();
	EXPECT_EQ(meter->at(mapped).table.sectors, 65536);
}

TEST_F(QosTest, an_object_is_limited_where_it_lies)
{
	add();
	lay("/web", {{0, 100, 8}, {8, 50, 4}});
	fits(cli::qos_attach_verb, must(objects->attach(wish("web", "gold"), true)));
	EXPECT_EQ(meter->at(mapped).objects.size(), 1);
	const auto answer = must(attach("web", "gold"));
	fits(cli::qos_attach_verb, answer);
	EXPECT_EQ(answer.at("enforced_bytes"), 12 * KiB);
	EXPECT_THAT(spans("web"), ElementsAre(Span{100, 108}, Span{200, 216}));
	EXPECT_EQ(settings("web"), "ios=1000 weight=100 class=1");
	EXPECT_EQ(must(attach("web", "gold")).at("changed"), false);
	EXPECT_EQ(must(attach("web", "silver")).at("changed"), true);
	EXPECT_EQ(settings("web"), "ios=100 weight=100 class=1");
	lay("/else", {});
	auto other = wish("web", "gold");
	other.path = "/else";
	EXPECT_EQ(error_of(objects->attach(other, false)), EEXIST);
	fits(cli::qos_show_verb, must(objects->show("lun0", "", true)));
	fits(cli::qos_show_verb, must(objects->show("lun0", "web", true)));
	fits(cli::qos_show_verb, must(objects->show("lun0", "rest", true)));
	EXPECT_EQ(error_of(objects->show("lun0", "none", false)), ENOENT);

	fits(cli::qos_detach_verb, must(objects->detach("lun0", "web", true)));
	const auto was = number("web");
	fits(cli::qos_detach_verb, must(objects->detach("lun0", "web", false)));
	EXPECT_THAT(meter->spans(mapped, was), IsEmpty());
	EXPECT_FALSE(meter->at(mapped).objects.at(was).budget);
	EXPECT_EQ(error_of(objects->detach("lun0", "web", false)), ENOENT);
	/* Its counters are nobody else's. */
	(void)must(attach("web", "gold"));
	EXPECT_NE(number("web"), was);
}

TEST_F(QosTest, what_is_wrong_changes_nothing)
{
	add();
	EXPECT_EQ(error_of(attach("web", "gold")), ENOENT);
	lay("/web", {{0, 100, 8}});
	EXPECT_EQ(error_of(attach("web", "copper")), ENOENT);
	auto elsewhere = wish("web", "gold");
	elsewhere.lun = "lun1";
	EXPECT_EQ(error_of(objects->attach(elsewhere, false)), ENOENT);
	auto range = wish("log", "gold");
	range.path.clear();
	for (const auto &ranges : std::vector<std::vector<ByteRange>>{
		     {{1, 512}}, {{0, 100}}, {{16 << 20, 512}}, {{0, 1024}, {512, 512}}}) {
		range.ranges = ranges;
		EXPECT_EQ(error_of(objects->attach(range, false)), EINVAL);
	}
	EXPECT_EQ(meter->at(mapped).objects.size(), 1);
	/* What the kernel refuses is undone. */
	for (const char *message : {"object", "budget", "attach", "set"}) {
		meter->fails = message;
		EXPECT_EQ(error_of(attach("web", "gold")), EIO) << message;
		EXPECT_EQ(error_of(objects->show("lun0", "web", false)), ENOENT);
	}
	EXPECT_EQ(error_of(attach("web", "gold")), 0);
	EXPECT_THAT(spans("web"), ElementsAre(Span{200, 216}));
}

TEST_F(QosTest, overlaps_are_refused_by_both_names)
{
	add();
	lay("/a", {{0, 100, 8}});
	lay("/b", {{0, 104, 8}});
	(void)must(attach("a", "gold"));
	const auto refused = attach("b", "gold");
	ASSERT_EQ(error_of(refused), EBUSY);
	EXPECT_THAT(refused.error().sentence, HasSubstr("'a' (/a), and cannot be 'b' (/b)"));
	/* One that has moved away meanwhile is in nobody's way. */
	lay("/a", {{0, 300, 8}});
	(void)must(attach("b", "gold"));
	EXPECT_THAT(spans("a"), ElementsAre(Span{600, 616}));
	EXPECT_THAT(spans("b"), ElementsAre(Span{208, 224}));
}

TEST_F(QosTest, growth_is_followed)
{
	add();
	lay("/web", {});
	const auto answer = must(attach("web", "gold"));
	EXPECT_THAT(answer.at("remarks").dump(), HasSubstr("has a place yet"));
	meter->messages.clear();
	lay("/web", {{0, 100, 8}});
	objects->look("/web", warn);
	EXPECT_THAT(spans("web"), ElementsAre(Span{200, 216}));
	EXPECT_EQ(meter->told("set"), 1);
	EXPECT_THAT(view("web").at("remarks"), IsEmpty());
	/* Nothing is said if nothing has changed. */
	objects->look("/web", warn);
	EXPECT_EQ(meter->told("set"), 1);
}

TEST_F(QosTest, ranges_go_from_one_to_another_in_one_change)
{
	add();
	lay("/a", {{0, 100, 8}});
	lay("/b", {{0, 200, 8}});
	(void)must(attach("a", "gold"));
	(void)must(attach("b", "silver"));
	meter->messages.clear();
	/* A defragmenter has changed their places; only one of them is told of. */
	lay("/a", {{0, 200, 8}});
	lay("/b", {{0, 100, 8}});
	objects->look("/b", warn);
	EXPECT_EQ(meter->told("set"), 1);
	EXPECT_THAT(spans("a"), ElementsAre(Span{400, 416}));
	EXPECT_THAT(spans("b"), ElementsAre(Span{200, 216}));
}

TEST_F(QosTest, who_has_a_range_keeps_it)
{
	add();
	lay("/a", {{0, 100, 8}});
	lay("/b", {{0, 200, 8}});
	(void)must(attach("a", "gold"));
	(void)must(attach("b", "gold"));
	lay("/b", {{0, 104, 8}});
	objects->look("/b", warn);
	EXPECT_THAT(spans("a"), ElementsAre(Span{200, 216}));
	EXPECT_THAT(spans("b"), ElementsAre(Span{216, 224}));
	EXPECT_THAT(view("b").at("remarks").dump(), HasSubstr("4096 bytes of it are another"));
	/* And it is tried again, whether or not somebody tells of a change. */
	lay("/a", {{0, 300, 8}});
	look();
	EXPECT_THAT(spans("a"), ElementsAre(Span{600, 616}));
	EXPECT_THAT(spans("b"), ElementsAre(Span{208, 224}));
}

TEST_F(QosTest, what_cannot_be_looked_at_stays_as_it_was)
{
	add();
	lay("/web", {{0, 100, 8}});
	(void)must(attach("web", "gold"));
	layouts.disks.clear();
	objects->look("/web", warn);
	EXPECT_THAT(spans("web"), ElementsAre(Span{200, 216}));
	EXPECT_THAT(view("web").at("error"), HasSubstr("No such file"));
	EXPECT_THAT(warnings, IsEmpty());
	for (int i = 0; i < 30; i++)
		look();
	ASSERT_EQ(warnings.size(), 1);
	lay("/web", {{0, 100, 8}});
	look();
	EXPECT_EQ(view("web").at("error"), nullptr);
}

TEST_F(QosTest, a_policy_is_changed_wherever_it_is_used)
{
	add();
	lay("/a", {{0, 100, 8}});
	lay("/b", {{0, 200, 8}});
	lay("/c", {{0, 300, 8}});
	(void)must(attach("a", "gold"));
	for (const char *name : {"b", "c"}) {
		auto shared = wish(name, "gold");
		shared.shared = true;
		(void)must(objects->attach(shared, false));
	}
	/* One of its own, and one for those that share. */
	EXPECT_EQ(meter->at(mapped).budgets.size(), 2);
	meter->messages.clear();
	fits(cli::qos_policy_verb, must(put("gold", 7)));
	EXPECT_EQ(meter->told("budget"), 2);
	for (const char *name : {"a", "b", "c"})
		EXPECT_EQ(settings(name), "ios=7 weight=100 class=1");
	EXPECT_EQ(must(put("gold", 7)).at("changed"), false);
	const auto refused = Policies(*luns).erase("gold", false);
	ASSERT_EQ(error_of(refused), EBUSY);
	EXPECT_THAT(refused.error().sentence, HasSubstr("lun0/a, lun0/b, lun0/c"));
	fits(cli::qos_policy_verb, must(Policies(*luns).show("")));
	EXPECT_EQ(must(Policies(*luns).show("")).at("policies").size(), 2);
	fits(cli::qos_policy_verb, must(Policies(*luns).erase("silver", false)));
	EXPECT_EQ(error_of(Policies(*luns).show("silver")), ENOENT);
}

TEST_F(QosTest, what_a_depth_is_for_does_nothing_without)
{
	PolicyRecord policy;

	add();
	policy.name = "floor";
	policy.floor = 10;
	(void)must(Policies(*luns).put(policy, false));
	lay("/web", {{0, 100, 8}});
	EXPECT_THAT(must(attach("web", "floor")).at("remarks").dump(), HasSubstr("--depth"));
}

TEST_F(QosTest, a_daemon_that_begins_anew_disturbs_nothing)
{
	add();
	lay("/web", {{0, 100, 8}});
	(void)must(attach("web", "gold"));
	meter->at(mapped).objects.at(number("web")).counters =
		"5,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0";
	restart();
	look();
	EXPECT_EQ(meter->told("budget") + meter->told("attach") + meter->told("object"), 0);
	EXPECT_THAT(spans("web"), ElementsAre(Span{200, 216}));
	EXPECT_EQ(view("web").at("counters").at("read").at("ios"), 5);
	/* What it was killed in the middle of is done. */
	meter->fails = "budget";
	EXPECT_EQ(error_of(put("gold", 9)), EIO);
	restart();
	EXPECT_EQ(settings("web"), "ios=9 weight=100 class=1");
}

TEST_F(QosTest, ranges_that_nobody_remembers_are_found_in_the_kernel)
{
	add();
	lay("/a", {{0, 100, 8}});
	lay("/b", {{0, 200, 8}});
	(void)must(attach("a", "gold"));
	(void)must(attach("b", "gold"));
	const auto disk = layouts.disks.extract("/a");
	lay("/b", {{0, 104, 8}});
	restart();
	look();
	/* It is not known where a lies, but that it has this. */
	EXPECT_THAT(spans("a"), ElementsAre(Span{200, 216}));
	EXPECT_THAT(spans("b"), ElementsAre(Span{216, 224}));
}

TEST_F(QosTest, all_is_told_again_to_a_target_that_has_forgotten)
{
	add();
	lay("/web", {{0, 100, 8}});
	(void)must(attach("web", "gold"));
	(void)must(objects->heatmap({"lun0", "", 0, true, false}, false));
	(void)must(meter->reload(mapped, meter->at(mapped).table));
	EXPECT_THAT(spans("web"), IsEmpty());
	luns->tend(warn);
	look();
	EXPECT_THAT(spans("web"), ElementsAre(Span{200, 216}));
	EXPECT_EQ(settings("web"), "ios=1000 weight=100 class=1");
	EXPECT_TRUE(meter->at(mapped).shift);
	reboot();
	look();
	EXPECT_THAT(spans("web"), ElementsAre(Span{200, 216}));
	EXPECT_EQ(settings("web"), "ios=1000 weight=100 class=1");
	EXPECT_THAT(warnings, IsEmpty());
}

TEST_F(QosTest, removal_forgets_objects_if_that_is_meant)
{
	add();
	lay("/web", {{0, 100, 8}});
	(void)must(attach("web", "gold"));
	EXPECT_EQ(error_of(luns->remove("lun0", false, false)), EPERM);
	(void)must(luns->remove("lun0", true, false));
	EXPECT_EQ(must(Policies(*luns).show("gold")).at("policies").at(0).at("used_by").size(), 0);
}

TEST_F(QosTest, a_heat_map_is_that_of_a_disk)
{
	add();
	lay("/web", {{0, 64, 64}});
	(void)must(attach("web", "gold"));
	EXPECT_EQ(error_of(objects->heatmap({"lun0", "", 0, false, false}, false)), ENODATA);
	EXPECT_EQ(error_of(objects->heatmap({"lun0", "", 1000, true, false}, false)), EINVAL);
	EXPECT_EQ(error_of(objects->heatmap({"lun0", "", 4096, true, false}, false)), EINVAL);
	fits(cli::qos_heatmap_verb, must(objects->heatmap({"lun0", "", 65536, true, false}, true)));
	EXPECT_FALSE(meter->at(mapped).shift);
	fits(cli::qos_heatmap_verb,
	     must(objects->heatmap({"lun0", "", 65536, true, false}, false)));
	EXPECT_EQ(meter->at(mapped).shift, 7);
	meter->cells = " 1:4096:0:4096000:0";
	const auto all = must(objects->heatmap({"lun0", "", 0, false, false}, false));
	const auto web = must(objects->heatmap({"lun0", "web", 0, false, false}, false));
	fits(cli::qos_heatmap_verb, all);
	fits(cli::qos_heatmap_verb, web);
	EXPECT_EQ(all.at("bytes"), 16 << 20);
	EXPECT_EQ(all.at("bins").at(0).at("index"), 65536 / all.at("bin_bytes").get<unsigned>());
	EXPECT_EQ(web.at("bins").at(0).at("index"), 0);
	EXPECT_EQ(web.at("estimated"), false);
	EXPECT_EQ(error_of(objects->heatmap({"lun0", "none", 0, false, false}, false)), ENOENT);
	(void)must(objects->heatmap({"lun0", "", 0, false, true}, false));
	EXPECT_FALSE(meter->at(mapped).shift);
}

} /* namespace */
