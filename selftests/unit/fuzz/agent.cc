/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: both sides of the agent's protocol against anything. The first byte
 * says which; the rest is cut into payloads, each with a type in front. The guest's side is
 * asked them as requests, the host's side is told them as answers; and whatever decodes,
 * encodes and decodes again.
 */
#include <agent/client.hh>
#include <agent/server.hh>

#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace corbel;
using namespace corbel::agent;

namespace {

void require(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "the agent's protocol broke its word: %s\n", what);
	std::abort();
}

struct Piece {
	std::uint16_t type;
	std::string_view payload;
};

std::vector<Piece> pieces_of(std::string_view input)
{
	std::vector<Piece> pieces;

	while (input.size() >= 3) {
		const auto byte = [&](std::size_t at) {
			return static_cast<unsigned char>(input[at]);
		};
		const auto size = static_cast<std::size_t>(byte(1) | byte(2) << 8);
		const auto payload = input.substr(3, size);

		pieces.push_back({byte(0), payload});
		input.remove_prefix(3 + payload.size());
	}
	return pieces;
}

/* A /proc of two CPUs and one interrupt. */
struct GuestFolder {
	GuestFolder()
	{
		require(::mkdtemp(name.data()), "a folder can be made");
		std::filesystem::create_directories(name + "/irq/5");
		for (const char *file : {"smp_affinity_list", "effective_affinity_list"})
			std::ofstream(name + "/irq/5/" + file) << "1\n";
		std::ofstream(name + "/cpuinfo") << "processor\t: 0\nprocessor\t: 1\n";
		std::ofstream(name + "/interrupts")
			<< "  CPU0 CPU1\n  5: 7 8 PCI-MSI 9-edge virtio0\n";
	}
	~GuestFolder() { std::filesystem::remove_all(name); }

	std::string name = std::filesystem::temp_directory_path() / "corbel-fuzz-XXXXXX";
};

void ask_guest(const std::vector<Piece> &pieces)
{
	static const GuestFolder folder;
	const auto irqs = GuestIrqs::open(folder.name.c_str());
	Server server(*irqs);
	std::uint32_t id = 0;

	for (const auto &[type, payload] : pieces) {
		const Head head{static_cast<std::uint32_t>(payload.size()), static_cast<Type>(type),
				++id};
		const auto answer = server.answer(head, payload, RequestRate::Clock::now());
		const auto bytes = message(answer.type, id, answer.payload);

		require(decode_head(std::string_view(bytes).substr(0, head_size)).has_value(),
			"an answer is a message");
		if (answer.last)
			break;
	}
}

/* Answers what is asked with the type that is expected, and the input as the payload. */
void answer_host(int fd, const std::vector<Piece> &pieces)
{
	Channel channel{ScopedFd(fd)};

	for (const auto &[type, payload] : pieces) {
		const auto until = Channel::Clock::now() + std::chrono::seconds(10);
		const auto asked = channel.receive(until);

		if (!asked)
			return;
		const auto expected =
			static_cast<Type>(static_cast<unsigned>(asked->head.type) + 100);
		if (!channel.send(message(type < 250 ? expected : static_cast<Type>(type),
					  asked->head.id, payload),
				  until))
			return;
	}
}

void tell_host(const std::vector<Piece> &pieces)
{
	int ends[2];

	require(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "there are sockets");
	std::thread guest([&] { answer_host(ends[1], pieces); });
	{
		auto client = Client::open(ScopedFd(ends[0]), std::chrono::seconds(10));

		if (client) {
			require(!client->guest().online.empty(), "a guest has a CPU");
			while (!client->broken()) {
				const auto irqs = client->irqs();
				require(!irqs || irqs->size() <= max_irqs, "the list has a limit");
				if (!irqs)
					break;
				(void)client->move(5, CpuSet::of(1));
				(void)client->restore();
			}
		}
	}
	guest.join();
}

template <typename T>
void decode_twice(std::string_view payload)
{
	if (const auto decoded = decode<T>(payload))
		require(decode<T>(encode(*decoded)).has_value(), "what decodes can be encoded");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	const std::string_view input(reinterpret_cast<const char *>(data), size);
	const auto pieces = pieces_of(input.substr(std::min<std::size_t>(1, size)));

	if (input.size() >= head_size)
		(void)decode_head(input.substr(0, head_size));
	for (const auto &piece : pieces) {
		decode_twice<Hello>(piece.payload);
		decode_twice<HelloReply>(piece.payload);
		decode_twice<List>(piece.payload);
		decode_twice<MoveRequest>(piece.payload);
		decode_twice<MoveReply>(piece.payload);
		decode_twice<RestoreReply>(piece.payload);
		decode_twice<ErrorReply>(piece.payload);
		(void)decode<ListReply>(piece.payload);
	}
	if (size > 0 && data[0] % 2)
		tell_host(pieces);
	else
		ask_guest(pieces);
	return 0;
}
