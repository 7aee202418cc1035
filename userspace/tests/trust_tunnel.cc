// SPDX-License-Identifier: GPL-2.0-or-later
/* Tunnels between two hosts: all bytes, ends, stalls, and keys that change under way. */
#include "../trust/tunnel.hh"
#include "trust_hosts.hh"
#include "wait_until.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <mutex>

#include <fmt/format.h>

namespace corbel::test {

namespace {

using namespace corbel::trust;
using namespace std::chrono_literals;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;

constexpr std::size_t mebibyte = std::size_t{1} << 20;

bool wait_for(int fd, short events)
{
	pollfd wanted{.fd = fd, .events = events, .revents = 0};

	return ::poll(&wanted, 1, 60000) > 0;
}

/* Bytes of which no two places look alike. */
char byte_at(std::size_t place, unsigned seed)
{
	return static_cast<char>((place * 2654435761U + seed) >> 13);
}

/* Whether all of them could be written. */
bool send_bytes(int fd, std::size_t count, unsigned seed)
{
	std::vector<char> piece(65536);

	for (std::size_t at = 0; at < count;) {
		const auto size = std::min(piece.size(), count - at);
		for (std::size_t i = 0; i < size; i++)
			piece[i] = byte_at(at + i, seed);
		const auto put = ::send(fd, piece.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (put < 0 && (errno != EAGAIN || !wait_for(fd, POLLOUT)))
			return false;
		at += put > 0 ? static_cast<std::size_t>(put) : 0;
	}
	return true;
}

/* How many of the right bytes there were before the end, or @most. */
std::size_t receive_bytes(int fd, unsigned seed, std::size_t most = SIZE_MAX)
{
	std::vector<char> piece(65536);
	std::size_t at = 0;

	while (at < most) {
		const auto got =
			::recv(fd, piece.data(), std::min(piece.size(), most - at), MSG_DONTWAIT);
		if (got < 0 && errno == EAGAIN && wait_for(fd, POLLIN))
			continue;
		if (got <= 0)
			return at;
		for (std::size_t i = 0; i < static_cast<std::size_t>(got); i++)
			if (piece[i] != byte_at(at + i, seed))
				return at + i;
		at += static_cast<std::size_t>(got);
	}
	return at;
}

struct Ends {
	ScopedFd a;
	ScopedFd b;
};

class TrustTunnels : public testing::Test {
protected:
	/* b connects to a. */
	[[nodiscard]] Ends connect()
	{
		auto met = meet(a.identity, {.lookup = knowing({known_b})}, b.identity, a.trust());

		if (!met.server || !met.client)
			throw std::runtime_error(sentence_of(met.server) + sentence_of(met.client));
		return {must(at_a->carry(*std::move(met.server))),
			must(at_b->carry(*std::move(met.client)))};
	}
	[[nodiscard]] TunnelOptions options()
	{
		return {.ended = [this](const Peer &, const std::string &why) {
			const std::lock_guard guard(lock);
			whys.push_back(why);
		}};
	}
	[[nodiscard]] std::vector<std::string> ended()
	{
		const std::lock_guard guard(lock);

		return whys;
	}

	TestClock clock;
	TestHost a{clock, "host-a"}, b{clock, "host-b"};
	PeerTrust known_b = b.trust();
	std::mutex lock;
	std::vector<std::string> whys;
	std::unique_ptr<Tunnels> at_a = must(Tunnels::start(options()));
	std::unique_ptr<Tunnels> at_b = must(Tunnels::start(options()));
};

TEST_F(TrustTunnels, carry_all_bytes_both_ways_at_once)
{
	constexpr std::size_t size = 64 * mebibyte;
	const auto ends = connect();
	std::array<std::size_t, 2> received{};
	const auto send = [&](int fd, unsigned seed) {
		EXPECT_TRUE(send_bytes(fd, size, seed));
		::shutdown(fd, SHUT_WR);
	};
	std::thread threads[] = {
		std::thread([&] { send(ends.a.get(), 1); }),
		std::thread([&] { send(ends.b.get(), 2); }),
		std::thread([&] { received[0] = receive_bytes(ends.a.get(), 2); }),
		std::thread([&] { received[1] = receive_bytes(ends.b.get(), 1); }),
	};

	for (auto &thread : threads)
		thread.join();
	EXPECT_THAT(received, Each(size));
	EXPECT_TRUE(wait_until([&] { return at_a->count() + at_b->count() == 0; }));
	EXPECT_THAT(ended(), testing::ElementsAre("", ""));
}

TEST_F(TrustTunnels, end_one_direction_and_go_on_in_the_other)
{
	const auto ends = connect();

	ASSERT_TRUE(send_bytes(ends.b.get(), 100, 1));
	::shutdown(ends.b.get(), SHUT_WR);
	EXPECT_EQ(receive_bytes(ends.a.get(), 1), 100U);
	/* a has seen the end and answers for a good while. */
	std::thread answer([&] {
		EXPECT_TRUE(send_bytes(ends.a.get(), 3 * mebibyte, 2));
		::shutdown(ends.a.get(), SHUT_WR);
	});
	EXPECT_EQ(receive_bytes(ends.b.get(), 2), 3 * mebibyte);
	answer.join();
	EXPECT_TRUE(wait_until([&] { return at_a->count() + at_b->count() == 0; }));
}

TEST_F(TrustTunnels, deliver_what_was_written_before_a_close)
{
	auto ends = connect();

	ASSERT_TRUE(send_bytes(ends.b.get(), 200000, 1));
	ends.b.reset();
	EXPECT_EQ(receive_bytes(ends.a.get(), 1), 200000U);
	/* Nobody is there to read this; that is no reason to keep anything. */
	(void)send_bytes(ends.a.get(), 1000, 2);
	ends.a.reset();
	EXPECT_TRUE(wait_until([&] { return at_a->count() + at_b->count() == 0; }));
}

TEST_F(TrustTunnels, close_at_once)
{
	for (int i = 0; i < 20; i++)
		(void)connect();
	EXPECT_TRUE(wait_until([&] { return at_a->count() + at_b->count() == 0; }));
}

TEST_F(TrustTunnels, do_not_wait_for_one_that_stalls)
{
	const auto stalled = connect();
	char byte = 0;
	std::size_t written = 0;

	/* Until all buffers on the way are full; nobody reads at the other end. */
	while (wait_for(stalled.b.get(), POLLOUT)) {
		const std::string piece(65536, 'x');
		const auto put = ::send(stalled.b.get(), piece.data(), piece.size(),
					MSG_NOSIGNAL | MSG_DONTWAIT);
		pollfd wanted{.fd = stalled.b.get(), .events = POLLOUT, .revents = 0};
		written += put > 0 ? static_cast<std::size_t>(put) : 0;
		if (::poll(&wanted, 1, 300) == 0)
			break;
	}
	EXPECT_LT(written, 64 * mebibyte) << "the buffers have no bound";
	std::vector<Ends> others;
	for (int i = 0; i < 20; i++)
		others.push_back(connect());
	for (const auto &ends : others) {
		ASSERT_TRUE(send_bytes(ends.b.get(), 100000, 3));
		EXPECT_EQ(receive_bytes(ends.a.get(), 3, 100000), 100000U);
	}
	/* The other direction of the stalled one goes on, too, and then all of it. */
	ASSERT_TRUE(send_bytes(stalled.a.get(), 100000, 4));
	EXPECT_EQ(receive_bytes(stalled.b.get(), 4, 100000), 100000U);
	for (std::size_t read = 0; read < written; read++)
		if (::recv(stalled.a.get(), &byte, 1, MSG_DONTWAIT) != 1) {
			ASSERT_TRUE(wait_for(stalled.a.get(), POLLIN));
			read--;
		}
}

TEST_F(TrustTunnels, say_when_the_other_host_dies)
{
	const auto ends = connect();

	at_b.reset();
	/* Its sockets were closed, but nobody said that this was the end. */
	EXPECT_EQ(receive_bytes(ends.a.get(), 0), 0U);
	EXPECT_TRUE(wait_until([&] { return at_a->count() == 0; }));
	EXPECT_THAT(ended(), Contains(HasSubstr("The connection with host 'host-b' at 127.0.0.1")));
	EXPECT_FALSE(send_bytes(ends.a.get(), mebibyte, 0));
	EXPECT_EQ(receive_bytes(ends.b.get(), 0), 0U);
}

TEST_F(TrustTunnels, of_a_host_can_be_dropped)
{
	const auto ends = connect();
	const TestHost c{clock, "host-c"};

	at_a->drop(c.identity.id());
	EXPECT_EQ(at_a->count(), 1U);
	at_a->drop(b.identity.id());
	EXPECT_EQ(at_a->count(), 0U);
	EXPECT_EQ(receive_bytes(ends.a.get(), 0), 0U);
	EXPECT_EQ(receive_bytes(ends.b.get(), 0), 0U);
	EXPECT_THAT(ended(), Contains("This host does not trust it any more."));
}

TEST_F(TrustTunnels, end_when_nobody_takes_what_is_left)
{
	auto quick = options();

	quick.linger = 50ms;
	at_b = must(Tunnels::start(std::move(quick)));
	auto ends = connect();
	/* a neither reads nor ends: b's bytes have nowhere to go. */
	while (wait_for(ends.b.get(), POLLOUT)) {
		const std::string piece(65536, 'x');
		(void)!::send(ends.b.get(), piece.data(), piece.size(),
			      MSG_NOSIGNAL | MSG_DONTWAIT);
		pollfd wanted{.fd = ends.b.get(), .events = POLLOUT, .revents = 0};
		if (::poll(&wanted, 1, 300) == 0)
			break;
	}
	ends.b.reset();
	EXPECT_TRUE(wait_until([&] { return at_b->count() == 0; }));
	EXPECT_THAT(ended(), Contains(HasSubstr("neither took bytes")));
}

TEST_F(TrustTunnels, go_on_while_the_certificate_is_renewed)
{
	constexpr std::size_t size = 16 * mebibyte;
	const auto old_identity = b.identity;
	const auto ends = connect();
	std::atomic<std::size_t> received = 0;
	std::thread reader([&] {
		while (received < size) {
			char piece[4096];
			const auto got = ::recv(ends.a.get(), piece, sizeof(piece), MSG_DONTWAIT);
			if (got > 0)
				received += static_cast<std::size_t>(got);
			else if (got == 0 || !wait_for(ends.a.get(), POLLIN))
				break;
		}
	});

	ASSERT_TRUE(send_bytes(ends.b.get(), size / 2, 1));
	b.identity = must(b.identity.rotate());
	EXPECT_TRUE(must(adopt_crl(known_b, b.identity.crl())));
	const auto fresh = connect();
	EXPECT_TRUE(send_bytes(fresh.b.get(), 1000, 2));
	EXPECT_EQ(receive_bytes(fresh.a.get(), 2, 1000), 1000U);
	EXPECT_TRUE(send_bytes(ends.b.get(), size / 2, 1));
	reader.join();
	EXPECT_EQ(received, size);
	const auto met = meet(a.identity, {.lookup = knowing({known_b})}, old_identity, a.trust());
	EXPECT_EQ(reason_of(met.server), "revoked");
	EXPECT_THAT(sentence_of(met.server), HasSubstr(old_identity.serial()));
}

TEST_F(TrustTunnels, are_many)
{
	std::vector<Ends> all;

	for (int i = 0; i < 100; i++)
		all.push_back(connect());
	EXPECT_EQ(at_a->count(), 100U);
	for (unsigned i = 0; i < all.size(); i++)
		ASSERT_TRUE(send_bytes(all[i].a.get(), 50000, i));
	for (unsigned i = 0; i < all.size(); i++)
		EXPECT_EQ(receive_bytes(all[i].b.get(), i, 50000), 50000U);
	at_a.reset();
	for (const auto &ends : all)
		EXPECT_EQ(receive_bytes(ends.a.get(), 0), 0U);
}

} /* namespace */

} /* namespace corbel::test */
