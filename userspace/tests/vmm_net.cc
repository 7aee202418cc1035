// SPDX-License-Identifier: GPL-2.0-or-later
//
// The network of a guest: where its frames go, and what of them a recording has.
#include "result.hh"
#include "temporary_folder.hh"
#include "vmm_driver.hh"
#include "wait_until.hh"

#include <vmm/backends.hh>

#include <libcorbel/text_file.hh>

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

namespace {

using namespace corbel;
using namespace corbel::vmm;
using corbel::test::error_of;
using corbel::test::flag_write;
using corbel::test::must;
using corbel::test::RingDriver;
using corbel::test::TemporaryFolder;

constexpr std::uint64_t mib = 1 << 20;
constexpr Mac some_mac{0x52, 0x54, 0, 1, 2, 3};

std::string frame(char fill, std::size_t bytes = 60)
{
	return std::string(bytes, fill);
}

/* ---- links ------------------------------------------------------------------------- */

struct vmm_net : testing::Test {
	std::string text(const char *own, const char *peer)
	{
		return "socket=" + (folder.path() / own).string() +
		       ",peer=" + (folder.path() / peer).string();
	}
	std::unique_ptr<NetLink> link(const char *own, const char *peer)
	{
		auto link = must(NetLink::open(text(own, peer)));

		link->start([] {});
		return link;
	}

