// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random orders to a scheduler, with any numbers. No I/O is lost, doubled or overtaken by one
 * of its own queue, none goes that a limit holds, and none waits that nothing holds.
 */
#include "qos_broken.hh"
#include "random_stream.hh"

#include "block/qos/scheduler.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace corbel::qos;
using namespace corbel::unit;
using Wide = __int128;

constexpr unsigned directions = 2;

/* A bucket that also forgives as late a timer as the scheduler does. */
struct Reference {
	Limit limit;
	Wide left = 0;
	Time at = 0;

	[[nodiscard]] Wide full() const
	{
		return static_cast<Wide>(limit.burst) * ns_per_s +
		       static_cast<Wide>(limit.rate) * Scheduler::lateness;
	}
	void set(const Limit &to, Time now)
	{
		limit = to;
		at = now;
		left = full();
	}
	/* False: it was not there. */
	bool take(std::uint64_t cost, Time now)
	{
		if (!limit.rate)
			return true;
		left = std::min(left + static_cast<Wide>(limit.rate) * (now - at), full());
		at = now;
		const bool is_there = left >= 0;
		left -= static_cast<Wide>(cost) * ns_per_s;
		return is_there;
	}
};

struct TestBudget {
	Budget budget;
	Reference limits[limit_count];
};

struct TestIo : Io {
	enum class State { waiting, in_flight, done } state = State::waiting;
	std::uint64_t number = 0;
};

struct TestObject : Object {
	std::deque<std::uint64_t> expected[directions];
};

