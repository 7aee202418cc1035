// SPDX-License-Identifier: GPL-2.0-or-later
#include "status.hh"

#include <cerrno>
#include <charconv>

#include <fmt/format.h>

namespace corbel::rpc {

namespace {

/* For clients that know gRPC and not us; ours look at the number. */
grpc::StatusCode code_of(int number)
{
	switch (number) {
	case EINVAL:
	case E2BIG:
		return grpc::StatusCode::INVALID_ARGUMENT;
	case ENOENT:
		return grpc::StatusCode::NOT_FOUND;
	case EEXIST:
		return grpc::StatusCode::ALREADY_EXISTS;
	case EPERM:
	case EACCES:
		return grpc::StatusCode::PERMISSION_DENIED;
	case EBUSY:
	case EPROTO:
		return grpc::StatusCode::FAILED_PRECONDITION;
	case ENOSPC:
		return grpc::StatusCode::RESOURCE_EXHAUSTED;
	case ENOSYS:
		return grpc::StatusCode::UNIMPLEMENTED;
	case ETIMEDOUT:
		return grpc::StatusCode::DEADLINE_EXCEEDED;
	case ECANCELED:
		return grpc::StatusCode::CANCELLED;
	case EUCLEAN:
		return grpc::StatusCode::DATA_LOSS;
	default:
		return grpc::StatusCode::UNKNOWN;
	}
}

/* What gRPC itself has to say has no number of ours. */
int number_of(grpc::StatusCode code)
{
	switch (code) {
	case grpc::StatusCode::UNAVAILABLE:
		return ECONNRESET;
	case grpc::StatusCode::DEADLINE_EXCEEDED:
		return ETIMEDOUT;
	case grpc::StatusCode::CANCELLED:
		return ECANCELED;
	case grpc::StatusCode::UNIMPLEMENTED:
		return ENOSYS;
	default:
		return EIO;
	}
}

} /* namespace */

grpc::Status status_of(const Error &error)
{
	return {code_of(error.number), error.sentence, fmt::format("{}", error.number)};
}

Error error_of(const grpc::Status &status)
{
	const auto details = status.error_details();
	int number = 0;
	const auto [end, wrong] =
		std::from_chars(details.data(), details.data() + details.size(), number);

	if (wrong == std::errc() && end == details.data() + details.size())
		return {number, status.error_message()};
	return {number_of(status.error_code()), status.error_message()};
}

} /* namespace corbel::rpc */
