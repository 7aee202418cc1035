// SPDX-License-Identifier: GPL-2.0-or-later
/* The host's side against the agent itself, and against guests that mean no good. */
#include "guest_folder.hh"

#include <agent/client.hh>
#include <agent/server.hh>

#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <thread>

namespace {

using namespace corbel::agent;
using corbel::Result;
using corbel::ScopedFd;
using corbel::test::error_of;
using corbel::test::GuestFolder;
using corbel::test::must;
using testing::HasSubstr;

/* Long enough for any machine; where it has to pass, it is short. */
constexpr std::chrono::seconds patient{60};
constexpr std::chrono::milliseconds impatient{50};

/* Who is at the other end of a connection, until the connection ends. */
class Guest {
public:
	explicit Guest(const std::function<void(Channel &)> &behaviour)
	{
		int ends[2];

		if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
			throw std::runtime_error("no sockets");
		host_ = ScopedFd(ends[0]);
		thread_ = std::thread([behaviour, fd = ends[1]] {
			Channel channel{ScopedFd(fd)};

			behaviour(channel);
		});
	}
	~Guest()
	{
		host_.reset();
		thread_.join();
	}
	Guest(const Guest &) = delete;
	Guest &operator=(const Guest &) = delete;

	[[nodiscard]] ScopedFd take() { return std::move(host_); }

private:
	ScopedFd host_;
	std::thread thread_;
};

Channel::Clock::time_point later()
{
	return Channel::Clock::now() + patient;
}

std::string good_hello()
{
	return encode(HelloReply{{}, "0.1", "6.1.0", {{0, 0}, {1, 1}}});
}

/* Takes requests until there are no more; @reply makes the bytes to be sent. */
void reply_with(Channel &channel, const std::function<std::string(const Head &)> &reply)
{
	while (const auto request = channel.receive(later())) {
		const auto bytes =
			request->head.type == Type::hello
				? message(Type::hello_reply, request->head.id, good_hello())
				: reply(request->head);

		if (!channel.send(bytes, later()))
			return;
	}
}

/* Of a list, from a guest that is good until then. */
Result<std::vector<GuestIrq>> list_from(const std::function<std::string(const Head &)> &reply,
					std::chrono::milliseconds limit = patient)
{
	Guest guest([&](Channel &channel) { reply_with(channel, reply); });
	auto client = must(Client::open(guest.take(), limit));
	auto irqs = client.irqs();

	EXPECT_EQ(client.broken(), !irqs);
	if (!irqs) {
		EXPECT_EQ(error_of(client.irqs()), EPIPE) << "there is no going on";
	}
	return irqs;
}

std::string list_reply(const Head &head, std::uint32_t next, std::uint32_t number)
{
	GuestIrq irq;

	irq.number = number;
	irq.affinity = irq.effective = CpuSet::of(0);
	irq.name = "a\x1b[2Jb";
	return message(Type::list_reply, head.id, encode_list(next, {encode(irq)}));
}

TEST(agent_client, moves_and_puts_back)
{
	const GuestFolder folder;
	const auto irqs = folder.open();
	{
		Guest guest([&](Channel &channel) { Server(irqs).serve(channel); });
		auto client = must(Client::open(guest.take(), patient));

		EXPECT_EQ(client.guest().online.size(), 2u);
		EXPECT_EQ(must(client.irqs()).size(), 2u);
		EXPECT_EQ(must(client.move(24, CpuSet::of(1))).affinity.list(), "1");
		EXPECT_EQ(error_of(client.move(77, CpuSet::of(1))), ENOENT);
		EXPECT_EQ(error_of(client.move(24, CpuSet::of(9))), EINVAL);
		EXPECT_FALSE(client.broken());
		EXPECT_EQ(must(client.restore()).restored, 1u);
		(void)must(client.move(5, CpuSet::of(0)));
		EXPECT_EQ(folder.affinity(5), "0");
	}
	EXPECT_EQ(folder.affinity(24), "0");
	EXPECT_EQ(folder.affinity(5), "1") << "the end of the connection puts back";
}

TEST(agent_client, refuses_another_version_and_names_both)
{
	Guest guest([](Channel &channel) {
		if (const auto request = channel.receive(later()))
			(void)channel.send(message(Type::hello_reply, request->head.id,
						   encode(Hello{{9, 4}}) + "whatever"),
					   later());
	});
	const auto client = Client::open(guest.take(), patient);

	ASSERT_EQ(error_of(client), EPROTONOSUPPORT);
	EXPECT_THAT(client.error().sentence, HasSubstr("9.4"));
	EXPECT_THAT(client.error().sentence, HasSubstr(Version().text()));
}

TEST(agent_client, gives_up_on_silence)
{
	Guest guest([](Channel &channel) {
		(void)channel.receive(later());
		(void)channel.wait_readable(later());
	});
	const auto client = Client::open(guest.take(), impatient);

	ASSERT_EQ(error_of(client), ETIMEDOUT);
	EXPECT_THAT(client.error().sentence, HasSubstr("did not answer"));
}

/* Each byte comes soon after the one before, the message never. */
TEST(agent_client, gives_up_on_a_drip)
{
	const auto irqs = [] {
		Guest guest([](Channel &channel) {
			auto request = channel.receive(later());

			(void)channel.send(
				message(Type::hello_reply, request->head.id, good_hello()),
				later());
			request = channel.receive(later());
			(void)channel.send(message(Type::list_reply, request->head.id,
						   std::string(60'000, '\0'))
						   .substr(0, head_size),
					   later());
			while (channel.send(std::string_view("\0", 1), later()))
				::usleep(1000);
		});
		auto client = must(Client::open(guest.take(), impatient));
		return client.irqs();
	}();

	EXPECT_EQ(error_of(irqs), ETIMEDOUT);
}

TEST(agent_client, does_not_believe_a_size)
{
	for (std::uint32_t size : {0xffffffffU, 0x80000000U, 65536U})
		EXPECT_EQ(error_of(list_from([&](const Head &head) {
				  auto bytes = message(Type::list_reply, head.id);

				  for (int i = 0; i < 4; i++)
					  bytes[static_cast<std::size_t>(i)] =
						  static_cast<char>(size >> 8 * i);
				  return bytes;
			  })),
			  EMSGSIZE);
}

TEST(agent_client, cuts_off_a_flood)
{
	Guest guest([](Channel &channel) {
		const auto request = channel.receive(later());
		std::string flood = message(Type::hello_reply, request->head.id, good_hello());

		do
			flood = message(Type::list_reply, 2, std::string(1000, 'x'))
					.insert(0, std::exchange(flood, {}));
		while (channel.send(flood, later()));
	});
	auto client = must(Client::open(guest.take(), patient));
	const auto irqs = client.irqs();

	ASSERT_EQ(error_of(irqs), EPROTO);
	EXPECT_TRUE(client.broken());
}

TEST(agent_client, wants_the_answer_to_its_question)
{
	EXPECT_EQ(error_of(list_from([](const Head &head) {
			  return message(Type::list_reply, head.id + 1, encode_list(0, {}));
		  })),
		  EPROTO);
	EXPECT_EQ(error_of(list_from([](const Head &head) {
			  return message(Type::move_reply, head.id, encode(MoveReply{}));
		  })),
		  EPROTO);
	EXPECT_EQ(error_of(list_from([](const Head &head) {
			  return message(Type::list_reply, head.id, "x");
		  })),
		  EPROTO);
}

/* A list that goes on for ever, and one that begins again. */
TEST(agent_client, ends_endless_lists)
{
	std::uint32_t asked = 0;

	EXPECT_EQ(error_of(list_from([&](const Head &head) {
			  asked++;
			  return list_reply(head, asked + 1, asked);
		  })),
		  EPROTO);
	EXPECT_EQ(asked, max_list_requests);
	EXPECT_EQ(error_of(list_from([](const Head &head) { return list_reply(head, 6, 5); })),
		  EPROTO);
}

TEST(agent_client, shows_no_control_characters)
{
	const auto irqs = must(list_from([](const Head &head) { return list_reply(head, 0, 5); }));

	EXPECT_EQ(irqs.at(0).name, "a?[2Jb");

	Guest guest([](Channel &channel) {
		reply_with(channel, [](const Head &head) {
			return message(Type::error_reply, head.id,
				       encode(ErrorReply{Refusal::pinned, "\x07no"}));
		});
	});
	auto client = must(Client::open(guest.take(), patient));
	const auto refused = client.move(5, CpuSet::of(0));
	ASSERT_EQ(error_of(refused), EPERM);
	EXPECT_THAT(refused.error().sentence, HasSubstr("says: ?no"));
	EXPECT_FALSE(client.broken());
}

TEST(agent_client, notices_the_end)
{
	Guest guest([](Channel &channel) {
		const auto request = channel.receive(later());

		(void)channel.send(message(Type::hello_reply, request->head.id, good_hello()),
				   later());
	});
	auto client = must(Client::open(guest.take(), patient));
	const auto irqs = client.irqs();

	EXPECT_FALSE(irqs);
	EXPECT_TRUE(client.broken());
}

TEST(agent_cid, is_that_of_the_device)
{
	const auto cid = [](std::string line) {
		for (char &c : line)
			c = c == ' ' ? '\0' : c;
		return guest_cid(line).value_or(0);
	};

	EXPECT_EQ(cid("qemu -m 1G -device vhost-vsock-pci,guest-cid=42"), 42u);
	EXPECT_EQ(cid("qemu --device vhost-vsock-pci,id=v,guest-cid=42,bus=pci.0"), 42u);
	EXPECT_EQ(cid("qemu -device vhost-vsock-ccw,guest-cid=3 -device virtio-net-pci"), 3u);
	for (const char *none :
	     {"", "qemu", "qemu -device", "qemu -device virtio-net-pci,guest-cid=42",
	      "qemu -name vhost-vsock-pci,guest-cid=42", "qemu -device vhost-vsock-pci",
	      "qemu -device vhost-vsock-pci,guest-cid=2",
	      "qemu -device vhost-vsock-pci,guest-cid=x",
	      "qemu -device vhost-vsock-pci,guest-cid=4294967296"})
		EXPECT_EQ(cid(none), 0u) << none;

	const auto none = guest_cid_of(::getpid());
	ASSERT_EQ(error_of(none), ENODEV);
	EXPECT_THAT(none.error().sentence, HasSubstr("-device vhost-vsock-pci,guest-cid=N"));
}

} /* namespace */