	TemporaryFolder folder;
};

TEST_F(vmm_net, has_two_that_talk)
{
	const auto one = link("one", "other");

	one->send(frame('x')); /* to nobody */
	const auto other = link("other", "one");
	one->send(frame('a', NetLink::most + 1));
	one->send(frame('a', NetLink::least - 1));
	one->send(frame('b', NetLink::most));
	one->send(frame('c'));
	for (const auto &expected : {frame('b', NetLink::most), frame('c')}) {
		ASSERT_TRUE(test::wait_until([&] { return other->waits(); }));
		EXPECT_EQ(other->take(NetLink::most), expected);
	}
	EXPECT_FALSE(one->waits());
	EXPECT_NE(one->mac(), other->mac());
}

TEST_F(vmm_net, leaves_no_socket_behind_and_takes_none_that_is_used)
{
	{
		const auto one = link("one", "other");

		EXPECT_EQ(error_of(NetLink::open(text("one", "third"))), EADDRINUSE);
	}
	EXPECT_FALSE(std::filesystem::exists(folder.path() / "one"));
}

TEST_F(vmm_net, that_is_none_is_refused)
{
	for (const char *text : {"", "user", "socket=/x", "socket=,peer=/x",
				 "socket=/x,peer=", "tap=a-name-that-is-far-too-long"})
		EXPECT_NE(error_of(NetLink::open(text)), 0) << text;
}

/* ---- the card ---------------------------------------------------------------------- */

struct Guest {
	Guest(std::unique_ptr<NetLink> link, std::unique_ptr<Journal> journal)
		: net(net_device(some_mac, std::move(link))),
		  journal(std::move(journal)),
		  card(net.model(), 0xc000, 3)
	{
		const auto out = [&](unsigned at, unsigned size, std::uint32_t value) {
			card.out(at, size, value);
		};

		card.configure(4, 2, 5);
		out(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
		out(VIRTIO_PCI_COMMON_GF, 4, 1);
		out(VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_FEATURES_OK);
		card.queue(PacketDevice::receive_queue) = driver.queue;
		out(VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
	}

	int send(std::string_view bytes)
	{
		Chain chain;
		const std::string head(12, '\0');

		for (const std::string_view piece : {std::string_view(head), bytes}) {
			chain.readable.push_back(std::as_bytes(std::span(piece)));
			chain.readable_bytes += piece.size();
		}
		const auto sent = net.transmit(chain, *journal);

		return sent ? 0 : sent.error().number;
	}
	/* Room for one more, of 1600 bytes, each in a place of its own. */
	void make_room()
	{
		driver.describe(room, {0x20000 + room * 0x1000U, 1600, flag_write, 0});
		driver.offer(room++);
	}
	int receive()
	{
		const auto done = net.receive(card, memory, *journal);

		return done ? 0 : done.error().number;
	}
	std::string received(unsigned number)
	{
		const auto bytes =
			driver.get<std::uint32_t>(RingDriver::device + 4 + number * 8 + 4);

		return driver.text(0x20000 + number * 0x1000U + 12, bytes - 12);
	}

	GuestMemory memory = must(GuestMemory::create(16 * mib));
	RingDriver driver{memory};
	PacketDevice net;
	std::unique_ptr<Journal> journal;
	VirtioPci card;
	std::uint16_t room = 0;
};

TEST_F(vmm_net, is_recorded_and_replayed_without_anybody)
{
	const auto path = folder.path() / "recording";
	auto journal = must(Journal::create({Mode::record, 0, -1}));

	journal->record_to(must(RecordingWriter::create(path, "{}")));
	const auto peer = link("peer", "guest");
	Guest recorded(link("guest", "peer"), std::move(journal));

	EXPECT_EQ(recorded.send(frame('s')), 0);
	ASSERT_TRUE(test::wait_until([&] { return peer->waits(); }));
	EXPECT_EQ(peer->take(NetLink::most), frame('s'));
	peer->send(frame('a'));
	ASSERT_TRUE(test::wait_until([&] { return recorded.net.link()->waits(); }));
	EXPECT_FALSE(recorded.net.waits(recorded.card, recorded.memory)) << "there is no room";
	EXPECT_EQ(recorded.receive(), 0);
	EXPECT_FALSE(recorded.card.line());
	recorded.make_room();
	EXPECT_TRUE(recorded.net.waits(recorded.card, recorded.memory));
	EXPECT_EQ(recorded.receive(), 0);
	EXPECT_EQ(recorded.received(0), frame('a'));
	EXPECT_TRUE(recorded.card.line());
	EXPECT_EQ(recorded.driver.get<std::uint16_t>(0x20000 + 10), 1U) << "one buffer";
	must(recorded.journal->end(1, 0));
	must(recorded.journal->finish());

	const auto file = text_of_file(path).value();
	const auto replay = [&] {
		return must(Journal::create({Mode::replay, 0, -1}, must(ChunkReader::open(file))));
	};
	Guest replayed(nullptr, replay());

	EXPECT_EQ(replayed.send(frame('s')), 0);
	replayed.make_room();
	EXPECT_EQ(replayed.receive(), 0);
	EXPECT_EQ(replayed.memory.digest(), recorded.memory.digest());
	EXPECT_EQ(std::memcmp(&replayed.card, &recorded.card, sizeof(VirtioPci)), 0);
	must(replayed.journal->end(1, 0));

	Guest differs(nullptr, replay());
	EXPECT_EQ(differs.send(frame('t')), diverged);
	Guest without_room(nullptr, replay());
	EXPECT_EQ(without_room.send(frame('s')), 0);
	EXPECT_EQ(without_room.receive(), diverged);
}

TEST_F(vmm_net, is_not_changed_by_who_looks_whether_a_frame_waits)
{
	Guest guest(link("guest", "peer"), must(Journal::create({Mode::plain, 0, -1})));

	link("peer", "guest")->send(frame('a'));
	ASSERT_TRUE(test::wait_until([&] { return guest.net.link()->waits(); }));
	guest.driver.put<std::uint16_t>(RingDriver::driver + 2, 0x7777);
	const auto before = guest.card;
	EXPECT_FALSE(guest.net.waits(guest.card, guest.memory));
	EXPECT_EQ(std::memcmp(&guest.card, &before, sizeof(VirtioPci)), 0);
}

TEST_F(vmm_net, sends_nothing_that_is_no_frame)
{
	Guest guest(nullptr, must(Journal::create({Mode::plain, 0, -1})));

	EXPECT_EQ(guest.send(""), 0);
	EXPECT_EQ(guest.send(frame('x', NetLink::least - 1)), 0);
	EXPECT_EQ(guest.send(frame('x', NetLink::most + 1)), 0);
	EXPECT_EQ(guest.net.sent(), 0U);
	EXPECT_EQ(guest.send(frame('x', NetLink::most)), 0);
	EXPECT_EQ(guest.net.sent(), 1U);
}

} /* namespace */
