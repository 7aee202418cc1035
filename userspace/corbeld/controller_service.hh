/* SPDX-License-Identifier: GPL-2.0-or-later */
/* controller_service.hh - the dispatcher as a gRPC service, for one kind of caller. */
#pragma once

#include "dispatcher.hh"

#include <atomic>

#include <rpc/controller.grpc.pb.h>

namespace corbel::daemon {

class ControllerService final : public v1::Controller::Service {
public:
	/* @ending: answers that have no end of their own come to one. All outlive this. */
	ControllerService(const Dispatcher &dispatcher, Rights rights,
			  const std::atomic<bool> &ending)
		: dispatcher_(dispatcher), rights_(rights), ending_(ending)
	{}

	grpc::Status Call(grpc::ServerContext *context, const v1::CallRequest *request,
			  grpc::ServerWriter<v1::CallReply> *writer) override;

private:
	const Dispatcher &dispatcher_;
	Rights rights_;
	const std::atomic<bool> &ending_;
};

} /* namespace corbel::daemon */
