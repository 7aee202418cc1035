// SPDX-License-Identifier: GPL-2.0-or-later
/* Disks of VMs that are volumes: at the destination of a migration, and at its source. */
#include "volumes_test.hh"

#include "../corbeld/volume_disks.hh"
#include "../migrate/wish.hh"

#include <cerrno>

namespace corbel::test {

namespace {

using daemon::PoolVolumes;
using migrate::MadeDisk;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t size = 4 * MiB;
const std::string at = "/dev/mapper/corbel-vms-web", session = "0123456789abcdef";

Result<void> keep()
{
	return {};
}

} /* namespace */

class VolumeDisks : public VolumesTest {
protected:
	VolumeDisks() { create(); }
	std::vector<std::string> obstacles(std::uint64_t bytes)
	{
		return disks.obstacles({{at, bytes, "CORBEL-x-1"}});
	}
	std::size_t count() { return must(volumes().list("vms", false))["volumes"].size(); }

	PoolVolumes disks{*pools};
};

TEST(volume_disks, are_known_by_their_path)
{
	EXPECT_EQ(migrate::volume_at(at)->text(), "vms/web");
	EXPECT_EQ(migrate::volume_at("/dev/mapper/corbel-vms-a-b")->text(), "vms/a-b");
	for (const char *other : {"/dev/mapper/corbel-vms", "/dev/mapper/corbel--web", "/dev/sda",
				  "/dev/mapper/corbel-vms-a/b", "corbel-vms-web"})
		EXPECT_FALSE(migrate::volume_at(other)) << other;
}

TEST_F(VolumeDisks, say_what_stands_in_the_way)
{
	EXPECT_THAT(obstacles(size), IsEmpty());
	EXPECT_THAT(obstacles(size + 512), ElementsAre(HasSubstr("whole number of blocks")));
	EXPECT_THAT(obstacles(31 * MiB), ElementsAre(HasSubstr("take 31 MiB in the pool 'vms'")));
	/* Each by itself would do. */
	EXPECT_THAT(disks.obstacles({{at, 20 * MiB, ""}, {at + "2", 20 * MiB, ""}}),
		    ElementsAre(HasSubstr("take 40 MiB")));
	EXPECT_THAT(disks.obstacles({{"/dev/mapper/corbel-none-web", size, ""}}),
		    ElementsAre(HasSubstr("There is no pool 'none'")));
	make_volume("vms/web");
	EXPECT_THAT(obstacles(size), ElementsAre(HasSubstr("There is a 'vms/web' already")));
	(void)must(pools->stop("vms", false));
	EXPECT_THAT(obstacles(size), ElementsAre(HasSubstr("vms")));
}

TEST_F(VolumeDisks, of_a_vm_that_comes)
{
	MadeDisk disk{.number = 0, .path = at};
	std::string while_kept;

	EXPECT_TRUE(disks.make(disk, session, size, [&]() -> Result<void> {
		while_kept = must(volumes().list("vms", false))["volumes"][0]["name"];
		return {};
	}));
	EXPECT_EQ(while_kept, "vms/coming-01234567-0");
	EXPECT_EQ(disk.inode, id_of("vms/web"));
	EXPECT_EQ(mapper->table("corbel-vms-web").sectors, size / 512);
	/* Not over what is there. */
	MadeDisk other{.number = 1, .path = at};
	EXPECT_EQ(error_of(disks.make(other, session, size, keep)), EEXIST);
	EXPECT_TRUE(disks.remove(other, session));
	EXPECT_EQ(count(), 1U);
	/* It does not come after all. */
	EXPECT_TRUE(disks.remove(disk, session));
	EXPECT_TRUE(disks.remove(disk, session)) << "again";
	EXPECT_EQ(count(), 0U);
}

TEST_F(VolumeDisks, are_removed_from_wherever_they_have_come_to)
{
	MadeDisk disk{.number = 0, .path = at};

	EXPECT_EQ(error_of(disks.make(disk, session, size,
				      [] { return failure(EIO, "It cannot be kept."); })),
		  EIO);
	EXPECT_EQ(count(), 1U);
	EXPECT_TRUE(disks.remove({.number = 0, .path = at}, session)) << "nobody kept its number";
	EXPECT_EQ(count(), 0U);
	/* Somebody else's of that name is left alone. */
	make_volume("vms/web");
	disk.inode = id_of("vms/web") + 1;
	EXPECT_TRUE(disks.remove(disk, session));
	EXPECT_EQ(count(), 1U);
	/* There is nothing of it where there is no pool. */
	EXPECT_TRUE(disks.remove({.number = 0, .path = "/dev/mapper/corbel-none-web"}, session));
}

TEST_F(VolumeDisks, of_a_vm_that_has_gone)
{
	make_volume("vms/web", true);
	const auto uuid = mapped_uuid(must(pools->records().pool("vms")), id_of("vms/web"));

	EXPECT_EQ(must(disks.put_aside({at, size, uuid + "0"}, session)), std::nullopt);
	EXPECT_EQ(must(disks.put_aside({at, size, uuid}, session)), "vms/web.moved-01234567");
	EXPECT_EQ(must(disks.put_aside({at, size, uuid}, session)), std::nullopt) << "again";
	EXPECT_EQ(must(mapper->list()).size(), 1U) << "the pool";
	/* Who died in between finds it without its device. */
	(void)must(volumes().rename(name("vms/web.moved-01234567"), "web", false));
	EXPECT_EQ(must(disks.put_aside({at, size, uuid}, session)), "vms/web.moved-01234567");
	EXPECT_THAT(obstacles(size), IsEmpty()) << "it can come back";
}

} /* namespace corbel::test */
