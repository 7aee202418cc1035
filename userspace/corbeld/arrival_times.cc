// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done for those that come without being told, and when they are forgotten. */
#include "arrival.hh"
#include "vm_owner.hh"

#include <poll.h>

#include <algorithm>

#include <grpcpp/client_context.h>

namespace corbel::daemon {

using namespace std::chrono_literals;
using namespace migrate;

namespace {

constexpr auto tend_every = 100ms;
constexpr auto ask_after = 2s; /* without a word of the source */
constexpr auto talk_for = 2s; /* to a QEMU without a word of the source: others want to */
constexpr auto ask_again = 1s;
/* Who may have taken back what has ended here, ever more seldom if nothing is heard of him. */
constexpr auto ask_of_ended = 5s;
constexpr int seldom = 8;

} /* namespace */

void Arrivals::ask(Arrival &arrival)
{
	v1::MigrateAskRequest request;
	v1::MigrateAskReply reply;
	const auto sent = now_since_boot();
	const auto peer = hosts_.records().find(arrival.source.uuid);

	request.set_session(arrival.session);
	arrival.asked = Clock::now();
	if (!peer)
		return;
	const auto called = hosts_.call(*peer, [&](v1::Peers::Stub &stub) {
		grpc::ClientContext context;

		context.set_deadline(std::chrono::system_clock::now() + 2s);
		return stub.MigrateAsk(&context, request, &reply);
	});
	if (!called)
		return;
	const std::lock_guard guard(arrival.lock);
	Told told{.epoch = reply.epoch(), .terms = arrival.wish.terms};
	arrival.heard = Clock::now();
	for (auto known = Order::run; known <= Order::gone;
	     known = static_cast<Order>(static_cast<unsigned>(known) + 1))
		if (name_of(known) == reply.order())
			told.order = known;
	if (told.order == Order::gone)
		arrival.source_gone = true;
	if (told.order == Order::run && reply.lease())
		arrival.lease_end = std::max(arrival.lease_end, sent + limits_.lease);
	if (const auto driven = drive(arrival, told); !driven)
		warnings_.add(jobs::Severity::warning, driven.error().sentence);
	settle(arrival, told.order);
}

/* Who has freed his copy will not take it back, nor who knows nothing of that migration. */
void Arrivals::settle(Arrival &arrival, Order order)
{
	const bool freed = order == Order::finish || order == Order::gone;
	const auto &vm = arrival.wish.vm;

	if (!arrival.may_be_back() || (!freed && order != Order::none))
		return;
	if (freed && !set_owner(store_, vm.name,
				{.epoch = arrival.record.epoch + 1, .here = true, .uuid = vm.uuid}))
		return;
	arrival.made_definition = false;
}

bool Arrivals::is_over(Arrival &arrival)
{
	const auto &record = arrival.record;

	if (record.phase == DestinationPhase::absent)
		return true;
	if (record.phase != DestinationPhase::ended)
		return false;
	if (arrival.coming && record.end == End::completed)
		arrival.coming->finish();
	if (arrival.coming)
		return !arrival.coming->is_left();
	if (arrival.may_be_back())
		return false;
	return record.end == End::completed ? arrival.went || !arrival.launch(options_)
					    : !arrival.launch(options_) && !left_something(arrival);
}

void Arrivals::look_after(Arrival &arrival)
{
	{
		const std::unique_lock guard(arrival.lock, std::try_to_lock);

		if (!guard || arrival.record.phase == DestinationPhase::absent)
			return;
		if (const auto driven = drive(arrival, {}); !driven)
			warnings_.add(jobs::Severity::warning, driven.error().sentence);
		const auto now = Clock::now();
		if (now - arrival.heard > talk_for)
			arrival.talk.reset();
		const bool ended = arrival.record.phase == DestinationPhase::ended;
		const auto silent = now - arrival.heard;
		const Clock::duration pause =
			ended ? std::max<Clock::duration>(ask_of_ended, silent / seldom)
			      : ask_again;
		if ((ended && !arrival.may_be_back()) || silent <= ask_after ||
		    now - arrival.asked <= pause)
			return;
	}
	ask(arrival);
}

void Arrivals::tend(const std::stop_token &stop)
{
	while (!stop.stop_requested()) {
		std::vector<std::shared_ptr<Arrival>> all;
		{
			const std::lock_guard guard(lock_);
			for (const auto &[session, arrival] : arrivals_)
				all.push_back(arrival);
		}
		for (const auto &arrival : all)
			if (!stop.stop_requested())
				look_after(*arrival);
		/* Who asks for one of those later has it read again. */
		for (auto &arrival : all) {
			const std::lock_guard guard(lock_);

			if (arrival.use_count() == 2 && !arrival->connecting && is_over(*arrival))
				arrivals_.erase(arrival->session);
		}
		all.clear();
		::poll(nullptr, 0, static_cast<int>(tend_every.count()));
	}
}

Result<void> Arrivals::forget(std::chrono::system_clock::time_point before)
{
	const auto limit = std::min(before, std::chrono::system_clock::now() - 2 * limits_.patience)
				   .time_since_epoch();

	for (const auto &entry : CORBEL_EXPECT(state::list_all(store_, arrival_prefix))) {
		const auto json = jobs::Json::parse(entry.value, nullptr, false);

		if (!json.is_object() ||
		    json.value("phase", std::string()) != name_of(DestinationPhase::ended) ||
		    std::chrono::milliseconds(json.value("at_ms", std::int64_t{0})) >= limit)
			continue;
		(void)CORBEL_EXPECT(store_.commit({.conditions = {{entry.key, entry.changed}},
						   .changes = {state::Erase{entry.key}}}));
	}
	return {};
}

} /* namespace corbel::daemon */