std::uint64_t any(RandomStream &random)
{
	switch (random.below(5)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return ~0ULL - random.below(2);
	default:
		return random.below(10'000);
	}
}

Policy any_policy(RandomStream &random, bool hostile)
{
	Policy policy;

	for (unsigned i = 0; i < limit_count; i++) {
		if (random.below(3))
			continue;
		policy.limits[i].rate = hostile ? any(random) : 1 + random.below(100'000);
		if (policy.limits[i].rate)
			policy.limits[i].burst =
				hostile ? any(random) : random.below(2) * random.below(1000);
	}
	const auto most = policy.limit(Limited::ios).rate;
	policy.floor = hostile ? any(random) : random.below(10'000);
	if (most)
		policy.floor = std::min(policy.floor, most);
	policy.weight = static_cast<std::uint32_t>(1 + random.below(Policy::max_weight));
	policy.priority = static_cast<Class>(random.below(classes));
	policy.latency_target = random.below(3) ? 0 : any(random);
	return policy;
}

class Run {
public:
	Run(unsigned variant, std::uint64_t length)
		: random_(length, variant),
		  is_hostile_(variant % 2),
		  depth_(variant % 4 < 2 ? 0 : 1 + random_.below(20)),
		  cost_{variant % 3 ? 32768U : 0},
		  scheduler_(cost_, static_cast<std::uint32_t>(depth_))
	{}
	~Run()
	{
		(void)scheduler_.take_all();
		for (auto &object : objects_)
			(void)scheduler_.detach(object, now_);
		for (auto &each : budgets_)
			scheduler_.remove(each.budget);
	}

	std::string run();

private:
	void set_policy(TestBudget &to)
	{
		const auto policy = any_policy(random_, is_hostile_);

		if (!(to.budget.of_scheduler.linked()
			      ? scheduler_.set_policy(to.budget, policy, now_)
			      : scheduler_.add(to.budget, policy, now_))
			     .ok())
			trouble_ = "policy";
		for (unsigned i = 0; i < limit_count; i++)
			to.limits[i].set(policy.limits[i], now_);
	}
	void admitted(TestIo &io)
	{
		auto &object = static_cast<TestObject &>(*io.object);
		auto &expected = object.expected[io.op != Op::read];

		if (io.state != TestIo::State::waiting)
			trouble_ = "twice";
		io.state = TestIo::State::in_flight;
		in_flight_.push_back(&io);
		if (io.op == Op::flush || object.id == rest)
			return;
		waiting_--;
		if (expected.empty() || expected.front() != io.number)
			trouble_ = "order";
		else
			expected.pop_front();
		auto &of = *std::ranges::find_if(
			budgets_, [&](auto &each) { return &each.budget == object.budget; });
		const auto take = [&](Limited which, std::uint64_t cost) {
			if (!of.limits[static_cast<unsigned>(which)].take(cost, io.admitted))
				trouble_ = "limit " + std::to_string(static_cast<int>(which));
		};
		const bool reads = io.op == Op::read;
		const auto bytes = io.op == Op::discard ? 0 : io.bytes;
		take(reads ? Limited::read_ios : Limited::write_ios, cost_.units(io.op, io.bytes));
		take(Limited::ios, cost_.units(io.op, io.bytes));
		take(reads ? Limited::read_bytes : Limited::write_bytes, bytes);
		take(Limited::bytes, bytes);
	}
	void submit()
	{
		auto &object = objects_[random_.below(objects_.size())];

		if (!object.budget && object.id != rest)
			return;
		ios_.push_back(std::make_unique<TestIo>());
		auto &io = *ios_.back();
		io.op = static_cast<Op>(random_.below(ops));
		io.bytes = static_cast<std::uint32_t>(
			random_.below(is_hostile_ ? 1ULL << 32 : 1 << 17) >> random_.below(20));
		io.number = ios_.size();
		if (io.op != Op::flush && object.id != rest) {
			object.expected[io.op != Op::read].push_back(io.number);
			waiting_++;
		}
		if (scheduler_.submit(object, io, now_))
			admitted(io);
	}
	void take_back(IoChain chain)
	{
		while (Io *next = chain.pop()) {
			auto &io = static_cast<TestIo &>(*next);
			auto &expected =
				static_cast<TestObject &>(*io.object).expected[io.op != Op::read];
			if (io.state != TestIo::State::waiting || !std::erase(expected, io.number))
				trouble_ = "taken back twice";
			io.state = TestIo::State::done;
			waiting_--;
		}
	}
	void step();

	RandomStream random_;
	bool is_hostile_;
	std::uint64_t depth_;
	CostModel cost_;
	Scheduler scheduler_;
	Time now_ = 0;
	std::uint64_t waiting_ = 0;
	std::deque<TestBudget> budgets_{5};
	std::deque<TestObject> objects_{12};
	std::vector<std::unique_ptr<TestIo>> ios_;
	std::vector<TestIo *> in_flight_;
	std::string trouble_;
};

void Run::step()
{
	const auto kind = random_.below(100);

	if (kind < 50) {
		submit();
	} else if (kind < 60) {
		now_ += random_.below(1ULL << random_.below(is_hostile_ ? 45 : 31));
	} else if (kind < 70) {
		const auto next = scheduler_.next_time();
		/* Not when tags end, which is after 146 years. */
		if (next != never && next > now_ && next < far / 2)
			now_ = next + random_.below(1'000'000) * random_.below(2);
	} else if (kind < 94 && !in_flight_.empty()) {
		const auto at = random_.below(in_flight_.size());
		scheduler_.complete(*in_flight_[at], now_);
		in_flight_[at]->state = TestIo::State::done;
		in_flight_.erase(in_flight_.begin() + static_cast<long>(at));
	} else if (kind == 94) {
		set_policy(budgets_[random_.below(budgets_.size())]);
	} else if (kind < 98) {
		/* The first one is rest. */
		auto &object = objects_[1 + random_.below(objects_.size() - 1)];
		if (random_.below(4) == 0)
			take_back(scheduler_.detach(object, now_));
		else
			scheduler_.attach(object, budgets_[random_.below(budgets_.size())].budget,
					  now_);
	} else if (kind == 98 && random_.below(20) == 0) {
		take_back(scheduler_.take_all());
		if (waiting_)
			trouble_ = "left behind";
	}
	const auto most = 1 + random_.below(50);
	auto gone = scheduler_.run(now_, static_cast<std::uint32_t>(most));
	std::uint64_t count = 0;
	while (Io *io = gone.pop()) {
		admitted(static_cast<TestIo &>(*io));
		count++;
	}
	const auto next = scheduler_.next_time();
	if (count < most && next <= now_)
		trouble_ = "idle, and something may go";
	if (waiting_ && next == never && (!depth_ || in_flight_.empty()))
		trouble_ = "forgotten";
	if (scheduler_.in_flight() != (depth_ ? in_flight_.size() : 0))
		trouble_ = "in flight";
}

std::string Run::run()
{
	for (auto &budget : budgets_)
		set_policy(budget);
	for (std::uint32_t i = 0; i < objects_.size(); i++)
		objects_[i].id = {i};
	while (random_.more() && trouble_.empty())
		step();
	if (trouble_.empty() && ios_.size() < 1000)
		return "too little was done: " + std::to_string(ios_.size());
	return trouble_;
}

std::string run(unsigned variant)
{
	return Run(variant, 10'000).run();
}

TEST(QosScheduler, random_orders)
{
	for (unsigned variant = 0; variant < 60; variant++)
		EXPECT_EQ(run(variant), "") << variant;
	const QosBroken broken(Sabotage::remainder_lost);
	unsigned noticed = 0;
	for (unsigned variant = 0; variant < 60; variant++)
		noticed += !run(variant).empty();
	EXPECT_GT(noticed, 0U);
}

} // namespace
