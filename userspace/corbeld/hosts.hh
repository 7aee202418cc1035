/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hosts.hh - this host among others: who it is, whom it is paired with, and connections.
 *
 * It listens as soon as it has an identity. What it refuses, and who refuses it, is a
 * warning. All functions may be called from any thread and may block on the store, on
 * files and, where they talk to another host, on the network for some seconds.
 */
#pragma once

#include "host_records.hh"
#include "peer_service.hh"
#include "warnings.hh"

#include "../trust/acceptor.hh"
#include "../trust/identity.hh"
#include "../trust/invitations.hh"
#include "../trust/tunnel.hh"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include <grpcpp/channel.h>

namespace corbel::daemon {

inline constexpr std::uint16_t usual_port = 7464;

struct HostSettings {
	std::string folder; /* of the identity */
	std::string listen; /* "[::]:7464"; empty: nobody is let in */
};

/* When a host was last talked to, and why not since. */
struct LastContact {
	std::chrono::system_clock::time_point at{};
	std::string version;
	std::string error;
};

class Hosts final : public PeerHandler {
public:
	/* @store and @warnings outlive it. An identity that cannot be used is a warning. */
	[[nodiscard]] static Result<std::unique_ptr<Hosts>>
	start(HostSettings settings, state::Store &store, Warnings &warnings);
	/* Ends all connections. */
	~Hosts() override;

	/* ENOENT: there is none yet. */
	[[nodiscard]] Result<std::shared_ptr<const trust::Identity>> identity();
	/* Others reach it at @address. EEXIST: it has another name already. True: it is new. */
	[[nodiscard]] Result<bool> init(const std::string &name, const std::string &address);
	/* A new certificate, for connections from now on. */
	[[nodiscard]] Result<void> rotate();

	[[nodiscard]] Result<trust::Token> invite(std::chrono::seconds length);
	/* False: it was paired already. */
	[[nodiscard]] Result<bool> join(const trust::Token &token);
	/* Tells the other one, if it can. */
	[[nodiscard]] Result<void> remove(const trust::PeerTrust &peer);

	/* On which it listens, or would. */
	[[nodiscard]] std::uint16_t port() const;
	[[nodiscard]] HostRecords &records() { return records_; }
	[[nodiscard]] LastContact last_contact(const trust::HostId &id);

	/* Says what is new to @peer, and learns what is new there. */
	[[nodiscard]] Result<void> greet(const trust::PeerTrust &peer);
	/*
	 * A call to @peer, made once more if the connection was an old one that has ended
	 * meanwhile.
	 */
	[[nodiscard]] Result<void>
	call(const trust::PeerTrust &peer,
	     const std::function<grpc::Status(v1::Peers::Stub &stub)> &how);

	/*
	 * Renews the certificate when it is time, and greets everybody, which may take some
	 * seconds for each. Now and then, by one thread.
	 */
	void tend(const std::stop_token &stop);

	[[nodiscard]] Result<v1::HostCard> hello(const trust::HostId &from,
						 const v1::HostCard &card) override;
	void leave(const trust::HostId &from) override;
	[[nodiscard]] Result<v1::HostCard> join(const trust::Presented &from,
						const v1::JoinRequest &request) override;
	[[nodiscard]] std::shared_ptr<MigrationPeer> migrations() override;
	void set_migrations(std::shared_ptr<MigrationPeer> migrations);

private:
	using Channel = std::shared_ptr<grpc::Channel>;

	Hosts(HostSettings settings, state::Store &store, Warnings &warnings);

	[[nodiscard]] Result<void> listen();
	void take(trust::Connection connection);
	void warn(const trust::Refusal &refusal);
	[[nodiscard]] Result<v1::HostCard> card();
	/* @fresh: whether it was made just now. */
	[[nodiscard]] Result<Channel> channel(const trust::PeerTrust &peer, bool &fresh);
	[[nodiscard]] Result<Channel> carry(trust::Connection connection);
	void forget_channel(const trust::HostId &id, const Channel &channel);
	/* It is removed already: nothing of it goes on. */
	void cut_off(const trust::HostId &id);

	HostSettings settings_;
	Warnings &warnings_;
	HostRecords records_;
	trust::Invitations invitations_;

	std::mutex changing_; /* held while the identity is made or renewed */
	std::mutex lock_; /* for these; never held while somebody is waited for */
	std::shared_ptr<const trust::Identity> identity_;
	std::map<trust::HostId, Channel> channels_;
	std::map<trust::HostId, std::unique_ptr<PeerServer>> servers_;
	std::vector<std::unique_ptr<PeerServer>> strangers_;
	/* No longer used; a server cannot be ended from one of its own calls. */
	std::vector<std::unique_ptr<PeerServer>> retired_;
	std::map<trust::HostId, LastContact> contacts_;
	std::shared_ptr<MigrationPeer> migrations_;

	std::unique_ptr<trust::Tunnels> tunnels_;
	std::unique_ptr<trust::Acceptor> acceptor_;
};

} /* namespace corbel::daemon */
