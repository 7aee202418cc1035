// SPDX-License-Identifier: GPL-2.0-or-later
#include <agent/protocol.hh>

#include <agent/bytes.hh>

#include <cerrno>

namespace corbel::agent {

namespace {

constexpr std::size_t version_size = 8;

std::unexpected<Error> malformed(std::string_view what)
{
	return failure(EPROTO, "What the other side sent is not " + std::string(what) +
				       ": it is cut short, too long or against a limit.");
}

template <typename T>
Result<T> if_ended(const Reader &reader, T value, std::string_view what)
{
	if (!reader.ended())
		return malformed(what);
	return value;
}

void put(Writer &writer, const CpuSet &set)
{
	writer.number(static_cast<std::uint16_t>(set.words().size()));
	for (auto word : set.words())
		writer.number(word);
}

CpuSet take_set(Reader &reader)
{
	std::vector<std::uint64_t> words(reader.count(max_cpus / 64));

	for (auto &word : words)
		word = reader.number<std::uint64_t>();
	return CpuSet::of_words(std::move(words));
}

void put(Writer &writer, const Version &version)
{
	writer.number(magic);
	writer.number(version.major);
	writer.number(version.minor);
}

Version take_version(Reader &reader)
{
	if (reader.number<std::uint32_t>() != magic)
		reader.refuse();

	/* One after the other: the order is that of the bytes. */
	const auto major = reader.number<std::uint16_t>();
	const auto minor = reader.number<std::uint16_t>();
	return {major, minor};
}

/* A CPU beyond the limit is against it. */
std::uint16_t take_cpu(Reader &reader)
{
	const auto cpu = reader.number<std::uint16_t>();

	if (cpu >= max_cpus)
		reader.refuse();
	return cpu;
}

GuestIrq take_irq(Reader &reader)
{
	GuestIrq irq;

	irq.number = reader.number<std::uint32_t>();
	const auto movable = reader.number<std::uint16_t>();
	if (movable > 1)
		reader.refuse();
	irq.movable = movable == 1;
	irq.affinity = take_set(reader);
	irq.effective = take_set(reader);
	irq.name = reader.text(max_text);
	const auto counts = reader.count(max_cpus);
	for (std::size_t i = 0; i < counts && reader.good(); i++) {
		const auto cpu = take_cpu(reader);

		irq.counts.push_back({cpu, reader.number<std::uint64_t>()});
	}
	return irq;
}

} /* namespace */

std::string Version::text() const
{
	return std::to_string(major) + "." + std::to_string(minor);
}

std::string message(Type type, std::uint32_t id, std::string_view payload)
{
	Writer writer;

	writer.number(static_cast<std::uint32_t>(payload.size()));
	writer.number(static_cast<std::uint16_t>(type));
	writer.number(std::uint16_t{0});
	writer.number(id);
	writer.raw(payload);
	return writer.take();
}

std::string encode(const Hello &hello)
{
	Writer writer;

	put(writer, hello.version);
	return writer.take();
}

std::string encode(const HelloReply &reply)
{
	Writer writer;

	put(writer, reply.version);
	writer.text(reply.program, max_text);
	writer.text(reply.kernel, max_text);
	writer.number(static_cast<std::uint16_t>(reply.online.size()));
	for (const auto &cpu : reply.online) {
		writer.number(cpu.number);
		writer.number(cpu.apic_id);
	}
	return writer.take();
}

std::string encode(const List &list)
{
	Writer writer;

	writer.number(list.first);
	return writer.take();
}

std::string encode(const GuestIrq &irq)
{
	Writer writer;

	writer.number(irq.number);
	writer.number(static_cast<std::uint16_t>(irq.movable));
	put(writer, irq.affinity);
	put(writer, irq.effective);
	writer.text(irq.name, max_text);
	writer.number(static_cast<std::uint16_t>(irq.counts.size()));
	for (const auto &[cpu, count] : irq.counts) {
		writer.number(cpu);
		writer.number(count);
	}
	return writer.take();
}

std::string encode_list(std::uint32_t next, const std::vector<std::string> &irqs)
{
	Writer writer;

	writer.number(next);
	writer.number(static_cast<std::uint16_t>(irqs.size()));
	for (const auto &irq : irqs)
		writer.raw(irq);
	return writer.take();
}

std::string encode(const MoveRequest &move)
{
	Writer writer;

	writer.number(move.number);
	put(writer, move.affinity);
	return writer.take();
}

std::string encode(const MoveReply &reply)
{
	Writer writer;

	put(writer, reply.affinity);
	put(writer, reply.effective);
	return writer.take();
}

std::string encode(const RestoreReply &reply)
{
	Writer writer;

	writer.number(reply.restored);
	writer.number(reply.foreign);
	writer.number(reply.failed);
	return writer.take();
}

std::string encode(const ErrorReply &reply)
{
	Writer writer;

	writer.number(static_cast<std::uint16_t>(reply.refusal));
	writer.text(reply.sentence, max_text);
	return writer.take();
}

Result<Head> decode_head(std::string_view bytes)
{
	Reader reader(bytes);
	const auto size = reader.number<std::uint32_t>();
	const auto type = reader.number<std::uint16_t>();
	const auto zero = reader.number<std::uint16_t>();
	const auto id = reader.number<std::uint32_t>();

	if (!reader.ended() || zero != 0)
		return malformed("the head of a message");
	if (size > max_payload)
		return failure(EMSGSIZE, "The other side announces a message of " +
						 std::to_string(size) + " bytes; there may be " +
						 std::to_string(max_payload) + ".");
	return Head{size, static_cast<Type>(type), id};
}

template <>
Result<Hello> decode(std::string_view payload)
{
	Reader reader(payload);
	Hello hello{take_version(reader)};

	return if_ended(reader, hello, "a hello");
}

template <>
Result<HelloReply> decode(std::string_view payload)
{
	Reader reader(payload);
	HelloReply reply;

	reply.version = take_version(reader);
	reply.program = reader.text(max_text);
	reply.kernel = reader.text(max_text);
	const auto cpus = reader.count(max_cpus);
	for (std::size_t i = 0; i < cpus && reader.good(); i++) {
		const auto number = take_cpu(reader);

		reply.online.push_back({number, reader.number<std::uint32_t>()});
	}
	return if_ended(reader, std::move(reply), "the reply to a hello");
}

template <>
Result<List> decode(std::string_view payload)
{
	Reader reader(payload);
	List list{reader.number<std::uint32_t>()};

	return if_ended(reader, list, "a request for a list");
}

/* Numbers ascend, and the next one to ask for is beyond them: so a list has an end. */
template <>
Result<ListReply> decode(std::string_view payload)
{
	Reader reader(payload);
	ListReply reply;

	reply.next = reader.number<std::uint32_t>();
	const auto irqs = reader.count(max_irqs_in_reply);
	for (std::size_t i = 0; i < irqs && reader.good(); i++) {
		auto irq = take_irq(reader);

		if (!reply.irqs.empty() && irq.number <= reply.irqs.back().number)
			reader.refuse();
		reply.irqs.push_back(std::move(irq));
	}
	if (reply.next != 0 && (reply.irqs.empty() || reply.next <= reply.irqs.back().number))
		reader.refuse();
	return if_ended(reader, std::move(reply), "a list of interrupts");
}

template <>
Result<MoveRequest> decode(std::string_view payload)
{
	Reader reader(payload);
	MoveRequest move;

	move.number = reader.number<std::uint32_t>();
	move.affinity = take_set(reader);
	return if_ended(reader, std::move(move), "a request to move an interrupt");
}

template <>
Result<MoveReply> decode(std::string_view payload)
{
	Reader reader(payload);
	MoveReply reply;

	reply.affinity = take_set(reader);
	reply.effective = take_set(reader);
	return if_ended(reader, std::move(reply), "the reply to a move");
}

template <>
Result<RestoreReply> decode(std::string_view payload)
{
	Reader reader(payload);
	RestoreReply reply;

	reply.restored = reader.number<std::uint32_t>();
	reply.foreign = reader.number<std::uint32_t>();
	reply.failed = reader.number<std::uint32_t>();
	return if_ended(reader, reply, "the reply to putting interrupts back");
}

template <>
Result<ErrorReply> decode(std::string_view payload)
{
	Reader reader(payload);
	ErrorReply reply;

	reply.refusal = static_cast<Refusal>(reader.number<std::uint16_t>());
	reply.sentence = reader.text(max_text);
	return if_ended(reader, std::move(reply), "an error");
}

Result<Version> decode_version(std::string_view payload)
{
	Reader reader(payload.substr(0, version_size));
	const auto version = take_version(reader);

	return if_ended(reader, version, "a version of this protocol");
}

} /* namespace corbel::agent */
