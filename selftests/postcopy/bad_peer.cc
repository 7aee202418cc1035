// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pagers against a network that damages what it carries, and against another end that says
 * whatever it likes. Neither may put a page where it does not belong, nor harm the kernel.
 */
#include "module.hh"
#include "transfer.hh"
#include "wait.hh"
#include "wire_frame.hh"

#include <atomic>
#include <functional>
#include <random>
#include <sys/socket.h>
#include <utility>

using namespace corbel::selftest;

namespace {

constexpr uint64_t seed = 0xbadbad;

/* Carries frames both ways between two ends; `alter` sees those of the serving one. */
class relay {
public:
	using hook = std::function<void(frame &)>;

	explicit relay(hook alter)
		: alter(std::move(alter)),
		  there([this] { carry(fetch.second.get(), serve.second.get(), false); }),
		  back([this] { carry(serve.second.get(), fetch.second.get(), true); })
	{}
	~relay()
	{
		for (const tcp_pair *pair : {&fetch, &serve})
			shutdown(pair->second.get(), SHUT_RDWR);
		there.join();
		back.join();
	}

	const tcp_pair fetch, serve;

private:
	void carry(int from, int to, bool altered)
	{
		frame one;

		while (one.receive(from)) {
			if (altered)
				alter(one);
			if (!one.send(to))
				break;
		}
		shutdown(to, SHUT_RDWR);
	}

	const hook alter;
	std::thread there, back;
};

struct relayed {
	relayed(const memory_object &source, const memory_object &target, const relay &demand,
		const relay &push)
	{
		corbel_pager_new request = {.flags = CORBEL_PAGER_PLAIN};

		request.role = CORBEL_PAGER_FETCH;
		request.demand = demand.fetch.first.get();
		request.push = push.fetch.first.get();
		fetch = pager(request, target);
		request.role = CORBEL_PAGER_SERVE;
		request.demand = demand.serve.first.get();
		request.push = push.serve.first.get();
		serve = pager(request, source);
	}

