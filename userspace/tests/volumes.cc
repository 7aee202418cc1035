// SPDX-License-Identifier: GPL-2.0-or-later
/* Pools and volumes by name, over a device-mapper in this process. */
#include "volumes_test.hh"

#include <cerrno>

#include <fmt/format.h>

namespace {

using namespace corbel;
using namespace corbel::test;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/* ---- pools ------------------------------------------------------------------------------ */

TEST_F(VolumesTest, a_pool_is_made_and_started)
{
	const auto made = must(pools->create(wish(), false));

	EXPECT_EQ(fault_in(cli::pool_create_verb, made), "");
	const auto list = must(pools->list());
	EXPECT_EQ(fault_in(cli::pool_list_verb, list), "");
	EXPECT_EQ(list["pools"][0]["bytes"], 480 * 65536);
	const auto shown = must(pools->show("vms"));
	EXPECT_EQ(fault_in(cli::pool_show_verb, shown), "");
	EXPECT_EQ(shown["uuid"], made["uuid"]);
	EXPECT_EQ(shown["mode"], "rw");
	EXPECT_EQ(shown["devices"][1]["tier"], "slow");
	EXPECT_EQ(shown["devices"][1]["path"], path("b"));
	EXPECT_EQ(mapper->table("corbel-vms").sectors, 2 * 16 * MiB / 512);
	const auto label = must(read_label(path("b")));
	EXPECT_EQ(made["uuid"], label.pool);
	EXPECT_EQ(shown["devices"][1]["uuid"], label.device);
	EXPECT_EQ(label.tier, "slow");
}

TEST_F(VolumesTest, a_dry_run_changes_nothing)
{
	EXPECT_EQ(fault_in(cli::pool_create_verb, must(pools->create(wish(), true))), "");
	EXPECT_THAT(must(pools->list())["pools"], IsEmpty());
	for (const char *file : {"meta", "a", "b"})
		EXPECT_TRUE(bytes(file) == std::string(16 * MiB, '\0'));
	create();
	EXPECT_EQ(must(pools->stop("vms", true))["changed"], true);
	EXPECT_EQ(must(pools->list())["pools"][0]["started"], true);
	(void)must(pools->add_device("vms", {path("c"), "slow"}, false, true));
	EXPECT_TRUE(bytes("c") == std::string(16 * MiB, '\0'));
}

TEST_F(VolumesTest, devices_that_hold_something_are_refused)
{
	const auto refused = [&](const PoolWish &wish) {
		const auto result = pools->create(wish, false);
		return result ? std::string("made") : result.error().sentence;
	};
	auto other = wish();

	/* A LUKS header, as libblkid knows it. */
	folder.write("a", std::string("LUKS\xba\xbe\0\1", 8));
	std::filesystem::resize_file(path("a"), 16 * MiB);
	EXPECT_THAT(refused(wish()), HasSubstr("a holds crypto_LUKS"));
	(void)must(pools->create(wish(true), false));
	EXPECT_THAT(refused(wish()), HasSubstr("There is a pool 'vms' already"));

	other.name = "other";
	other.meta = path("other");
	EXPECT_THAT(refused(other), HasSubstr("in use"));
	(void)must(pools->stop("vms", false));
	EXPECT_THAT(refused(other), HasSubstr("holds data of pool"));
	other.data = {{path("meta"), "x"}};
	EXPECT_THAT(refused(other), HasSubstr("holds the metadata of pool"));
	other.data = {{path("c"), "x"}, {path("c"), "x"}};
	EXPECT_THAT(refused(other), HasSubstr("in use"));
	other.data = {{path("c"), "x"}};
	other.block_bytes = 5000;
	EXPECT_THAT(refused(other), HasSubstr("power of two"));
	other.block_bytes = 65536;
	std::filesystem::resize_file(path("c"), MiB + 60000);
	EXPECT_THAT(refused(other), HasSubstr("no room for a block"));
	EXPECT_THAT(refused(other), Not(HasSubstr("made")));
	std::filesystem::resize_file(path("other"), MiB / 4);
	other.data = {{path("b"), "x"}};
	other.force = true;
	EXPECT_THAT(refused(other), HasSubstr("too small for metadata"));
}

TEST_F(VolumesTest, stopped_and_started)
{
	create();
	make_volume("vms/web", true);
	mapper->open("corbel-vms-web", 1);
	const auto busy = pools->stop("vms", false);
	EXPECT_EQ(error_of(busy), EBUSY);
	EXPECT_THAT(busy.error().sentence, HasSubstr("/dev/mapper/corbel-vms-web is in use"));
	mapper->open("corbel-vms-web", -1);
	EXPECT_EQ(fault_in(cli::pool_stop_verb, must(pools->stop("vms", false))), "");
	EXPECT_THAT(must(mapper->list()), IsEmpty());
	EXPECT_EQ(must(pools->stop("vms", false))["changed"], false);

	const auto shown = must(pools->show("vms"));
	EXPECT_EQ(fault_in(cli::pool_show_verb, shown), "");
	EXPECT_EQ(shown["mode"], "stopped");
	EXPECT_EQ(shown["volumes"], 1);
	EXPECT_EQ(shown["devices"][0]["path"], path("a"));
	const auto none = volumes().create(name("vms/db"), MiB, false, false);
	EXPECT_EQ(error_of(none), ENODEV);
	EXPECT_THAT(none.error().sentence, HasSubstr("corbel pool start vms"));

	const auto started = must(pools->start("vms", false));
	EXPECT_EQ(fault_in(cli::pool_start_verb, started), "");
	EXPECT_EQ(started["changed"], true);
	EXPECT_EQ(must(pools->start("vms", false))["changed"], false);
	EXPECT_EQ(must(mapper->list()).size(), 2U) << "the volume was active";
}

TEST_F(VolumesTest, what_was_started_is_again_after_a_reboot)
{
	create();
	make_volume("vms/web", true);
	make_volume("vms/db");
	reboot();
	EXPECT_THAT(start_all(), IsEmpty());
	std::vector<std::string> names;
	for (const auto &mapped : must(mapper->list()))
		names.push_back(mapped.name);
	EXPECT_THAT(names, ElementsAre("corbel-vms", "corbel-vms-web"));
	EXPECT_THAT(start_all(), IsEmpty());

	(void)must(pools->stop("vms", false));
	reboot();
	EXPECT_THAT(start_all(), IsEmpty());
	EXPECT_THAT(must(mapper->list()), IsEmpty());
}

TEST_F(VolumesTest, devices_that_are_not_there_are_told)
{
	create();
	reboot();
	std::filesystem::rename(path("b"), path("elsewhere"));
	EXPECT_THAT(start_all(), ElementsAre(HasSubstr("b has not its label")));
	EXPECT_EQ(error_of(pools->start("vms", true)), ENOENT);
	std::filesystem::rename(path("elsewhere"), path("b"));
	std::filesystem::rename(path("meta"), path("kept"));
	make_file("meta");
	EXPECT_THAT(start_all(), ElementsAre(HasSubstr("holds no pool's metadata")));
}

/* ---- devices of a pool ---------------------------------------------------------------------- */

TEST_F(VolumesTest, one_more_device)
{
	create();
	const auto added = must(pools->add_device("vms", {path("c"), "slow"}, false, false));
	EXPECT_EQ(fault_in(cli::pool_add_device_verb, added), "");
	EXPECT_EQ(must(pools->show("vms"))["bytes"], 720 * 65536);
	EXPECT_EQ(error_of(pools->add_device("vms", {path("c"), "slow"}, true, false)), EBUSY);
	reboot();
	EXPECT_THAT(start_all(), IsEmpty());
	EXPECT_EQ(must(pools->show("vms"))["devices"].size(), 3U);
}

TEST_F(VolumesTest, evacuates_a_device)
{
	create();
	make_volume("vms/web");
	mapper->write("vms", id_of("vms/web"), 0, 50);
	ASSERT_EQ(mapper->super("vms").devices[0].used, 50U);
	mapper->pace = 7;
	mapper->busy = 3;

	const auto job = run(evacuate_kind, path("a"));
	EXPECT_EQ(job.state, jobs::JobState::done) << job.error << job.stalled_by;
	EXPECT_EQ(job.data["result"]["moved"], 50);
	EXPECT_EQ(job.data["result"]["middle_entries"], 50);
	EXPECT_EQ(job.data["result"]["skipped"], 0);
	EXPECT_EQ(job.data["result"]["seen_us"], 2500);
	EXPECT_THAT(mapper->messages, Contains("move 0 0 239 any 0"));
	EXPECT_EQ(mapper->super("vms").devices[0].used, 0U);
	EXPECT_EQ(mapper->super("vms").devices[1].used, 50U);
	EXPECT_EQ(mapper->super("vms").devices[0].limit, 0U);
	EXPECT_EQ(mapper->super("vms").devices[0].blocks, 240U);
	EXPECT_EQ(fault_in(cli::pool_show_verb, must(pools->show("vms"))), "");
}

TEST_F(VolumesTest, shrinks_a_device)
{
	create();
	make_volume("vms/web");
	mapper->write("vms", id_of("vms/web"), 0, 50);

	const auto job = run(shrink_kind, "0", 20 * 65536);
	EXPECT_EQ(job.state, jobs::JobState::done) << job.error << job.stalled_by;
	EXPECT_EQ(mapper->super("vms").devices[0].blocks, 20U);
	EXPECT_EQ(mapper->super("vms").devices[0].used, 20U);
	EXPECT_EQ(mapper->super("vms").devices[1].used, 30U);
	const auto larger =
		engine->submit(shrink_kind, must(evacuation_of(*pools, "vms", "0", 20 * 65536)));
	EXPECT_EQ(error_of(larger), EINVAL) << "that is no less";
}

TEST_F(VolumesTest, how_long_others_may_wait_for_a_mover)
{
	EXPECT_EQ(must(mover_target("")), "0");
	EXPECT_EQ(must(mover_target("none")), "any");
	EXPECT_EQ(must(mover_target("5ms")), "5000");
	EXPECT_EQ(error_of(mover_target("5")), EINVAL);
	EXPECT_EQ(error_of(mover_target("61s")), EINVAL);

	create();
	make_volume("vms/web");
	EXPECT_EQ(error_of(evacuation_of(*pools, "vms", "0", 0, "soon")), EINVAL);
	mapper->write("vms", id_of("vms/web"), 0, 5);
	engine = must(jobs::Engine::start(*store, evacuation_jobs(*pools), {.lease = 1s}));
	const auto job = must(
		engine->submit(evacuate_kind, must(evacuation_of(*pools, "vms", "0", 0, "7ms"))));
	EXPECT_EQ(must(engine->wait(job.id, 30s)).state, jobs::JobState::done);
	EXPECT_THAT(mapper->messages, Contains("move 0 0 239 any 7000"));
}

TEST_F(VolumesTest, removes_a_device)
{
	create();
	make_volume("vms/web");
	mapper->write("vms", id_of("vms/web"), 0, 50);
	const auto uuid = must(read_label(path("a"))).device;

	const auto job = run(remove_kind, uuid);
	EXPECT_EQ(job.state, jobs::JobState::done) << job.error << job.stalled_by;
	EXPECT_EQ(must(pools->show("vms"))["devices"].size(), 1U);
	EXPECT_EQ(error_of(read_label(path("a"))), ENOENT);
	EXPECT_EQ(mapper->table("corbel-vms").sectors, 16 * MiB / 512);
	EXPECT_EQ(error_of(evacuation_of(*pools, "vms", path("a"), 0)), ENOENT);
	/* It can be another's, or this one's again. */
	(void)must(pools->add_device("vms", {path("a"), "slow"}, false, false));
	reboot();
	EXPECT_THAT(start_all(), IsEmpty());
	EXPECT_EQ(must(pools->show("vms"))["devices"].size(), 2U);
}

/* The pool has it no more, and nobody had written that down when the host ended. */
TEST_F(VolumesTest, a_removal_that_was_broken_off_is_finished)
{
	create();
	const auto uuid = must(read_label(path("a"))).device;
	auto record = must(pools->records().pool("vms"));

	record.data[0].leaving = true;
	must(pools->records().put(record));
	(void)must(mapper->message("corbel-vms", "resize_device 0 0"));
	reboot();
	EXPECT_THAT(start_all(), IsEmpty());
	EXPECT_EQ(must(pools->show("vms"))["devices"].size(), 1U);
	EXPECT_EQ(error_of(read_label(path("a"))), ENOENT);

	/* The other was to leave and did not. */
	record = must(pools->records().pool("vms"));
	ASSERT_EQ(record.data.size(), 1U);
	record.data[0].leaving = true;
	must(pools->records().put(record));
	reboot();
	EXPECT_THAT(start_all(), IsEmpty());
	EXPECT_EQ(must(pools->show("vms"))["devices"].size(), 1U);
}

TEST_F(VolumesTest, room_is_looked_for_before_anything_moves)
{
	create();
	make_volume("vms/web");
	(void)must(volumes().create(name("vms/db"), 15 * MiB, false, false));
	mapper->write("vms", id_of("vms/db"), 0, 239);
	mapper->write("vms", id_of("vms/web"), 0, 10);
	const auto argument = must(evacuation_of(*pools, "vms", "0", 0));
	engine = must(jobs::Engine::start(*store, evacuation_jobs(*pools), {.lease = 1s}));
	const auto refused = engine->submit(evacuate_kind, argument);

	EXPECT_EQ(error_of(refused), ENOSPC);
	EXPECT_THAT(refused.error().sentence, HasSubstr("corbel pool add-device vms"));
}

TEST_F(VolumesTest, a_mover_that_fails_has_the_limit_as_it_was)
{
	create();
	make_volume("vms/web");
	mapper->write("vms", id_of("vms/web"), 0, 50);
	(void)must(mapper->message("corbel-vms", "limit 0 200"));
	mapper->fails = "move ";
	mapper->fails_with = EIO;
	const auto job = run(evacuate_kind, "0");

	EXPECT_EQ(job.state, jobs::JobState::failed);
	EXPECT_EQ(mapper->super("vms").devices[0].limit, 200U);
	EXPECT_EQ(mapper->super("vms").devices[0].used, 50U);
}

TEST_F(VolumesTest, an_evacuation_is_cancelled)
{
	create();
	make_volume("vms/web");
	mapper->write("vms", id_of("vms/web"), 0, 50);
	mapper->pace = 0; /* it never gets on */
	const auto id = submit(evacuate_kind, "0");
	const auto until = std::chrono::steady_clock::now() + 20s;
	while (must(engine->get(id)).step_name != "move" &&
	       std::chrono::steady_clock::now() < until)
		std::this_thread::sleep_for(10ms);
	(void)must(engine->cancel(id));
	const auto job = must(engine->wait(id, 30s));

	EXPECT_EQ(job.state, jobs::JobState::cancelled) << job.error << job.stalled_by;
	EXPECT_EQ(mapper->super("vms").devices[0].limit, 240U);
	EXPECT_EQ(must(pools->show("vms"))["mover"]["state"], "cancelled");
}

/* The mover is the kernel's: the next daemon finds it and follows it. */
TEST_F(VolumesTest, an_evacuation_outlasts_the_daemon)
{
	create();
	make_volume("vms/web");
	mapper->write("vms", id_of("vms/web"), 0, 50);
	mapper->pace = 0;
	const auto id = submit(evacuate_kind, "0");
	const auto until = std::chrono::steady_clock::now() + 20s;
	while (!std::ranges::any_of(mapper->messages, [](const auto &text) {
		return text.starts_with("move ");
	}) && std::chrono::steady_clock::now() < until)
		std::this_thread::sleep_for(10ms);
	engine.reset();
	mapper->pace = 1000;
	engine = must(jobs::Engine::start(*store, evacuation_jobs(*pools), {.lease = 1s}));
	const auto job = must(engine->wait(id, 30s));

	EXPECT_EQ(job.state, jobs::JobState::done) << job.error << job.stalled_by;
	EXPECT_EQ(mapper->super("vms").devices[0].used, 0U);
	EXPECT_EQ(mapper->super("vms").devices[0].limit, 0U);
	EXPECT_THAT(mapper->messages, testing::Not(Contains("cancel")));
}

/* ---- volumes ------------------------------------------------------------------------------- */

TEST_F(VolumesTest, volumes_come_and_go)
{
	create();
	const auto made = must(volumes().create(name("vms/web"), 4 * MiB + 1, true, false));
	EXPECT_EQ(fault_in(cli::volume_create_verb, made), "");
	EXPECT_EQ(made["bytes"], 65 * 65536);
	EXPECT_EQ(made["device"], "/dev/mapper/corbel-vms-web");
	EXPECT_EQ(mapper->table("corbel-vms-web").sectors, 65U * 128);
	EXPECT_EQ(error_of(volumes().create(name("vms/web"), MiB, false, false)), EEXIST);
	EXPECT_EQ(error_of(volumes().create(name("vms/a@b"), MiB, false, false)), EINVAL);
	/* More than a page of them. */
	for (const char *text : {"vms/a", "vms/b", "vms/c", "vms/d"})
		make_volume(text);
	const auto list = must(volumes().list("", false));
	EXPECT_EQ(fault_in(cli::volume_list_verb, list), "");
	EXPECT_EQ(list["volumes"].size(), 5U);

	const auto active = volumes().remove(name("vms/web"), false);
	EXPECT_EQ(error_of(active), EBUSY);
	EXPECT_THAT(active.error().sentence, HasSubstr("corbel volume deactivate vms/web"));
	(void)must(volumes().deactivate(name("vms/web"), false));
	EXPECT_EQ(must(volumes().remove(name("vms/web"), true))["changed"], true);
	EXPECT_EQ(fault_in(cli::volume_delete_verb, must(volumes().remove(name("vms/web"), false))),
		  "");
	EXPECT_EQ(must(volumes().list("vms", false))["volumes"].size(), 4U);
	EXPECT_EQ(error_of(volumes().remove(name("vms/web"), false)), ENOENT);
	EXPECT_EQ(error_of(volumes().list("none", false)), ENOENT);
}

TEST_F(VolumesTest, activated_and_deactivated)
{
	create();
	make_volume("vms/web");
	const auto active = must(volumes().activate(name("vms/web"), false));
	EXPECT_EQ(fault_in(cli::volume_activate_verb, active), "");
	EXPECT_EQ(must(volumes().activate(name("vms/web"), false))["changed"], false);
	mapper->open("corbel-vms-web", 1);
	EXPECT_EQ(error_of(volumes().deactivate(name("vms/web"), false)), EBUSY);
	mapper->open("corbel-vms-web", -1);
	EXPECT_EQ(fault_in(cli::volume_deactivate_verb,
			   must(volumes().deactivate(name("vms/web"), false))),
		  "");
	EXPECT_EQ(must(volumes().deactivate(name("vms/web"), false))["changed"], false);
	reboot();
	EXPECT_THAT(start_all(), IsEmpty());
	EXPECT_EQ(must(mapper->list()).size(), 1U);
}

TEST_F(VolumesTest, resized)
{
	create();
	make_volume("vms/web", true);
	const auto larger = must(volumes().resize(name("vms/web"), 8 * MiB, false));
	EXPECT_EQ(fault_in(cli::volume_resize_verb, larger), "");
	EXPECT_EQ(mapper->table("corbel-vms-web").sectors, 8 * MiB / 512);
	EXPECT_EQ(must(volumes().resize(name("vms/web"), 8 * MiB, false))["changed"], false);
	EXPECT_EQ(error_of(volumes().resize(name("vms/web"), MiB, false)), EBUSY) << "active";
	(void)must(volumes().deactivate(name("vms/web"), false));
	mapper->write("vms", id_of("vms/web"), 20, 1);
	const auto refused = volumes().resize(name("vms/web"), MiB, false);
	EXPECT_EQ(error_of(refused), EBUSY) << "something is there";
	EXPECT_THAT(refused.error().sentence, HasSubstr("has blocks where there shall be none"));
	EXPECT_EQ(must(volumes().resize(name("vms/web"), 2 * MiB, false))["changed"], true);
}

TEST_F(VolumesTest, renamed)
{
	create();
	make_volume("vms/web", true);
	make_volume("vms/db");
	const auto id = id_of("vms/web");
	(void)must(volumes().snapshot({name("vms/web")}, "monday", false));
	const auto active = volumes().rename(name("vms/web"), "old", false);
	EXPECT_EQ(error_of(active), EBUSY);
	EXPECT_THAT(active.error().sentence, HasSubstr("corbel volume deactivate vms/web"));
	(void)must(volumes().deactivate(name("vms/web"), false));
	(void)must(volumes().activate(name("vms/web@monday"), false));
	EXPECT_EQ(error_of(volumes().rename(name("vms/web"), "old", false)), EBUSY);
	(void)must(volumes().deactivate(name("vms/web@monday"), false));
	EXPECT_EQ(error_of(volumes().rename(name("vms/web"), "db", false)), EEXIST);
	EXPECT_EQ(error_of(volumes().rename(name("vms/web"), "a@b", false)), EINVAL);
	EXPECT_EQ(error_of(volumes().rename(name("vms/web@monday"), "b", false)), EINVAL);
	EXPECT_EQ(error_of(volumes().rename(name("vms/none"), "b", false)), ENOENT);
	EXPECT_EQ(must(volumes().rename(name("vms/web"), "old", true))["changed"], true);
	const auto done = must(volumes().rename(name("vms/web"), "old", false));
	EXPECT_EQ(fault_in(cli::volume_rename_verb, done), "");
	EXPECT_EQ(done["volume"], "vms/old");
	EXPECT_EQ(must(volumes().rename(name("vms/old"), "old", false))["changed"], false);
	EXPECT_EQ(id_of("vms/old"), id);
	EXPECT_EQ(must(volumes().list("vms", true))["snapshots"][0]["name"], "vms/old@monday");
	make_volume("vms/web");
	/* One without a name gets one, and its snapshots may be many. */
	(void)must(mapper->message("corbel-vms", "create 10"));
	const auto nameless = must(volumes().list("vms", false))["volumes"].back()["name"];
	(void)must(volumes().rename(name(nameless.get<std::string>()), "found", false));
	for (int i = 0; i < 70; i++)
		(void)must(volumes().snapshot({name("vms/found")}, std::to_string(i), false));
	(void)must(volumes().rename(name("vms/found"), "kept", false));
	const auto snapshots = must(volumes().list("vms", true))["snapshots"];
	EXPECT_EQ(std::ranges::count_if(snapshots,
					[](const Json &each) {
						return each["name"].get<std::string>().starts_with(
							"vms/kept@");
					}),
		  70);
}

TEST_F(VolumesTest, snapshots_of_one_instant)
{
	create();
	make_volume("vms/db");
	make_volume("vms/log");
	mapper->write("vms", id_of("vms/db"), 0, 10);
	const auto made =
		must(volumes().snapshot({name("vms/db"), name("vms/log")}, "before", false));
	EXPECT_EQ(fault_in(cli::snapshot_create_verb, made), "");
	EXPECT_THAT(made["snapshots"], ElementsAre("vms/db@before", "vms/log@before"));
	EXPECT_EQ(std::ranges::count_if(
			  mapper->messages,
			  [](const auto &text) { return text.starts_with("snapshot "); }),
		  1);
	const auto list = must(volumes().list("vms", true));
	EXPECT_EQ(fault_in(cli::snapshot_list_verb, list), "");
	ASSERT_EQ(list["snapshots"].size(), 2U);
	EXPECT_EQ(list["snapshots"][0]["mode"], "ro");
	EXPECT_EQ(list["snapshots"][0]["origin"], "vms/db");
	EXPECT_EQ(list["snapshots"][0]["mapped_bytes"], 10 * 65536);
	EXPECT_EQ(must(volumes().list("vms", false))["volumes"].size(), 2U);

	EXPECT_EQ(error_of(volumes().snapshot({name("vms/db")}, "before", false)), EEXIST);
	EXPECT_EQ(error_of(volumes().snapshot({name("vms/db"), name("vms/db")}, "x", false)),
		  EINVAL);
	EXPECT_EQ(error_of(volumes().snapshot({name("vms/db@before")}, "x", false)), EINVAL);
	EXPECT_EQ(error_of(volumes().snapshot({name("vms/none")}, "x", false)), ENOENT);
	EXPECT_EQ(error_of(volumes().resize(name("vms/db@before"), MiB, false)), EROFS);
	/* Its device can be read only. */
	(void)must(volumes().activate(name("vms/db@before"), false));
	EXPECT_TRUE(mapper->table("corbel-vms-db@before").read_only);

	const auto kept = volumes().remove(name("vms/db"), false);
	EXPECT_EQ(error_of(kept), EBUSY);
	EXPECT_THAT(kept.error().sentence, HasSubstr("has 1 snapshots"));
	EXPECT_EQ(error_of(volumes().remove(name("vms/db@before"), false)), EBUSY);
	(void)must(volumes().deactivate(name("vms/db@before"), false));
	(void)must(volumes().remove(name("vms/db@before"), false));
	(void)must(volumes().remove(name("vms/db"), false));
}

std::vector<std::string> differences(Volumes volumes, const VolumeName &a, const VolumeName &b)
{
	std::vector<std::string> all;

	must(volumes.diff(a, b, [&](const Json &range) {
		EXPECT_EQ(fault_in(cli::volume_diff_verb, range), "");
		all.push_back(fmt::format("{} {}", range["offset"].get<std::uint64_t>() / 65536,
					  range["in"].get<std::string>()));
		return all.size() < 100;
	}));
	return all;
}

TEST_F(VolumesTest, differences_clones_and_the_way_back)
{
	create();
	make_volume("vms/web");
	mapper->write("vms", id_of("vms/web"), 0, 10);
	(void)must(volumes().snapshot({name("vms/web")}, "s", false));
	EXPECT_EQ(fault_in(cli::volume_clone_verb,
			   must(volumes().clone(name("vms/web@s"), "try", false))),
		  "");
	EXPECT_EQ(error_of(volumes().clone(name("vms/web"), "try", false)), EEXIST);
	EXPECT_THAT(differences(volumes(), name("vms/web"), name("vms/try")), IsEmpty());
	mapper->write("vms", id_of("vms/web"), 3, 4);
	mapper->write("vms", id_of("vms/web"), 20, 1);
	EXPECT_THAT(differences(volumes(), name("vms/web"), name("vms/try")),
		    ElementsAre("3 both", "4 both", "5 both", "6 both", "20 a"));
	EXPECT_THAT(differences(volumes(), name("vms/try"), name("vms/web")), Contains("20 b"));
	EXPECT_EQ(error_of(volumes().diff(name("vms/web"), name("other/web"),
					  [](const Json &) { return true; })),
		  EINVAL);

	(void)must(volumes().activate(name("vms/web"), false));
	EXPECT_EQ(error_of(volumes().roll_back(name("vms/web@s"), false)), EBUSY);
	(void)must(volumes().deactivate(name("vms/web"), false));
	(void)must(volumes().roll_back(name("vms/web@s"), true));
	EXPECT_EQ(differences(volumes(), name("vms/web"), name("vms/web@s")).size(), 5U);
	EXPECT_EQ(fault_in(cli::snapshot_rollback_verb,
			   must(volumes().roll_back(name("vms/web@s"), false))),
		  "");
	EXPECT_THAT(differences(volumes(), name("vms/web"), name("vms/web@s")), IsEmpty());
}

/* One that was made when nobody was left to write down its name; a name whose volume is gone. */
TEST_F(VolumesTest, names_and_volumes_that_have_lost_each_other)
{
	create();
	make_volume("vms/web");
	(void)must(mapper->message("corbel-vms", "create 10"));
	EXPECT_EQ(must(volumes().list("vms", false))["volumes"][1]["name"], "vms/#2");
	EXPECT_EQ(error_of(volumes().activate(name("vms/#2"), false)), EINVAL);
	(void)must(volumes().clone(name("vms/#2"), "found", false));
	(void)must(volumes().remove(name("vms/#2"), false));
	(void)must(mapper->message("corbel-vms", "delete 1"));
	(void)must(volumes().remove(name("vms/web"), false));
	EXPECT_EQ(must(volumes().list("vms", false))["volumes"].size(), 1U);
	make_volume("vms/web");
}

TEST_F(VolumesTest, what_the_kernel_refuses_is_said_in_words)
{
	create();
	for (const auto &[number, words] :
	     {std::pair{ENOSPC, "not enough room in its metadata"}, {EROFS, "cannot be changed"}}) {
		mapper->fails = "create";
		mapper->fails_with = number;
		const auto refused = volumes().create(name("vms/web"), MiB, false, false);
		EXPECT_EQ(error_of(refused), number);
		EXPECT_THAT(refused.error().sentence, HasSubstr(words));
	}
}

/* ---- words ------------------------------------------------------------------------------- */

TEST(volume_names, are_what_they_may_be)
{
	using pool::parse_volume;

	for (const char *good : {"vms/web", "v.m_s/a-b", "vms/web@mon-1", "vms/#12"})
		EXPECT_EQ(must(parse_volume(good)).text(), good);
	for (const char *bad :
	     {"", "web", "/web", "vms/", "v-s/web", "vms/../x", "vms/.x", "vms/a b", "vms/a@",
	      "vms/@b", "vms/a@b@c", "vms/#", "vms/#x", "vms/a/b", "vms/-a",
	      "vms/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
		EXPECT_EQ(error_of(parse_volume(bad)), EINVAL) << bad;
	EXPECT_EQ(must(parse_volume("p/v@s")).of(), "v");
}

TEST(volume_names, sizes)
{
	using pool::parse_size;

	EXPECT_EQ(must(parse_size("4096")), 4096U);
	EXPECT_EQ(must(parse_size("64K")), 65536U);
	EXPECT_EQ(must(parse_size("8191P")), 8191ULL << 50);
	for (const char *bad :
	     {"", "0", "K", "1X", "1KB", "-1", "1.5G", "8192P", "99999999999999999999", "1 G"})
		EXPECT_EQ(error_of(parse_size(bad)), EINVAL) << bad;
	EXPECT_EQ(pool::size_text(65536), "64K");
	EXPECT_EQ(pool::size_text(1ULL << 40), "1T");
	EXPECT_EQ(pool::size_text(1536ULL << 20), "1536M");
	EXPECT_EQ(pool::size_text(0), "0");
	EXPECT_EQ(pool::size_text(20000ULL << 20), "19.5G");
	EXPECT_EQ(pool::size_text(999), "999");
}

TEST(volume_names, devices_and_tiers)
{
	EXPECT_EQ(must(parse_device("/dev/vdb")).tier, "data");
	EXPECT_EQ(must(parse_device("/dev/vdb:fast")).path, "/dev/vdb");
	EXPECT_EQ(must(parse_device("/dev/vdb:fast")).tier, "fast");
	EXPECT_EQ(must(parse_device("/dev/by-path/pci-0:0:fast")).path, "/dev/by-path/pci-0:0");
	for (const char *bad : {"vdb", "/dev/vdb:", "/dev/vdb:aaaaaaaaaaaaaaaaa", "/dev/vdb:a b"})
		EXPECT_EQ(error_of(parse_device(bad)), EINVAL) << bad;
}

TEST(pool_target, what_is_not_known_is_refused)
{
	const std::string good =
		"7 10/100 3/20 128 2 rw queue 2 0 8:16 fast 3/10/10 1 8:32 slow 0/10/5";
	const auto status = must(parse_pool_status(good));

	EXPECT_EQ(status.generation, 7U);
	EXPECT_EQ(status.block_bytes(), 65536U);
	EXPECT_EQ(status.device(1)->limit, 5U);
	EXPECT_EQ(status.device(2), nullptr);
	EXPECT_TRUE(parse_pool_status("corbel-pool " + good));
	for (std::size_t size = 0; size < good.size(); size++)
		if (const auto cut = parse_pool_status(good.substr(0, size)); cut) {
			/* Nothing but the last number can be shorter and still be one. */
			EXPECT_EQ(size, good.size()) << size;
		}
	EXPECT_EQ(error_of(parse_pool_status(good + " more")), EPROTO);
	EXPECT_EQ(must(parse_mover("idle")).state, "idle");
	EXPECT_EQ(must(parse_mover("failed -28 1 0 5 9 3 3 6 4096 0 5 4 3 0")).error, ENOSPC);
	EXPECT_EQ(must(parse_mover("done 1 0 5 9 3 3 6 4096 0 5 4 3 0")).paused_ms, 3U);
	EXPECT_EQ(error_of(parse_mover("done 1 0 5 9 3 3 6 4096 0")), EPROTO);
	EXPECT_EQ(error_of(parse_mover("running 1 0 5")), EPROTO);
	EXPECT_EQ(error_of(parse_volumes("1 2 3 0 4\n")), EPROTO);
	EXPECT_EQ(must(parse_difference("1 2 a\nmore 9\n")).next, 9U);
	EXPECT_EQ(error_of(parse_difference("1 2 a\n")), EPROTO);
	EXPECT_EQ(error_of(parse_difference("end\n1 2 a\n")), EPROTO);
	EXPECT_EQ(error_of(parse_difference("1 2 c\nend\n")), EPROTO);
	EXPECT_THAT(must(parse_numbers("1 2\n3")), ElementsAre(1, 2, 3));
}

} /* namespace */
