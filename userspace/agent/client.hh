/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.hh - the host's side: what the agent in a guest is asked.
 *
 * The guest is not trusted: every wait has a limit, what comes is bounded, and what was
 * not asked for ends the connection. After an error of the connection (broken()) there is
 * no use in asking on.
 */
#pragma once

#include <agent/channel.hh>

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <vector>

namespace corbel::agent {

class Client {
public:
	/* The longest that any one question takes. */
	static constexpr std::chrono::milliseconds patience{10'000};

	/* @connected is a stream to an agent; says hello. EPROTONOSUPPORT: other version. */
	[[nodiscard]] static Result<Client> open(ScopedFd connected,
						 std::chrono::milliseconds limit = patience);

	[[nodiscard]] const HelloReply &guest() const { return guest_; }
	[[nodiscard]] bool broken() const { return broken_; }

	/* By number. */
	[[nodiscard]] Result<std::vector<GuestIrq>> irqs();

	/* EPERM: the guest's kernel does not let this one be moved. ENOENT: gone. */
	[[nodiscard]] Result<MoveReply> move(std::uint32_t irq, const CpuSet &cpus);

	/* All that were moved on this connection; so does its end. */
	[[nodiscard]] Result<RestoreReply> restore();
	/* They stay. */
	[[nodiscard]] Result<void> keep();

private:
	Client(Channel channel, std::chrono::milliseconds limit)
		: channel_(std::move(channel)), limit_(limit)
	{}

	[[nodiscard]] Result<void> greet();
	/* The payload of the reply, which is a @reply. */
	[[nodiscard]] Result<std::string> ask(Type request, std::string_view payload, Type reply);
	[[nodiscard]] Result<std::string> exchange(Type request, std::string_view payload,
						   Type reply);
	/* What could not be decoded ends it too. */
	template <typename T>
	[[nodiscard]] Result<T> ask_for(Type request, std::string_view payload, Type reply);

	Channel channel_;
	std::chrono::milliseconds limit_;
	std::uint32_t id_ = 0;
	bool broken_ = false;
	HelloReply guest_;
};

/* The context id in a QEMU command line, arguments ended by NUL; nothing if none. */
[[nodiscard]] std::optional<std::uint32_t> guest_cid(std::string_view command_line);
/* Of the guest of this process; ENODEV says what to add to its command line. */
[[nodiscard]] Result<std::uint32_t> guest_cid_of(pid_t process);

/* To the agent of that guest. ECONNREFUSED: none listens. */
[[nodiscard]] Result<ScopedFd> connect_to_guest(std::uint32_t cid,
						std::chrono::milliseconds limit = Client::patience);

} /* namespace corbel::agent */
