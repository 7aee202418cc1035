// SPDX-License-Identifier: GPL-2.0-or-later
#include "controller_client.hh"

#include <rpc/controller.grpc.pb.h>
#include "status.hh"

#include <corbel/version.h>
#include <libcorbel/scoped_fd.hh>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>

namespace corbel::rpc {

namespace {

std::unexpected<Error> not_connected(const std::string &path, int number)
{
	switch (number) {
	case ENOENT:
	case ECONNREFUSED:
		return failure(number, fmt::format("The daemon of this host does not listen on {}: "
						   "`systemctl start corbeld`, or name its "
						   "socket in CORBEL_SOCKET.",
						   path));
	case EACCES:
		return failure(number, fmt::format("The daemon's socket {} may be used by root and "
						   "the members of its group.",
						   path));
	default:
		return failure(number, fmt::format("The daemon's socket {}: {}.", path,
						   describe_errno(number)));
	}
}

/* gRPC says of all of these that a channel is not available. */
Result<ScopedFd> connect_to(const std::string &path)
{
	sockaddr_un address{};
	ScopedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (!socket)
		return not_connected(path, errno);
	address.sun_family = AF_UNIX;
	if (path.size() >= sizeof(address.sun_path))
		return not_connected(path, ENAMETOOLONG);
	std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
	if (::connect(socket.get(), reinterpret_cast<const sockaddr *>(&address),
		      sizeof(address)) != 0 ||
	    ::fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0)
		return not_connected(path, errno);
	return socket;
}

} /* namespace */

std::string controller_socket()
{
	const char *path = std::getenv("CORBEL_SOCKET");

	return path && *path ? path : "/run/corbel/corbeld.sock";
}

Result<void> call(const std::string &verb, const Json &arguments,
		  const std::function<bool(const Json &)> &take,
		  std::optional<std::chrono::milliseconds> limit)
{
	const auto path = controller_socket();
	auto socket = CORBEL_EXPECT(connect_to(path));
	/* Which closes it. */
	const auto channel = grpc::CreateInsecureChannelFromFd("corbeld", socket.release());
	const auto stub = v1::Controller::NewStub(channel);
	grpc::ClientContext context;
	v1::CallRequest request;
	v1::CallReply reply;
	bool enough = false;

	if (limit)
		context.set_deadline(std::chrono::system_clock::now() + *limit);
	request.set_verb(verb);
	request.set_arguments(arguments.dump(-1, ' ', false, Json::error_handler_t::replace));
	request.set_version(CORBEL_VERSION);
	const auto reader = stub->Call(&context, request);
	while (!enough && reader->Read(&reply)) {
		const auto object = Json::parse(reply.object(), nullptr, false);

		if (object.is_discarded())
			return failure(EPROTO, "The daemon answered with what is not JSON.");
		enough = !take(object);
	}
	if (enough)
		context.TryCancel();
	const auto status = reader->Finish();
	if (status.ok() || enough)
		return {};
	auto error = error_of(status);
	if (error.number == ECONNRESET)
		error.sentence = fmt::format("The daemon ended before it had answered ({}); what "
					     "it was doing goes on as a job once it is back.",
					     error.sentence);
	if (error.number == ETIMEDOUT && limit)
		error.sentence = fmt::format(
			"The daemon did not answer in {} s.",
			std::chrono::duration_cast<std::chrono::seconds>(*limit).count());
	return std::unexpected(std::move(error));
}

} /* namespace corbel::rpc */
