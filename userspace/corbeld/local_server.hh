/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * local_server.hh - the unix socket on which the tool asks the daemon of its host.
 *
 * Who connects is known from the kernel (SO_PEERCRED, SO_PEERGROUPS): root, and who runs
 * the daemon, may change things, members of the daemon's group may look, nobody else gets
 * an answer. A connection is given to one of two gRPC servers by that, so that no call can
 * be taken for one of another connection.
 */
#pragma once

#include "controller_service.hh"

#include <libcorbel/scoped_fd.hh>

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <grpcpp/server.h>

namespace corbel::daemon {

class LocalServer {
public:
	/*
	 * Listens on @path, which is made anew; @group, if there is one of that name, may
	 * use it. EADDRINUSE: a daemon listens there already. @dispatcher outlives it.
	 */
	[[nodiscard]] static Result<std::unique_ptr<LocalServer>>
	start(const Dispatcher &dispatcher, std::string path, const std::string &group);
	/* Answers what it was asked, or ends it after some seconds. */
	~LocalServer();
	LocalServer(const LocalServer &) = delete;

private:
	LocalServer(const Dispatcher &dispatcher, std::string path);

	void accept_all();
	void take(ScopedFd connection);

	std::string path_;
	std::optional<gid_t> group_;
	std::atomic<bool> ending_ = false;
	ControllerService reader_, changer_;
	std::unique_ptr<grpc::Server> readers_, changers_;
	ScopedFd listener_, wake_;
	std::thread thread_;
};

/* Of whoever is at the other end; none: nothing. Needs a connected unix socket. */
[[nodiscard]] std::optional<Rights> rights_of(int connection, std::optional<gid_t> group);

} /* namespace corbel::daemon */
