// SPDX-License-Identifier: GPL-2.0-or-later
#include <agent/server.hh>

#include <corbel/version.h>

#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>

namespace corbel::agent {

namespace {

using namespace std::chrono_literals;

/* A host that has nothing to say for so long has forgotten us. */
constexpr auto idle_limit = 180s;
constexpr auto message_limit = 10s;

Server::Answer refusal(Refusal refusal, std::string sentence, bool last = false)
{
	return {Type::error_reply, encode(ErrorReply{refusal, std::move(sentence)}), last};
}

Server::Answer malformed(const Error &error)
{
	return refusal(Refusal::malformed, error.sentence, true);
}

Server::Answer from_kernel(const Error &error)
{
	switch (error.number) {
	case ENOENT:
		return refusal(Refusal::no_irq, error.sentence);
	case EIO:
	case EPERM:
	case EACCES:
		return refusal(Refusal::pinned, error.sentence);
	default:
		return refusal(Refusal::kernel, error.sentence);
	}
}

std::string kernel_release()
{
	utsname name{};

	return ::uname(&name) == 0 ? name.release : "";
}

} /* namespace */

bool RequestRate::take(Clock::time_point now)
{
	const std::chrono::duration<double> passed = now - filled_;

	left_ = std::min(burst, left_ + std::max(0.0, passed.count()) * per_second);
	filled_ = now;
	if (left_ < 1)
		return false;
	left_ -= 1;
	return true;
}

Server::Answer Server::answer(const Head &head, std::string_view payload,
			      RequestRate::Clock::time_point now)
{
	if (!rate_.take(now))
		return refusal(Refusal::too_many,
			       "There were too many requests in too short a time.", true);
	if (!greeted_ && head.type != Type::hello)
		return refusal(Refusal::malformed, "The first request has to be a hello.", true);

	switch (head.type) {
	case Type::hello:
		return hello(payload);
	case Type::list:
		return list(payload);
	case Type::move:
		return move(payload);
	case Type::restore:
		if (payload.empty())
			return {Type::restore_reply, encode(restore())};
		break;
	case Type::keep:
		if (payload.empty()) {
			moved_.clear();
			return {Type::keep_reply, {}};
		}
		break;
	default:
		break;
	}
	return refusal(Refusal::malformed, "There is no such request.", true);
}

Server::Answer Server::hello(std::string_view payload)
{
	const auto theirs = decode_version(payload);
	HelloReply reply{
		.version = {}, .program = CORBEL_VERSION, .kernel = kernel_release(), .online = {}};

	if (!theirs)
		return malformed(theirs.error());
	/* It is told our version and the refusal is the host's as well as ours. */
	if (theirs->major != version_major)
		return {Type::hello_reply, encode(reply), true};
	auto online = irqs_.online();
	if (!online)
		return from_kernel(online.error());
	reply.online = std::move(*online);
	greeted_ = true;
	return {Type::hello_reply, encode(reply)};
}

Server::Answer Server::list(std::string_view payload)
{
	const auto wanted = decode<List>(payload);
	std::vector<std::string> encoded;
	std::size_t size = 0;

	if (!wanted)
		return malformed(wanted.error());
	auto irqs = irqs_.irqs();
	if (!irqs)
		return from_kernel(irqs.error());
	for (auto &irq : *irqs) {
		if (irq.number < wanted->first)
			continue;
		irq.movable = irq.movable && !pinned_.contains(irq.number);
		auto bytes = encode(irq);
		if (size + bytes.size() > list_room || encoded.size() == max_irqs_in_reply)
			return {Type::list_reply, encode_list(irq.number, encoded)};
		size += bytes.size();
		encoded.push_back(std::move(bytes));
	}
	return {Type::list_reply, encode_list(0, encoded)};
}

Server::Answer Server::move(std::string_view payload)
{
	const auto wanted = decode<MoveRequest>(payload);
	CpuSet online;

	if (!wanted)
		return malformed(wanted.error());
	const auto cpus = irqs_.online();
	if (!cpus)
		return from_kernel(cpus.error());
	for (const auto &cpu : *cpus)
		online.add(cpu.number);
	if (wanted->affinity.empty() || !wanted->affinity.within(online))
		return refusal(Refusal::no_cpu, "Not all of CPU " + wanted->affinity.list() +
							" are online; those are " + online.list() +
							".");
	if (moved_.size() >= max_irqs && !moved_.contains(wanted->number))
		return refusal(Refusal::too_many, "Too many interrupts were moved already.");

	const auto before = irqs_.affinity(wanted->number);
	if (!before)
		return from_kernel(before.error());
	if (auto set = irqs_.set_affinity(wanted->number, wanted->affinity); !set) {
		auto answer = from_kernel(set.error());

		if (set.error().number == EIO && pinned_.size() < max_irqs)
			pinned_[wanted->number] = true;
		return answer;
	}
	const MoveReply made{irqs_.affinity(wanted->number).value_or(wanted->affinity),
			     irqs_.effective(wanted->number).value_or(wanted->affinity)};
	auto &moved = moved_.try_emplace(wanted->number, *before, CpuSet()).first->second;
	moved.after = made.affinity;
	return {Type::move_reply, encode(made)};
}

/* An interrupt that is gone has nothing to be put back. */
RestoreReply Server::restore()
{
	RestoreReply reply;

	for (const auto &[irq, moved] : moved_) {
		const auto now = irqs_.affinity(irq);

		if (!now || *now != moved.after)
			reply.foreign++;
		else if (irqs_.set_affinity(irq, moved.before))
			reply.restored++;
		else
			reply.failed++;
	}
	moved_.clear();
	return reply;
}

void Server::serve(Channel &channel)
{
	while (channel.wait_readable(Channel::Clock::now() + idle_limit)) {
		const auto until = Channel::Clock::now() + message_limit;
		const auto request = channel.receive(until);

		if (!request)
			return;
		const auto reply =
			answer(request->head, request->payload, RequestRate::Clock::now());
		if (!channel.send(message(reply.type, request->head.id, reply.payload), until) ||
		    reply.last)
			return;
	}
}

} /* namespace corbel::agent */
