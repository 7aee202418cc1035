// SPDX-License-Identifier: GPL-2.0-or-later
#include "controller_service.hh"

#include "../rpc/status.hh"

#include <corbel/version.h>

#include <cerrno>

#include <fmt/format.h>
#include <grpcpp/server_context.h>
#include <nlohmann/json.hpp>

namespace corbel::daemon {

namespace {

class StreamReply final : public Reply {
public:
	StreamReply(grpc::ServerContext &context, grpc::ServerWriter<v1::CallReply> &writer,
		    const std::atomic<bool> &ending)
		: context_(context), writer_(writer), ending_(ending)
	{}

	[[nodiscard]] bool send(const Json &object) override
	{
		v1::CallReply reply;

		reply.set_object(cli::dump(object));
		return writer_.Write(reply);
	}
	[[nodiscard]] bool gone() override { return ending_ || context_.IsCancelled(); }

private:
	grpc::ServerContext &context_;
	grpc::ServerWriter<v1::CallReply> &writer_;
	const std::atomic<bool> &ending_;
};

} /* namespace */

grpc::Status ControllerService::Call(grpc::ServerContext *context, const v1::CallRequest *request,
				     grpc::ServerWriter<v1::CallReply> *writer)
{
	StreamReply reply(*context, *writer, ending_);

	/* The table of verbs is part of what both say, so they are of one release. */
	if (request->version() != CORBEL_VERSION)
		return rpc::status_of(
			{EPROTO, fmt::format("The tool is of version {}, the daemon of {}: install "
					     "both from one release and restart corbeld.",
					     request->version().substr(0, 40), CORBEL_VERSION)});
	const auto done = dispatcher_.call(request->verb(), request->arguments(), rights_, reply);
	return done ? grpc::Status::OK : rpc::status_of(done.error());
}

} /* namespace corbel::daemon */
