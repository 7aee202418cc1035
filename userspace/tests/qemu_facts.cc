// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read from the command line of a QEMU, whoever wrote it. */
#include "../qemu/facts.hh"
#include "../qemu/option.hh"
#include "result.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <random>

namespace corbel::test {

namespace {

using namespace corbel::qemu;

std::string command_line(std::initializer_list<const char *> arguments)
{
	std::string text;

	for (const auto *argument : arguments)
		text += std::string(argument) + '\0';
	return text;
}

const std::string bare = command_line(
	{"qemu-system-x86_64",
	 "-nodefaults",
	 "-name",
	 "web,,1,debug-threads=off",
	 "-uuid",
	 "4a2b",
	 "-m",
	 "size=2G,slots=4",
	 "-smp",
	 "4,maxcpus=8",
	 "-machine",
	 "q35,accel=kvm:tcg",
	 "-drive",
	 "file=/srv/a,,b.img,format=raw,if=none,id=disk,readonly=on",
	 "--device",
	 "virtio-blk-pci,drive=disk",
	 "-blockdev",
	 R"({"driver":"qcow2","node-name":"top","file":{"driver":"file","filename":"/srv/c"}})",
	 "-blockdev",
	 "driver=file,node-name=low,filename=/srv/d,read-only=on",
	 "-blockdev",
	 "raw,node-name=high,file=low",
	 "-device",
	 R"({"driver":"scsi-hd","drive":"high"})",
	 "-device",
	 "ide-hd,drive=top",
	 "-netdev",
	 "user,id=net,tftp=/t",
	 "-device",
	 "virtio-net-pci,netdev=net,mac=52:54:00:00:00:01",
	 "-object",
	 R"({"qom-type":"memory-backend-memfd","id":"ram","size":2147483648,"share":true})",
	 "-object",
	 "memory-backend-file,id=pm,size=1G,mem-path=/dev/pm,share=off",
	 "-device",
	 "vhost-vsock-pci,guest-cid=42",
	 "-qmp",
	 "unix:/run/a.qmp,server,nowait",
	 "-chardev",
	 "socket,id=mon,path=/run/b.qmp,server=on,wait=off",
	 "-mon",
	 "chardev=mon,mode=control",
	 "-monitor",
	 "unix:/run/c.hmp,server=on",
	 "-qmp",
	 "tcp:localhost:4444,server=on",
	 "-chardev",
	 "socket,id=con,path=/run/con,server=on,wait=off,logfile=/x",
	 "-serial",
	 "chardev:con"});

TEST(ArgumentFacts, of_a_guest_that_somebody_wrote_by_hand)
{
	const auto facts = must(facts_of_arguments(bare));

	EXPECT_EQ(facts.name, "web,1");
	EXPECT_EQ(facts.uuid, "4a2b");
	EXPECT_EQ(facts.machine, "q35");
	EXPECT_EQ(facts.accelerator, "kvm:tcg");
	EXPECT_EQ(facts.vcpus, 4U);
	EXPECT_EQ(facts.memory, std::uint64_t{2} << 30);
	EXPECT_EQ(facts.cid, 42U);
	EXPECT_FALSE(facts.looks_like_libvirt);

	ASSERT_EQ(facts.disks.size(), 3U);
	EXPECT_EQ(facts.disks[0].file, "/srv/a,b.img");
	EXPECT_EQ(facts.disks[0].device, "virtio-blk-pci");
	EXPECT_TRUE(facts.disks[0].read_only);
	EXPECT_EQ(facts.disks[1].file, "/srv/c");
	EXPECT_EQ(facts.disks[1].format, "qcow2");
	EXPECT_EQ(facts.disks[1].device, "ide-hd");
	EXPECT_EQ(facts.disks[2].file, "/srv/d") << "of the node below";
	EXPECT_EQ(facts.disks[2].device, "scsi-hd");

	ASSERT_EQ(facts.nets.size(), 1U);
	EXPECT_EQ(facts.nets[0].type, "user");
	EXPECT_EQ(facts.nets[0].mac, "52:54:00:00:00:01");
	ASSERT_EQ(facts.memory_backends.size(), 2U);
	EXPECT_EQ(facts.memory_backends[0].size, std::uint64_t{2} << 30);
	EXPECT_TRUE(facts.memory_backends[0].shared);
	EXPECT_EQ(facts.memory_backends[1].file, "/dev/pm");

	std::vector<std::string> sockets;
	for (const auto &socket : facts.sockets)
		sockets.push_back(socket.use + " " + socket.path);
	EXPECT_THAT(sockets, testing::UnorderedElementsAre("qmp /run/a.qmp", "hmp /run/c.hmp",
							   "qmp /run/b.qmp", "console /run/con"));
}

TEST(ArgumentFacts, tell_what_libvirt_started)
{
	for (const auto &line :
	     {command_line({"qemu", "-name", "guest=a,debug-threads=on"}),
	      command_line({"qemu", "-chardev", "socket,id=charmonitor,fd=30,server=on,wait=off"}),
	      command_line({"qemu", "-object",
			    R"({"qom-type":"secret","file":"/var/lib/libvirt/qemu/a/key"})"})})
		EXPECT_TRUE(must(facts_of_arguments(line)).looks_like_libvirt) << line;
}

TEST(ArgumentFacts, have_qemus_defaults)
{
	const auto facts =
		must(facts_of_arguments(command_line({"qemu", "-smp", "cores=2,threads=2"})));

	EXPECT_EQ(facts.memory, std::uint64_t{128} << 20);
	EXPECT_EQ(facts.vcpus, 4U);
	EXPECT_EQ(must(facts_of_arguments("")).vcpus, 1U);
}

TEST(ArgumentFacts, are_bounded)
{
	std::string line = "qemu";

	for (std::size_t i = 0; i <= most_options; i++)
		line += std::string("\0-a\0b", 5);
	EXPECT_EQ(error_of(facts_of_arguments(line)), E2BIG);
	EXPECT_EQ(Parameters(std::string(100000, ',')).all().size(), 1U) << "commas, doubled";
	std::string many;
	for (int i = 0; i < 5000; i++)
		many += "a=b,";
	EXPECT_EQ(Parameters(many).all().size(), most_parameters);
}

TEST(ArgumentFacts, of_any_bytes_are_something)
{
	std::mt19937 random(7);

	for (int turn = 0; turn < 3000; turn++) {
		auto line = bare;

		for (auto changes = 1 + random() % 8; changes; changes--)
			line[random() % line.size()] = static_cast<char>(random());
		line.resize(random() % 4 ? line.size() : random() % line.size());
		const auto facts = facts_of_arguments(line);
		EXPECT_LE(facts ? facts->disks.size() : 0, 8U);
	}
}

TEST(QemuSizes, are_read_as_qemu_does)
{
	EXPECT_EQ(size_of("512", 1 << 20), std::uint64_t{512} << 20);
	EXPECT_EQ(size_of("4g", 1), std::uint64_t{4} << 30);
	EXPECT_EQ(size_of("1K", 7), 1024U);
	for (const char *bad :
	     {"", "x", "4X", "4GB", "99999999999999999999", "18446744073709551615G"})
		EXPECT_EQ(size_of(bad, 1), 0U) << bad;
}

TEST(GuestFactsJson, says_what_is_stale_and_why)
{
	GuestFacts guest;
	const Time at(std::chrono::milliseconds(5000));

	guest.name = "web";
	guest.arguments.seen = at - std::chrono::milliseconds(1500);
	guest.monitor.error = "It hangs.";
	const auto json = json_of(guest, at, std::chrono::seconds(1));
	EXPECT_EQ(json["managed_by"], "nobody");
	EXPECT_EQ(json["arguments"]["age_ms"], 1500);
	EXPECT_EQ(json["arguments"]["stale"], true) << "it is older than a second";
	EXPECT_EQ(json_of(guest, at, std::chrono::seconds(2))["arguments"]["stale"], false);
	EXPECT_EQ(json["arguments"]["facts"]["vcpus"], 1);
	EXPECT_EQ(json["monitor"]["stale"], true);
	EXPECT_EQ(json["monitor"]["error"], "It hangs.");
	EXPECT_TRUE(json["monitor"]["facts"].is_null());
}

} /* namespace */

} /* namespace corbel::test */
