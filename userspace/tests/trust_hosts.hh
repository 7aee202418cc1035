/* SPDX-License-Identifier: GPL-2.0-or-later */
/* trust_hosts.hh - hosts with identities and a clock of the test's, and how they meet. */
#pragma once

#include "../trust/address.hh"
#include "../trust/tls.hh"
#include "result.hh"
#include "temporary_folder.hh"

#include <sys/socket.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <thread>

namespace corbel::test {

/* One for all hosts of a test. */
class TestClock {
public:
	[[nodiscard]] trust::Time now() const
	{
		return trust::Time(std::chrono::seconds(seconds_.load()));
	}
	void pass(std::chrono::seconds time) { seconds_ += time.count(); }

private:
	std::atomic<std::int64_t> seconds_ = 1'800'000'000;
};

class TestHost {
public:
	TestHost(const TestClock &clock, const std::string &name)
		: identity(must(trust::Identity::create(folder_.path() / "trust", name,
							{.now = [&clock] { return clock.now(); }})))
	{}

	[[nodiscard]] std::filesystem::path path() const { return folder_.path() / "trust"; }
	/* What others keep of it. */
	[[nodiscard]] trust::PeerTrust trust() const
	{
		return {.id = identity.id(),
			.name = identity.name(),
			.address = "127.0.0.1:7464",
			.authority = identity.authority(),
			.crl = identity.crl()};
	}

private:
	TemporaryFolder folder_;

public:
	trust::Identity identity;
};

/* What a host knows of others. */
inline trust::Lookup knowing(const std::vector<trust::PeerTrust> &peers)
{
	return [peers](const trust::HostId &id) -> trust::Standing {
		for (const auto &peer : peers)
			if (peer.id == id)
				return peer;
		return trust::Stranger{};
	};
}

struct TcpPair {
	ScopedFd server;
	ScopedFd client;
};

inline TcpPair tcp_pair()
{
	const auto listener = must(trust::listen_at({.host = "127.0.0.1", .port = 0}));
	auto client = must(trust::connect_to(must(trust::address_here(listener.get())),
					     std::chrono::seconds(30)));
	ScopedFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));

	return {std::move(server), std::move(client)};
}

struct Meeting {
	trust::Handshake server;
	trust::Handshake client;
};

/* Each side does its handshake as it is told. */
template <typename Server, typename Client>
Meeting meet(Server server, Client client)
{
	auto pair = tcp_pair();
	auto served =
		std::async(std::launch::async, [&] { return server(std::move(pair.server)); });
	auto connected = client(std::move(pair.client));

	return {served.get(), std::move(connected)};
}

/* @client connects to @server, each knowing what it is given of the other. */
inline Meeting meet(const trust::Identity &server, const trust::ServerOptions &options,
		    const trust::Identity &client, const trust::PeerTrust &expected)
{
	return meet(
		[&](ScopedFd fd) { return trust::accept_host(std::move(fd), server, options); },
		[&](ScopedFd fd) { return trust::connect_host(std::move(fd), client, expected); });
}

/* "" if it was no refusal. */
inline std::string sentence_of(const trust::Handshake &handshake)
{
	return handshake ? "" : handshake.error().sentence;
}

inline std::string_view reason_of(const trust::Handshake &handshake)
{
	return handshake ? "" : trust::name_of(handshake.error().reason);
}

} /* namespace corbel::test */
