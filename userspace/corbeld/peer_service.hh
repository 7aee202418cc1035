/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer_service.hh - what this host does for others, each by a gRPC server of its own.
 *
 * A server has the connections of one host and no other, so whoever calls is known without
 * looking, and no call can be taken for another host's.
 */
#pragma once

#include "../trust/verify.hh"

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <functional>
#include <memory>
#include <string>

#include <grpcpp/server.h>
#include <rpc/peer.grpc.pb.h>

namespace corbel::daemon {

/* What paired hosts ask of each other to move VMs. Called by any thread. */
class MigrationPeer {
public:
	MigrationPeer() = default;
	MigrationPeer(const MigrationPeer &) = delete;
	virtual ~MigrationPeer() = default;

	[[nodiscard]] virtual Result<v1::MigrateAnswer> order(const trust::HostId &from,
							      const v1::MigrateOrder &order) = 0;
	[[nodiscard]] virtual Result<v1::MigrateConnectReply>
	connect(const trust::HostId &from, const v1::MigrateConnectRequest &request) = 0;
	[[nodiscard]] virtual Result<v1::MigrateAskReply>
	ask(const trust::HostId &from, const v1::MigrateAskRequest &request) = 0;
};

/* Called by any thread. */
class PeerHandler {
public:
	PeerHandler() = default;
	PeerHandler(const PeerHandler &) = delete;
	virtual ~PeerHandler() = default;

	[[nodiscard]] virtual Result<v1::HostCard> hello(const trust::HostId &from,
							 const v1::HostCard &card) = 0;
	virtual void leave(const trust::HostId &from) = 0;
	/* @from is a stranger as it has shown itself, which is all that is known of it. */
	[[nodiscard]] virtual Result<v1::HostCard> join(const trust::Presented &from,
							const v1::JoinRequest &request) = 0;
	/* Null: this host moves no VMs, yet or any more. */
	[[nodiscard]] virtual std::shared_ptr<MigrationPeer> migrations() = 0;
};

class PeerServer {
public:
	/* For a paired host, or for a stranger that may only pair. @handler outlives it. */
	[[nodiscard]] static Result<std::unique_ptr<PeerServer>>
	start(PeerHandler &handler, const trust::Presented &host, bool known);
	~PeerServer();
	PeerServer(const PeerServer &) = delete;

	/* One more connection of that host. */
	void add(ScopedFd connection);

private:
	PeerServer() = default;

	std::unique_ptr<grpc::Service> service_;
	std::unique_ptr<grpc::Server> server_;
};

} /* namespace corbel::daemon */
