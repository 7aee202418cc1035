/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scheduler, clients that keep it busy, and a device, in simulated time. The device does one
 * unit after the other, or any number at once, and then takes a while more for each.
 */
#pragma once

#include "qos_broken.hh"
#include "random_stream.hh"

#include "block/qos/scheduler.hh"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

namespace corbel::unit {

using namespace qos;

inline constexpr Time ms = 1'000'000, bin = 10 * ms;

struct QosDevice {
	Time per_unit = 0; /* 0: all at once */
	Time latency = 100'000;
	std::uint32_t depth = 0;
};

/* Keeps @outstanding I/Os under way, from @from to @until, each of a kind of its own. */
struct QosClient : Object {
	std::uint32_t outstanding = 32, bytes = 4096;
	Op op = Op::read;
	bool is_mixed = false; /* reads and writes */
	Time from = 0, until = never;
	/* Admitted and completed so far, and in each 10 ms. */
	std::vector<std::uint32_t> admitted, completed;
	std::vector<Time> latencies; /* from arrival to completion */
	std::deque<Io> ios;

	[[nodiscard]] std::uint64_t sum(const std::vector<std::uint32_t> &bins, Time begin,
					Time end) const
	{
		std::uint64_t all = 0;

		for (Time at = begin / bin; at < end / bin && at < bins.size(); at++)
			all += bins[at];
		return all;
	}
	/* The least and the most in any stretch of @length in [@begin, @end). */
	[[nodiscard]] std::pair<std::uint64_t, std::uint64_t>
	extremes(const std::vector<std::uint32_t> &bins, Time begin, Time end, Time length) const
	{
		std::uint64_t least = ~0ULL, most = 0;

		for (Time at = begin; at + length <= end; at += bin) {
			const auto here = sum(bins, at, at + length);
			least = std::min(least, here);
			most = std::max(most, here);
		}
		return {least, most};
	}
};

class QosBench {
public:
	explicit QosBench(QosDevice device, CostModel cost = {})
		: scheduler(cost, device.depth), device_(device), cost_(cost)
	{}
	~QosBench()
	{
		(void)scheduler.take_all();
		for (auto &client : clients)
			if (client->budget)
				(void)scheduler.detach(*client, now);
		for (auto &budget : budgets)
			scheduler.remove(*budget);
	}

	Budget &add_budget(const Policy &policy)
	{
		budgets.push_back(std::make_unique<Budget>());
		if (!scheduler.add(*budgets.back(), policy, now).ok())
			std::abort();
		return *budgets.back();
	}
	QosClient &add_client(Budget *budget)
	{
		clients.push_back(std::make_unique<QosClient>());
		auto &client = *clients.back();
		client.id = {budget ? static_cast<std::uint32_t>(clients.size()) : 0};
		if (budget)
			scheduler.attach(client, *budget, now);
		return client;
	}
	QosClient &add(const Policy &policy) { return add_client(&add_budget(policy)); }

	void at(Time when, std::function<void()> what)
	{
		orders_.emplace_back(when, std::move(what));
	}

	void run_until(Time end)
	{
		for (auto &client : clients)
			if (client->ios.empty()) {
				client->ios.resize(client->outstanding);
				for (Io &io : client->ios)
					events_.push({client->from, &io, client.get()});
			}
		while (now < end) {
			Time next = end;

			if (!events_.empty())
				next = std::min(next, events_.top().when);
			for (const auto &[when, order] : orders_)
				next = std::min(next, when);
			const Time wanted = scheduler.next_time();
			if (wanted != armed_) {
				armed_ = wanted;
				fires_ = wanted == never ? never
							 : std::max(wanted, now) +
								   random_.below(timer_late);
			}
			now = std::max(now, std::min(next, fires_));
			for (auto order = orders_.begin(); order != orders_.end();)
				if (order->first <= now) {
					order->second();
					order = orders_.erase(order);
				} else {
					++order;
				}
			while (!events_.empty() && events_.top().when <= now) {
				const Event event = events_.top();
				events_.pop();
				handle(event);
			}
			if (fires_ <= now || completed_)
				run();
			completed_ = false;
		}
	}

