/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.hh - errors as gRPC carries them: the sentence as message, the errno as details. */
#pragma once

#include <libcorbel/error.hh>

#include <grpcpp/support/status.h>

namespace corbel::rpc {

[[nodiscard]] grpc::Status status_of(const Error &error);
/* Of a status that is not OK. */
[[nodiscard]] Error error_of(const grpc::Status &status);

} /* namespace corbel::rpc */
