/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qmp.hh - a client of QEMU's machine protocol on a unix socket.
 *
 * Everything has a time limit, whatever QEMU does or does not do. Belongs to one thread at
 * a time. A connection that broke, or whose limit passed while it was made, is of no more
 * use; a command whose reply did not come in time may still be waited for.
 */
#pragma once

#include "qmp_message.hh"
#include "unix_socket.hh"

#include <chrono>
#include <deque>
#include <filesystem>
#include <map>

namespace corbel::qemu {

class Qmp {
public:
	/*
	 * Until QEMU has greeted and takes commands. @peer: the process that must be at the
	 * other end, else EPERM; 0: any.
	 */
	[[nodiscard]] static Result<Qmp> connect(const std::filesystem::path &socket,
						 std::chrono::milliseconds limit, pid_t peer = 0);

	/* send() and wait(). */
	[[nodiscard]] Result<ForeignJson> execute(const std::string &command,
						  std::chrono::milliseconds limit,
						  const Json &arguments = Json::object());

	/* The number of the command, for wait(). EBUSY: too many wait for a reply. */
	[[nodiscard]] Result<std::uint64_t> send(const std::string &command,
						 std::chrono::milliseconds limit,
						 const Json &arguments = Json::object());
	/* In any order. ETIMEDOUT: it did not come in time, and may yet come. */
	[[nodiscard]] Result<ForeignJson> wait(std::uint64_t id, std::chrono::milliseconds limit);

	/* Gives QEMU @fd, which it knows as @name until a command takes it. */
	[[nodiscard]] Result<void> give(int fd, const std::string &name,
					std::chrono::milliseconds limit);

	/* The oldest that was not taken. Nothing: none came within @limit. */
	[[nodiscard]] Result<std::optional<QmpEvent>> next_event(std::chrono::milliseconds limit);
	/* More came than are kept. */
	[[nodiscard]] std::uint64_t lost_events() const { return lost_events_; }

	[[nodiscard]] const std::string &version() const { return version_; }

private:
	Qmp(std::filesystem::path path, ScopedFd socket)
		: path_(std::move(path)), socket_(std::move(socket))
	{}

	[[nodiscard]] Result<std::uint64_t> send_until(const std::string &command,
						       const Json &arguments, Deadline deadline,
						       int fd = -1);
	[[nodiscard]] Result<ForeignJson> wait_until(std::uint64_t id, Deadline deadline);
	[[nodiscard]] Result<void> greet(Deadline deadline);
	/* Takes what comes next. False: nothing came. */
	[[nodiscard]] Result<bool> read(Deadline deadline);
	[[nodiscard]] Result<void> take(std::string_view line);
	[[nodiscard]] std::unexpected<Error> broken(int number, std::string_view why);

	std::filesystem::path path_;
	ScopedFd socket_;
	QmpLines lines_;
	std::string version_;
	std::uint64_t last_id_ = 0;
	std::map<std::uint64_t, std::string> waiting_; /* the commands */
	std::map<std::uint64_t, Result<ForeignJson>> replies_;
	std::deque<QmpEvent> events_;
	std::uint64_t lost_events_ = 0;
};

} /* namespace corbel::qemu */