	Scheduler scheduler;
	Time now = 0;
	Time timer_late = 200'000;
	std::vector<std::unique_ptr<Budget>> budgets;
	std::vector<std::unique_ptr<QosClient>> clients;

private:
	struct Event {
		Time when;
		Io *io;
		QosClient *client;
		bool operator<(const Event &other) const { return when > other.when; }
	};

	static void count(std::vector<std::uint32_t> &bins, Time when, std::uint32_t more)
	{
		if (bins.size() <= when / bin)
			bins.resize(when / bin + 1);
		bins[when / bin] += more;
	}
	void run()
	{
		armed_ = fires_ = never;
		auto gone = scheduler.run(now, 1000);
		while (Io *io = gone.pop())
			start(*io, static_cast<QosClient &>(*io->object));
	}
	void start(Io &io, QosClient &client)
	{
		const auto units = cost_.units(io.op, io.bytes);

		count(client.admitted, now, counts_bytes ? io.bytes : units);
		free_ = std::max(free_, now) + device_.per_unit * units;
		events_.push({free_ + device_.latency, &io, &client});
		io.next = &io; /* at the device */
	}
	void handle(const Event &event)
	{
		Io &io = *event.io;
		QosClient &client = *event.client;

		if (io.next == &io) {
			io.next = nullptr;
			scheduler.complete(io, now);
			completed_ = true;
			count(client.completed, now, cost_.units(io.op, io.bytes));
			client.latencies.push_back(now - io.arrived);
		}
		if (now >= client.until)
			return;
		io.op = client.is_mixed && random_.below(2) ? Op::write : client.op;
		io.bytes = client.bytes;
		if (scheduler.submit(client, io, now))
			start(io, client);
	}

public:
	bool counts_bytes = false;

private:
	QosDevice device_;
	CostModel cost_;
	RandomStream random_{0, 9};
	Time free_ = 0, armed_ = never, fires_ = never;
	bool completed_ = false;
	std::priority_queue<Event> events_;
	std::vector<std::pair<Time, std::function<void()>>> orders_;
};

inline Policy limited(Limited which, std::uint64_t rate, std::uint64_t burst = 0)
{
	Policy policy;

	policy.limit(which) = {rate, burst};
	return policy;
}

struct LimitErrors {
	double second = 0, tenth = 0; /* the worst, of one */
};

/* @count different limits at once, of all kinds, over @seconds. */
inline LimitErrors worst_limit_errors(unsigned count, unsigned seconds)
{
	QosBench bench({});
	LimitErrors errors;

	/* All I/O is 4 KiB, so that a limit of bytes is one of I/Os. */
	for (unsigned i = 0; i < count; i++) {
		const std::uint64_t rate = 1000 + 2000 * i / count + i % 2;
		const bool is_bytes = i % 6 >= 3;
		auto &client = bench.add(
			limited(static_cast<Limited>(i % 6), is_bytes ? rate * 4096 : rate));
		client.op = i % 3 == 1 ? Op::write : Op::read;
		client.is_mixed = i % 3 == 2;
	}
	const Time begin = 10 * bin, end = begin + seconds * ns_per_s + 50 * bin;
	bench.run_until(end);
	for (unsigned i = 0; i < count; i++) {
		const auto &client = *bench.clients[i];
		const auto rate = static_cast<double>(1000 + 2000 * i / count + i % 2);
		const auto error = [&](Time length) {
			const auto expected = rate * static_cast<double>(length) / 1e9;
			const auto [least, most] =
				client.extremes(client.admitted, begin, end, length);

			return std::max(static_cast<double>(most) - expected,
					expected - static_cast<double>(least)) /
			       expected;
		};
		errors.second = std::max(errors.second, error(ns_per_s));
		errors.tenth = std::max(errors.tenth, error(100 * ms));
	}
	return errors;
}

} // namespace corbel::unit
