// SPDX-License-Identifier: GPL-2.0-or-later
#include <agent/client.hh>

#include <cerrno>

#include <fmt/format.h>

namespace corbel::agent {

namespace {

/* What a guest sent goes to a terminal: no more than letters and signs. */
std::string harmless(std::string text)
{
	for (char &c : text)
		if (c < ' ' || c > '~')
			c = '?';
	return text;
}

int number_of(Refusal refusal)
{
	switch (refusal) {
	case Refusal::version:
		return EPROTONOSUPPORT;
	case Refusal::no_irq:
		return ENOENT;
	case Refusal::no_cpu:
		return EINVAL;
	case Refusal::pinned:
		return EPERM;
	case Refusal::too_many:
		return EBUSY;
	case Refusal::malformed:
	case Refusal::kernel:
		break;
	}
	return EIO;
}

} /* namespace */

Result<Client> Client::open(ScopedFd connected, std::chrono::milliseconds limit)
{
	Client client(Channel(std::move(connected)), limit);

	CORBEL_EXPECT(client.greet());
	return client;
}

Result<void> Client::greet()
{
	const auto payload = CORBEL_EXPECT(ask(Type::hello, encode(Hello{}), Type::hello_reply));
	const auto theirs = CORBEL_EXPECT(decode_version(payload));

	if (theirs.major != version_major)
		return failure(EPROTONOSUPPORT,
			       fmt::format("The agent in the guest speaks version {} of the "
					   "protocol, this program {}: install the corbel-agent of "
					   "Corbel's release on this host in the guest.",
					   theirs.text(), Version().text()));
	guest_ = CORBEL_EXPECT(decode<HelloReply>(payload));
	guest_.program = harmless(std::move(guest_.program));
	guest_.kernel = harmless(std::move(guest_.kernel));
	if (guest_.online.empty())
		return failure(EPROTO, "The agent in the guest says that no CPU is online.");
	return {};
}

Result<std::string> Client::exchange(Type request, std::string_view payload, Type reply)
{
	const auto until = Channel::Clock::now() + limit_;

	if (channel_.readable())
		return failure(EPROTO, "The agent in the guest closed the connection or sent "
				       "something that it was not asked for.");
	CORBEL_EXPECT(channel_.send(message(request, ++id_, payload), until));
	auto received = CORBEL_EXPECT(channel_.receive(until));

	if (received.head.id != id_)
		return failure(EPROTO, "The agent in the guest answered what it was not asked.");
	if (received.head.type == Type::error_reply) {
		const auto error = CORBEL_EXPECT(decode<ErrorReply>(received.payload));

		return failure(number_of(error.refusal),
			       "The agent in the guest says: " + harmless(error.sentence));
	}
	if (received.head.type != reply)
		return failure(EPROTO,
			       "The agent in the guest answered with another kind of message.");
	return std::move(received.payload);
}

Result<std::string> Client::ask(Type request, std::string_view payload, Type reply)
{
	if (broken_)
		return failure(EPIPE, "The connection to the agent in the guest has ended.");
	auto answer = exchange(request, payload, reply);

	if (!answer)
		switch (answer.error().number) {
		case ETIMEDOUT:
		case EPIPE:
		case EPROTO:
		case EMSGSIZE:
			broken_ = true;
			return failure(answer.error().number,
				       "The connection to the agent in the guest ended: " +
					       answer.error().sentence);
		default:
			break;
		}
	return answer;
}

template <typename T>
Result<T> Client::ask_for(Type request, std::string_view payload, Type reply)
{
	auto decoded = decode<T>(CORBEL_EXPECT(ask(request, payload, reply)));

	broken_ = broken_ || !decoded;
	return decoded;
}

Result<std::vector<GuestIrq>> Client::irqs()
{
	std::vector<GuestIrq> irqs;
	std::uint32_t first = 0;

	for (std::size_t i = 0; i < max_list_requests; i++) {
		auto part = CORBEL_EXPECT(
			ask_for<ListReply>(Type::list, encode(List{first}), Type::list_reply));

		/* Else a guest could have us ask for the same for ever. */
		if (!part.irqs.empty() && part.irqs.front().number < first)
			break;
		for (auto &irq : part.irqs) {
			irq.name = harmless(std::move(irq.name));
			irqs.push_back(std::move(irq));
		}
		if (irqs.size() > max_irqs)
			break;
		if (part.next == 0)
			return irqs;
		first = part.next;
	}
	broken_ = true;
	return failure(EPROTO, fmt::format("The agent in the guest names more than {} interrupts, "
					   "or one twice.",
					   max_irqs));
}

Result<MoveReply> Client::move(std::uint32_t irq, const CpuSet &cpus)
{
	return ask_for<MoveReply>(Type::move, encode(MoveRequest{irq, cpus}), Type::move_reply);
}

Result<RestoreReply> Client::restore()
{
	return ask_for<RestoreReply>(Type::restore, {}, Type::restore_reply);
}

Result<void> Client::keep()
{
	CORBEL_EXPECT(ask(Type::keep, {}, Type::keep_reply));
	return {};
}

} /* namespace corbel::agent */
