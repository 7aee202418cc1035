/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * server.hh - the agent's side of one connection.
 *
 * What was moved on a connection is put back when it ends, however it ends, unless the
 * host has asked to keep it: a host that dies leaves nothing behind.
 */
#pragma once

#include <agent/channel.hh>
#include <agent/guest_irqs.hh>

#include <map>
#include <string>
#include <string_view>

namespace corbel::agent {

/* So many at once, then so many a second. */
class RequestRate {
public:
	using Clock = std::chrono::steady_clock;

	[[nodiscard]] bool take(Clock::time_point now);

	static constexpr double burst = 200, per_second = 50;

private:
	double left_ = burst;
	Clock::time_point filled_{};
};

class Server {
public:
	explicit Server(const GuestIrqs &irqs) : irqs_(irqs) {}
	~Server() { (void)restore(); }
	Server(const Server &) = delete;
	Server &operator=(const Server &) = delete;

	struct Answer {
		Type type;
		std::string payload;
		bool last = false; /* the connection ends after it */
	};
	[[nodiscard]] Answer answer(const Head &head, std::string_view payload,
				    RequestRate::Clock::time_point now);

	/* Answers until the other side ends it or breaks a rule. */
	void serve(Channel &channel);

private:
	struct Moved {
		CpuSet before, after;
	};

	[[nodiscard]] Answer hello(std::string_view payload);
	[[nodiscard]] Answer list(std::string_view payload);
	[[nodiscard]] Answer move(std::string_view payload);
	RestoreReply restore();

	const GuestIrqs &irqs_;
	RequestRate rate_;
	bool greeted_ = false;
	std::map<std::uint32_t, Moved> moved_;
	std::map<std::uint32_t, bool> pinned_; /* that the kernel did not let us move */
};

} /* namespace corbel::agent */