	pager serve, fetch;
};

/* One byte of every 50th page changes on the way. */
void damage_contents()
{
	ensure_corbel();
	const uint64_t pages = amount(1024, 16384);
	memory_object source(pages * page_bytes, 0), target(pages * page_bytes);
	fill_pattern(source, seed);
	seal(source);
	std::atomic<unsigned> carried{0}, damaged{0};
	const auto damage = [&](frame &one) {
		if (one.payload.size() == page_bytes && ++carried % 50 == 0) {
			one.payload[carried % page_bytes] ^= 1;
			damaged++;
		}
	};
	const relay demand(damage), push(damage);
	relayed moved(source, target, demand, push);

	moved.serve.go();
	wait_until("it is done", [&] { return moved.fetch.info().state != CORBEL_PAGER_RUNNING; });
	const auto info = moved.fetch.info();
	CHECK_EQ(info.state, static_cast<unsigned>(CORBEL_PAGER_DONE), "error {}", info.error);
	CHECK(damaged > 0, "nothing was damaged");
	CHECK_EQ(info.again, damaged.load(), "pages asked for again");
	CHECK_EQ(count_wrong(target, seed), 0u, "pages that are wrong");
	CHECK_EQ(target.info().installed, pages, "installed");
	comment("{} of {} pages damaged on the way, {} asked for again", damaged.load(),
		carried.load(), info.again);
}

/* A bit of a head changes: nobody knows where the next one begins, so the connection ends. */
void damage_heads()
{
	ensure_corbel();
	memory_object source(256 * page_bytes, 0), target(256 * page_bytes);
	fill_pattern(source, seed);
	seal(source);
	for (unsigned bit = 0; bit < 20; bit++) {
		std::atomic<unsigned> carried{0};
		const relay demand([](frame &) {}), push([&](frame &one) {
			if (++carried == 9)
				reinterpret_cast<char *>(&one.head)[bit % 24] ^= 1 << bit % 8;
		});
		relayed moved(source, target, demand, push);

		moved.serve.go();
		wait_until("it ends",
			   [&] { return moved.fetch.info().state != CORBEL_PAGER_RUNNING; });
		const auto info = moved.fetch.info();
		if (info.state == CORBEL_PAGER_DONE) {
			CHECK(target.info().present == target.info().bytes, "done too early");
			break;
		}
		CHECK_EQ(info.state, static_cast<unsigned>(CORBEL_PAGER_LOST), "state");
		CHECK_EQ(info.error, static_cast<unsigned>(EBADMSG), "error");
		wait_until("the other end is told",
			   [&] { return moved.serve.info().state == CORBEL_PAGER_LOST; });
	}
	transfer moved(source, target);
	moved.go();
	moved.finish();
	CHECK_EQ(count_wrong(target, seed), 0u, "pages that are wrong");
}

/* ---- an end that says whatever it likes ------------------------------------------------ */

/* Mostly well formed, so that it gets far. */
frame any_frame(std::mt19937_64 &random, uint64_t pages)
{
	frame made;
	wire::Head &head = made.head;

	head.kind = static_cast<wire::Kind>(1 + random() % 12);
	head.flags = random() % 3 ? 0 : static_cast<uint16_t>(1 << random() % 6);
	head.page = random() % 16 ? random() % pages : random();
	head.count = random() % 4 ? 1 : static_cast<uint32_t>(random() % (2 * pages));
	switch (head.kind) {
	case wire::Kind::page:
		head.length = random() % 2 ? wire::page_bytes
					   : static_cast<uint32_t>(1 + random() % wire::page_bytes);
		break;
	case wire::Kind::have:
	case wire::Kind::missing:
		head.page &= ~uint64_t{63};
		head.length = static_cast<uint32_t>(8 * (1 + random() % 4));
		break;
	case wire::Kind::hello:
		head.length = sizeof(wire::Hello);
		break;
	default:
		break;
	}
	if (random() % 32 == 0)
		head.length = static_cast<uint32_t>(random() % 9000);
	made.payload.resize(head.length);
	for (char &byte : made.payload)
		byte = static_cast<char>(random());
	if (head.kind == wire::Kind::page && random() % 2)
		made.head.contents = wire_hash(made.payload.data(), made.payload.size());
	made.seal();
	if (random() % 64 == 0)
		reinterpret_cast<char *>(&head)[random() % sizeof(head)] ^= 1;
	return made;
}

void talk(int fd, uint64_t pages, uint64_t which)
{
	std::mt19937_64 random(which);

	for (unsigned i = 0; i < 60; i++)
		if (!any_frame(random, pages).send(fd))
			return;
}

/* What it hears is of no interest, but somebody must take it. */
void listen_to(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
}

/* A pager of `role` on `memory`, and such an end on both of its streams. */
corbel_pager_info face(const memory_object &memory, wire::Role role, uint64_t which)
{
	const tcp_pair demand, push;
	const wire::Role other = role == wire::Role::fetch ? wire::Role::serve : wire::Role::fetch;
	corbel_pager_new request = {.flags = CORBEL_PAGER_PLAIN, .role = static_cast<__u32>(role)};

	request.demand = demand.first.get();
	request.push = push.first.get();
	pager mine(request, memory);
	std::vector<std::thread> threads;
	threads.emplace_back(listen_to, demand.second.get());
	threads.emplace_back(listen_to, push.second.get());
	CHECK(frame::hello(other, wire::Stream::push, memory.pages()).send(push.second.get()) &&
		      frame::hello(other, wire::Stream::demand, memory.pages())
			      .send(demand.second.get()),
	      "sending a hello: {}", error_name(errno));
	if (role == wire::Role::serve) {
		/* GO waits for what the other end has. */
		CHECK(frame(wire::Kind::have, wire::last).send(push.second.get()),
		      "sending what is there: {}", error_name(errno));
		mine.go();
	}
	talk(push.second.get(), memory.pages(), 2 * which);
	talk(demand.second.get(), memory.pages(), 2 * which + 1);
	shutdown(push.second.get(), SHUT_WR);
	shutdown(demand.second.get(), SHUT_WR);
	wait_until("the pager ends", [&] { return mine.info().state != CORBEL_PAGER_RUNNING; });
	const auto info = mine.info();
	mine.close();
	for (std::thread &thread : threads)
		thread.join();
	return info;
}

void face_any_server()
{
	ensure_corbel();
	constexpr uint64_t pages = 1000;
	unsigned states[8] = {};

	for (uint64_t i = 0; i < amount(100, 5000); i++) {
		memory_object target(pages * page_bytes);
		const auto info = face(target, wire::Role::fetch, i);
		const auto memory = target.info();

		states[info.state % 8]++;
		CHECK(info.state != CORBEL_PAGER_DONE || memory.present == memory.bytes,
		      "session {}: done with {} bytes present", i, memory.present);
		CHECK_EQ(memory.installed, info.by_demand + info.by_push + info.adopted,
			 "session {}: pages installed and counted", i);
		/* What it left behind serves a good end. */
		if (i % 20 == 0) {
			memory_object source(pages * page_bytes, 0);
			fill_pattern(source, seed);
			seal(source);
			transfer moved(source, target);
			moved.go();
			moved.finish();
			CHECK_EQ(target.info().present, pages * page_bytes, "present");
		}
	}
	comment("fetching: {} lost, {} failed, {} done", states[CORBEL_PAGER_LOST],
		states[CORBEL_PAGER_FAILED], states[CORBEL_PAGER_DONE]);
	CHECK(states[CORBEL_PAGER_FAILED] > 0, "no session broke the protocol");
}

void face_any_fetcher()
{
	ensure_corbel();
	constexpr uint64_t pages = 1000;
	memory_object source(pages * page_bytes, 0);
	unsigned states[8] = {};

	fill_pattern(source, seed);
	seal(source);
	for (uint64_t i = 0; i < amount(100, 5000); i++) {
		states[face(source, wire::Role::serve, i).state % 8]++;
	}
	CHECK_EQ(count_wrong(source, seed), 0u, "pages that changed");
	comment("serving: {} lost, {} failed, {} done", states[CORBEL_PAGER_LOST],
		states[CORBEL_PAGER_FAILED], states[CORBEL_PAGER_DONE]);
	memory_object target(pages * page_bytes);
	transfer moved(source, target);
	moved.go();
	moved.finish();
	CHECK_EQ(count_wrong(target, seed), 0u, "pages that are wrong");
}

/* A fetching end that has said what it has, and then takes or allows nothing any more. */
int round_to_deaf_end(const memory_object &memory, unsigned window)
{
	const tcp_pair demand, push;
	corbel_pager_new request = {.flags = CORBEL_PAGER_PLAIN | CORBEL_PAGER_NO_COMPRESSION,
				    .role = CORBEL_PAGER_SERVE};

	request.demand = demand.first.get();
	request.push = push.first.get();
	const int small = 65536;
	CHECK(setsockopt(request.push, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0 &&
		      setsockopt(push.second.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) ==
			      0,
	      "small buffers: {}", error_name(errno));
	pager mine(request, memory);
	CHECK(frame::hello(wire::Role::fetch, wire::Stream::push, memory.pages(), window)
			      .send(push.second.get()) &&
		      frame::hello(wire::Role::fetch, wire::Stream::demand, memory.pages(), window)
			      .send(demand.second.get()) &&
		      frame(wire::Kind::have, wire::last).send(push.second.get()),
	      "sending what is there: {}", error_name(errno));
	return interrupt_round(mine, [&] {
		wait_until("it is stuck", [&, last = uint64_t{0}]() mutable {
			const uint64_t before = std::exchange(last, mine.info().staged);

			std::this_thread::sleep_for(std::chrono::milliseconds(300));
			return before > 0 && mine.info().staged == before;
		});
	});
}

/* Whoever asked for the round can be killed. */
void round_to_deaf_ends()
{
	ensure_corbel();
	constexpr uint64_t pages = 4096;
	memory_object source(pages * page_bytes, 0);

	fill_pattern(source, seed);
	source.track();
	CHECK_EQ(round_to_deaf_end(source, 1), -EINTR, "an end that allows one page");
	source.track(false);
	source.track();
	/* More than both sockets hold: the sender waits within TCP. */
	const int answer = round_to_deaf_end(source, pages);
	CHECK(answer == -EINTR || answer == -ENOTCONN, "an end that reads nothing: {}",
	      error_name(answer));
	CHECK_EQ(count_wrong(source, seed), 0u, "pages that changed");
}

/* The other end is of another transfer, of another size, or of the same role. */
void refuse_wrong_ends()
{
	ensure_corbel();
	memory_object source(64 * page_bytes, 0), target(64 * page_bytes), larger(65 * page_bytes);
	const auto meet = [&](const memory_object &one, unsigned role_of_one,
			      const memory_object &other, unsigned role_of_other,
			      unsigned char session) {
		const tcp_pair demand, push;
		corbel_pager_new request = {.flags = CORBEL_PAGER_PLAIN, .role = role_of_one};

		request.demand = demand.first.get();
		request.push = push.first.get();
		const pager first(request, one);
		request.role = role_of_other;
		request.demand = demand.second.get();
		request.push = push.second.get();
		request.session[3] ^= session;
		const pager second(request, other);
		wait_until("one of them refuses", [&] {
			return first.info().state == CORBEL_PAGER_FAILED ||
			       second.info().state == CORBEL_PAGER_FAILED;
		});
		wait_until("both end", [&] {
			return first.info().state != CORBEL_PAGER_RUNNING &&
			       second.info().state != CORBEL_PAGER_RUNNING;
		});
	};

	seal(source);
	meet(target, CORBEL_PAGER_FETCH, source, CORBEL_PAGER_SERVE, 1);
	meet(larger, CORBEL_PAGER_FETCH, source, CORBEL_PAGER_SERVE, 0);
	meet(target, CORBEL_PAGER_FETCH, larger, CORBEL_PAGER_FETCH, 0);
	CHECK_EQ(target.info().present, 0u, "present");
}

constexpr test_case cases[] = {
	{"damaged pages are asked for again", damage_contents},
	{"damaged heads end the connection", damage_heads},
	{"any server", face_any_server},
	{"any fetching end", face_any_fetcher},
	{"a round to an end that is deaf", round_to_deaf_ends},
	{"ends that do not belong together", refuse_wrong_ends},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
