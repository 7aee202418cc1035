// SPDX-License-Identifier: GPL-2.0-or-later
/* Pools of other hosts, devices that have grown, and the end of a pool. */
#include "volumes_test.hh"

#include <libcorbel/uuid.hh>

#include <filesystem>

namespace {

using namespace corbel;
using namespace corbel::test;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class PoolImport : public VolumesTest {
protected:
	/* A pool that is stopped, of a host whose state is not here. */
	void make_elsewhere(bool with_volume = true)
	{
		create();
		if (with_volume)
			make_volume("vms/web");
		uuid = must(pools->show("vms"))["uuid"];
		(void)must(pools->stop("vms", false));
		store = must(state::open_sqlite_store(
			must(state::options_for(folder.path() / "other.sqlite"))));
		reboot();
	}
	[[nodiscard]] std::vector<std::string> places() const
	{
		std::vector<std::string> paths;

		for (const auto &entry : std::filesystem::directory_iterator(folder.path()))
			paths.push_back(entry.path());
		return paths;
	}
	[[nodiscard]] ImportWish wish_for(const std::string &name,
					  const std::vector<std::string> &meta = {}) const
	{
		return {name, meta, places()};
	}
	std::string refused(const ImportWish &wish)
	{
		const auto result = pools->import(wish, false);

		return result ? "imported" : result.error().sentence;
	}
	std::string refused(const DeleteWish &wish, bool dry_run = false)
	{
		const auto result = pools->erase(wish, dry_run);

		return result ? "deleted" : result.error().sentence;
	}
	[[nodiscard]] bool is_blank(const std::string &name) const
	{
		return bytes(name).find_first_not_of('\0') == std::string::npos;
	}

	std::string uuid;
};

TEST_F(PoolImport, a_pool_comes_from_another_host)
{
	make_elsewhere();
	/* What it was called there is of no interest. */
	std::filesystem::rename(path("b"), path("moved"));
	const auto dry = must(pools->import(wish_for("guests", {path("meta")}), true));
	EXPECT_EQ(fault_in(cli::pool_import_verb, dry), "");
	EXPECT_EQ(dry["changed"], true);
	EXPECT_THAT(must(pools->list())["pools"], IsEmpty());

	const auto done = must(pools->import(wish_for("guests", {path("meta")}), false));
	EXPECT_EQ(fault_in(cli::pool_import_verb, done), "");
	EXPECT_EQ(done["pools"][0]["pool"], "guests");
	EXPECT_EQ(done["pools"][0]["uuid"], uuid);
	EXPECT_EQ(done["pools"][0]["volumes"], 1);
	EXPECT_THAT(done["pools"][0]["devices"], ElementsAre(path("a"), path("moved")));
	EXPECT_EQ(must(pools->list())["pools"][0]["started"], false);
	(void)must(pools->start("guests", false));
	EXPECT_EQ(must(volumes().list("guests", false))["volumes"][0]["name"], "guests/#1");
	/* It is in use by now, and then it is as it was. */
	EXPECT_THAT(refused(wish_for("", {path("meta")})), HasSubstr("in use"));
	(void)must(pools->stop("guests", false));
	EXPECT_EQ(must(pools->import(wish_for("", {path("meta")}), false))["changed"], false);
	EXPECT_THAT(refused(wish_for("other", {path("meta")})), HasSubstr("is 'guests' here"));
}

TEST_F(PoolImport, finds_what_is_not_known)
{
	make_elsewhere();
	const auto found = must(pools->import(wish_for(""), false));
	EXPECT_EQ(fault_in(cli::pool_import_verb, found), "");
	EXPECT_THAT(found["pools"], SizeIs(1));
	EXPECT_EQ(found["pools"][0]["pool"], "pool_" + uuid.substr(0, 8));
	EXPECT_EQ(found["pools"][0]["meta"], path("meta"));
	/* And not again. */
	EXPECT_THAT(must(pools->import(wish_for(""), false))["pools"], IsEmpty());
}

TEST_F(PoolImport, leaves_out_what_is_not_whole_or_there_twice)
{
	make_elsewhere();
	std::filesystem::copy_file(path("meta"), path("twin"));
	auto found = must(pools->import(wish_for(""), false));
	EXPECT_THAT(found["pools"], IsEmpty());
	EXPECT_THAT(found["warnings"], ElementsAre(HasSubstr("name the device that is meant")));
	EXPECT_EQ(found["changed"], false);
	std::filesystem::remove(path("twin"));

	std::filesystem::remove(path("b"));
	found = must(pools->import(wish_for(""), false));
	EXPECT_THAT(found["warnings"], ElementsAre(HasSubstr("no block device has its label")));
	EXPECT_THAT(refused(wish_for("x", {path("meta")})), HasSubstr("no block device has its"));
	EXPECT_THAT(must(pools->list())["pools"], IsEmpty());
}

TEST_F(PoolImport, refuses_what_is_none)
{
	make_elsewhere();
	EXPECT_THAT(refused(wish_for("x", {path("a")})), HasSubstr("holds no pool's metadata"));
	EXPECT_THAT(refused(wish_for("x", {path("none")})), HasSubstr("No such file"));
	EXPECT_THAT(refused(wish_for("x", {path("meta"), path("a")})), HasSubstr("one pool"));
	EXPECT_THAT(refused(wish_for("x")), HasSubstr("one pool"));
	/* Another one has its name. */
	auto other = wish();
	other.name = "taken";
	other.meta = path("other");
	other.data = {{path("c"), "x"}};
	(void)must(pools->create(other, false));
	EXPECT_THAT(refused(wish_for("taken", {path("meta")})), HasSubstr("already"));
}

TEST_F(PoolImport, a_device_that_has_grown)
{
	create();
	const auto resize = [&](bool dry_run) {
		return must(pools->resize_device("vms", path("a"), dry_run));
	};
	const auto shown = [&](const char *what) {
		return must(pools->show("vms"))["devices"][0][what].get<std::uint64_t>();
	};

	EXPECT_EQ(resize(false)["changed"], false);
	std::filesystem::resize_file(path("a"), 24 * MiB);
	const auto dry = resize(true);
	EXPECT_EQ(fault_in(cli::pool_resize_device_verb, dry), "");
	EXPECT_EQ(dry["changed"], true);
	EXPECT_EQ(shown("bytes"), 15 * MiB);
	const auto done = resize(false);
	EXPECT_EQ(fault_in(cli::pool_resize_device_verb, done), "");
	EXPECT_EQ(done["bytes"], 23 * MiB);
	EXPECT_EQ(shown("bytes"), 23 * MiB);
	EXPECT_EQ(shown("limit_bytes"), 23 * MiB);
	EXPECT_EQ(mapper->table("corbel-vms").sectors, 40 * MiB / 512);
	EXPECT_EQ(resize(false)["changed"], false);
	/* One that was evacuated is used again. */
	EXPECT_EQ(run(evacuate_kind, "0").state, jobs::JobState::done);
	EXPECT_EQ(shown("limit_bytes"), 0);
	EXPECT_EQ(resize(false)["changed"], true);
	EXPECT_EQ(shown("limit_bytes"), 23 * MiB);

	std::filesystem::resize_file(path("a"), 8 * MiB);
	const auto smaller = pools->resize_device("vms", "0", false);
	ASSERT_FALSE(smaller);
	EXPECT_THAT(smaller.error().sentence, HasSubstr("pool shrink vms 0 SIZE"));
	EXPECT_FALSE(pools->resize_device("vms", path("c"), false));
	(void)must(pools->stop("vms", false));
	EXPECT_FALSE(pools->resize_device("vms", "0", false));
}

TEST_F(PoolImport, a_pool_ends)
{
	create();
	EXPECT_THAT(refused({"vms", "vms", false}), HasSubstr("pool stop vms"));
	(void)must(pools->stop("vms", false));
	EXPECT_THAT(refused({"vms", "", false}), HasSubstr("--confirm vms"));
	EXPECT_THAT(refused({"vms", "other", false}), HasSubstr("--confirm vms"));
	EXPECT_THAT(refused({"other", "other", true}), HasSubstr("There is no pool"));
	const auto before = bytes("meta") + bytes("a");
	const auto dry = must(pools->erase({"vms", "", false}, true));
	EXPECT_EQ(fault_in(cli::pool_delete_verb, dry), "");
	EXPECT_TRUE(bytes("meta") + bytes("a") == before);

	const auto done = must(pools->erase({"vms", "vms", false}, false));
	EXPECT_EQ(fault_in(cli::pool_delete_verb, done), "");
	EXPECT_THAT(must(pools->list())["pools"], IsEmpty());
	EXPECT_TRUE(is_blank("a"));
	EXPECT_TRUE(is_blank("b"));
	EXPECT_FALSE(super_on(path("meta")));
	/* They can be taken without force, and the name, too. */
	create();
	EXPECT_THAT(must(volumes().list("vms", false))["volumes"], IsEmpty());
}

TEST_F(PoolImport, a_pool_that_holds_something_does_not_end_by_accident)
{
	create();
	make_volume("vms/web");
	(void)must(pools->stop("vms", false));
	for (const bool dry_run : {false, true})
		EXPECT_THAT(refused({"vms", "vms", false}, dry_run), HasSubstr("has 1 volumes"));
	EXPECT_FALSE(is_blank("a"));
	EXPECT_EQ(refused({"vms", "", true}), "deleted");
	create();
	EXPECT_THAT(must(volumes().list("vms", false))["volumes"], IsEmpty());
}

TEST_F(PoolImport, a_pool_ends_without_its_devices_if_it_must)
{
	create();
	(void)must(pools->stop("vms", false));
	std::filesystem::remove(path("b"));
	EXPECT_THAT(refused({"vms", "vms", false}), HasSubstr("is not there"));
	EXPECT_FALSE(is_blank("a"));
	/* Another pool's metadata is where that of this one was. */
	std::filesystem::rename(path("meta"), path("old"));
	auto other = wish();
	other.name = "second";
	other.data = {{path("c"), "x"}};
	make_file("meta");
	(void)must(pools->create(other, false));
	(void)must(pools->stop("second", false));
	const auto done = must(pools->erase({"vms", "", true}, false));
	EXPECT_THAT(done["warnings"], SizeIs(2));
	EXPECT_TRUE(is_blank("a"));
	EXPECT_EQ(must(pools->show("second"))["uuid"],
		  uuid_text(super_on(path("meta")).value().uuid));
	/* One that is somebody's is not touched, whatever is said. */
	(void)must(pools->start("second", false));
	(void)must(pools->stop("second", false));
	const auto held = must(pool::MetaDevice::open(path("c"), pool::MetaDevice::Use::read));
	EXPECT_THAT(refused({"second", "", true}), HasSubstr("in use"));
	EXPECT_TRUE(super_on(path("meta")));
}

} /* namespace */
