// SPDX-License-Identifier: GPL-2.0-or-later
#include "local_server.hh"

#include "log.hh"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include <fmt/format.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

namespace corbel::daemon {

namespace {

using namespace std::chrono_literals;

constexpr int most_threads = 64;
constexpr int largest_request = 1 << 20;
constexpr auto last_calls = 5s;

std::unique_ptr<grpc::Server> serve(ControllerService &service, const char *name)
{
	grpc::ServerBuilder builder;
	grpc::ResourceQuota quota(name);

	quota.SetMaxThreads(most_threads);
	builder.SetResourceQuota(quota);
	builder.SetMaxReceiveMessageSize(largest_request);
	builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
	builder.RegisterService(&service);
	return builder.BuildAndStart();
}

std::optional<gid_t> group_called(const std::string &name)
{
	std::vector<char> text(16384);
	struct group entry{};
	struct group *found = nullptr;

	if (::getgrnam_r(name.c_str(), &entry, text.data(), text.size(), &found) != 0 || !found)
		return std::nullopt;
	return found->gr_gid;
}

std::unexpected<Error> cannot_listen(const std::string &path)
{
	return failure(errno, fmt::format("corbeld cannot listen on {}: {}.", path,
					  describe_errno(errno)));
}

sockaddr_un address_of(const std::string &path)
{
	sockaddr_un address{};

	address.sun_family = AF_UNIX;
	std::memcpy(address.sun_path, path.c_str(),
		    std::min(path.size() + 1, sizeof(address.sun_path) - 1));
	return address;
}

/* One that is left from a daemon that died is in nobody's way. */
Result<void> remove_stale(const std::string &path)
{
	const auto address = address_of(path);
	const ScopedFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (!probe)
		return cannot_listen(path);
	if (::connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) ==
	    0)
		return failure(EADDRINUSE,
			       fmt::format("A daemon listens on {} already: there is one for each "
					   "host.",
					   path));
	if (errno != ENOENT && errno != ECONNREFUSED)
		return cannot_listen(path);
	if (::unlink(path.c_str()) != 0 && errno != ENOENT)
		return cannot_listen(path);
	return {};
}

/* Nobody can connect before it is his to use: the mode comes before listen(). */
Result<ScopedFd> listen_on(const std::string &path, std::optional<gid_t> group)
{
	const auto address = address_of(path);
	ScopedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	if (path.size() >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return cannot_listen(path);
	}
	CORBEL_EXPECT(remove_stale(path));
	if (!socket ||
	    ::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) !=
		    0 ||
	    ::chmod(path.c_str(), group ? 0660 : 0600) != 0 ||
	    (group && ::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) ||
	    ::listen(socket.get(), 64) != 0)
		return cannot_listen(path);
	return socket;
}

} /* namespace */

std::optional<Rights> rights_of(int connection, std::optional<gid_t> group)
{
	ucred peer{};
	socklen_t length = sizeof(peer);

	if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return std::nullopt;
	if (peer.uid == 0 || peer.uid == ::geteuid())
		return Rights::change;
	if (!group)
		return std::nullopt;
	if (peer.gid == *group)
		return Rights::read;
	std::vector<gid_t> groups(65536); /* the most a process may be in */
	length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
	if (::getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0)
		return std::nullopt;
	groups.resize(length / sizeof(gid_t));
	return std::ranges::find(groups, *group) == groups.end() ? std::nullopt
								 : std::optional(Rights::read);
}

LocalServer::LocalServer(const Dispatcher &dispatcher, std::string path)
	: path_(std::move(path)),
	  reader_(dispatcher, Rights::read, ending_),
	  changer_(dispatcher, Rights::change, ending_)
{}

Result<std::unique_ptr<LocalServer>> LocalServer::start(const Dispatcher &dispatcher,
							std::string path, const std::string &group)
{
	std::unique_ptr<LocalServer> server(new LocalServer(dispatcher, std::move(path)));

	server->group_ = group_called(group);
	server->wake_ = ScopedFd(::eventfd(0, EFD_CLOEXEC));
	server->listener_ = CORBEL_EXPECT(listen_on(server->path_, server->group_));
	server->readers_ = serve(server->reader_, "readers");
	server->changers_ = serve(server->changer_, "changers");
	if (!server->wake_ || !server->readers_ || !server->changers_)
		return failure(ENOMEM, "corbeld cannot start its gRPC servers.");
	server->thread_ = std::thread([it = server.get()] { it->accept_all(); });
	return server;
}

LocalServer::~LocalServer()
{
	ending_ = true;
	if (thread_.joinable()) {
		(void)::eventfd_write(wake_.get(), 1);
		thread_.join();
	}
	if (listener_)
		::unlink(path_.c_str());
	for (auto *server : {readers_.get(), changers_.get()})
		if (server)
			server->Shutdown(std::chrono::system_clock::now() + last_calls);
}

void LocalServer::accept_all()
{
	while (!ending_) {
		pollfd waited[] = {{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};

		if (::poll(waited, 2, -1) < 0 || !waited[0].revents)
			continue;
		ScopedFd connection(
			::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
		if (connection)
			take(std::move(connection));
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			/* The one who waits is still there; so is the shortage, for a while. */
			::poll(&waited[1], 1, 100);
	}
}

void LocalServer::take(ScopedFd connection)
{
	const auto rights = rights_of(connection.get(), group_);

	if (!rights) {
		log(Level::warning, "A process that is neither root's nor of our group was turned "
				    "away from the socket.");
		return;
	}
	auto &server = *rights == Rights::change ? changers_ : readers_;
	/* Which closes it. */
	grpc::AddInsecureChannelFromFd(server.get(), connection.release());
}

} /* namespace corbel::daemon */
