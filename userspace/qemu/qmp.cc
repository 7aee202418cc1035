// SPDX-License-Identifier: GPL-2.0-or-later
#include "qmp.hh"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

constexpr std::size_t most_waiting = 16; /* commands */
constexpr std::size_t most_events = 256;
constexpr std::size_t longest_event = std::size_t{64} << 10;

/* @fd goes with the first byte; -1: none does. */
ssize_t send_with(int socket, std::string_view text, int fd)
{
	iovec bytes{.iov_base = const_cast<char *>(text.data()), .iov_len = text.size()};
	alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fd))] = {};
	msghdr message{};

	message.msg_iov = &bytes;
	message.msg_iovlen = 1;
	if (fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		auto *rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(fd));
		std::memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	}
	return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

} /* namespace */

Result<Qmp> Qmp::connect(const std::filesystem::path &socket, std::chrono::milliseconds limit,
			 pid_t peer)
{
	const Deadline deadline(limit);
	Qmp qmp(socket, CORBEL_EXPECT(connect_unix(socket, deadline)));

	if (const auto other = peer_of(qmp.socket_); peer && other != peer)
		return failure(EPERM, fmt::format("QEMU (process {}) is looked for at {}, where "
						  "process {} is.",
						  peer, socket.string(), other));
	CORBEL_EXPECT(qmp.greet(deadline));
	const auto id = CORBEL_EXPECT(qmp.send_until("qmp_capabilities", Json::object(), deadline));
	CORBEL_EXPECT(qmp.wait_until(id, deadline));
	return qmp;
}

Result<ForeignJson> Qmp::execute(const std::string &command, std::chrono::milliseconds limit,
				 const Json &arguments)
{
	const Deadline deadline(limit);

	return wait_until(CORBEL_EXPECT(send_until(command, arguments, deadline)), deadline);
}

Result<void> Qmp::give(int fd, const std::string &name, std::chrono::milliseconds limit)
{
	const Deadline deadline(limit);

	(void)CORBEL_EXPECT(wait_until(
		CORBEL_EXPECT(send_until("getfd", {{"fdname", name}}, deadline, fd)), deadline));
	return {};
}

Result<std::uint64_t> Qmp::send(const std::string &command, std::chrono::milliseconds limit,
				const Json &arguments)
{
	return send_until(command, arguments, Deadline(limit));
}

Result<ForeignJson> Qmp::wait(std::uint64_t id, std::chrono::milliseconds limit)
{
	return wait_until(id, Deadline(limit));
}

Result<std::optional<QmpEvent>> Qmp::next_event(std::chrono::milliseconds limit)
{
	const Deadline deadline(limit);

	while (events_.empty())
		if (!CORBEL_EXPECT(read(deadline)))
			return std::nullopt;
	auto event = std::move(events_.front());
	events_.pop_front();
	return event;
}

std::unexpected<Error> Qmp::broken(int number, std::string_view why)
{
	socket_.reset();
	return failure(number,
		       fmt::format("QEMU at {} cannot be talked to: {}.", path_.string(), why));
}

Result<void> Qmp::greet(Deadline deadline)
{
	while (version_.empty())
		if (!CORBEL_EXPECT(read(deadline)))
			return failure(
				ETIMEDOUT,
				fmt::format("QEMU at {} does not greet: it hangs, or somebody "
					    "else is connected to it.",
					    path_.string()));
	return {};
}

Result<std::uint64_t> Qmp::send_until(const std::string &command, const Json &arguments,
				      Deadline deadline, int fd)
{
	Json message{{"execute", command}};
	std::string text;

	if (!socket_)
		return broken(ENOTCONN, "the connection is closed");
	if (waiting_.size() + replies_.size() >= most_waiting)
		return failure(EBUSY, fmt::format("{} commands wait for a reply of QEMU at {}: "
						  "'{}' is not sent.",
						  most_waiting, path_.string(), command));
	if (!arguments.empty())
		message["arguments"] = arguments;
	message["id"] = ++last_id_;
	text = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";

	for (std::string_view rest = text; !rest.empty();) {
		const auto sent = send_with(socket_.get(), rest, fd);

		if (sent >= 0) {
			rest.remove_prefix(static_cast<std::size_t>(sent));
			fd = -1;
		} else if (errno == EAGAIN && !wait_for(socket_, POLLOUT, deadline))
			/* Half a command was sent: nothing can follow it. */
			return broken(ETIMEDOUT, fmt::format("it does not take '{}'", command));
		else if (errno != EAGAIN && errno != EINTR)
			return broken(errno, describe_errno(errno));
	}
	waiting_[last_id_] = command;
	return last_id_;
}

Result<ForeignJson> Qmp::wait_until(std::uint64_t id, Deadline deadline)
{
	const auto command = waiting_.contains(id) ? waiting_[id] : std::string();

	if (command.empty() && !replies_.contains(id))
		return failure(EINVAL, fmt::format("No command {} was sent to QEMU at {}.", id,
						   path_.string()));
	while (!replies_.contains(id))
		if (!CORBEL_EXPECT(read(deadline)) && !replies_.contains(id))
			return failure(ETIMEDOUT,
				       fmt::format("QEMU at {} did not answer '{}' in time.",
						   path_.string(), command));
	return std::move(replies_.extract(id).mapped());
}

Result<bool> Qmp::read(Deadline deadline)
{
	/* Not told by the socket alone: who talks without end is not listened to without end. */
	if (auto line = lines_.next()) {
		CORBEL_EXPECT(take(*line));
		return !deadline.passed();
	}
	if (!socket_)
		return broken(ENOTCONN, "the connection is closed");

	char bytes[65536];
	const auto got = ::recv(socket_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
	if (got == 0)
		return broken(ECONNRESET, "it closed the connection");
	if (got < 0 && errno != EAGAIN && errno != EINTR)
		return broken(errno, describe_errno(errno));
	if (got < 0)
		return wait_for(socket_, POLLIN, deadline);
	if (auto added = lines_.add({bytes, static_cast<std::size_t>(got)}); !added)
		return broken(EMSGSIZE, added.error().sentence);
	return !deadline.passed();
}

Result<void> Qmp::take(std::string_view line)
{
	if (line.empty() || line == "\r")
		return {};
	auto message = parse_qmp(line);

	if (!message)
		return broken(EBADMSG, message.error().sentence);
	if (auto *greeting = std::get_if<QmpGreeting>(&*message)) {
		version_ = std::move(greeting->version);
	} else if (auto *reply = std::get_if<QmpReply>(&*message)) {
		/* Once to each command, and to none that was not sent. */
		if (auto command = waiting_.extract(reply->id)) {
			if (!reply->value)
				reply->value.error().sentence = fmt::format(
					"QEMU at {} refuses '{}': {}.", path_.string(),
					command.mapped(), reply->value.error().sentence);
			replies_.emplace(reply->id, std::move(reply->value));
		}
	} else if (auto *event = std::get_if<QmpEvent>(&*message)) {
		if (events_.size() >= most_events || event->size > longest_event)
			lost_events_++;
		else
			events_.push_back(std::move(*event));
	}
	return {};
}

} /* namespace corbel::qemu */
