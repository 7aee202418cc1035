// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pagers: every page of one object comes to another, once, in whatever order it is missed,
 * whatever happens to the connection, and whoever is at its other end.
 */
#include "module.hh"
#include "process.hh"
#include "transfer.hh"
#include "wait.hh"

#include <atomic>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <random>
#include <sys/socket.h>
#include <sys/wait.h>

using namespace corbel::selftest;

namespace {

constexpr uint64_t seed = 0xfe7c4;
constexpr unsigned zero_every = 5;

/* What has pages, and what misses them. */
struct two_objects {
	explicit two_objects(uint64_t pages)
		: source(pages * page_bytes, 0), target(pages * page_bytes)
	{
		fill_pattern(source, seed, zero_every);
		seal(source);
	}
	void check() const
	{
		CHECK_EQ(target.info().present, target.pages() * page_bytes, "present");
		CHECK_EQ(count_wrong(target, seed, zero_every), 0u, "pages that are wrong");
	}

	memory_object source, target;
};

void check_counts(const transfer &moved)
{
	const auto fetch = moved.fetch.info(), serve = moved.serve.info();

	CHECK_EQ(fetch.by_demand + fetch.by_push, fetch.pages, "pages that came");
	CHECK_EQ(serve.by_demand, fetch.by_demand, "sent and received on the demand stream");
	CHECK_EQ(serve.by_push, fetch.by_push, "sent and received on the push stream");
	CHECK_EQ(fetch.duplicates, 0u, "pages that came twice");
	CHECK_EQ(fetch.again, 0u, "pages that came damaged");
	/* The last ones may be for pages that are on their way, and end with them. */
	CHECK(serve.demanded <= fetch.demanded, "{} requests sent, {} received", fetch.demanded,
	      serve.demanded);
}

void push_all(const transfer_options &options, std::string_view what)
{
	ensure_corbel();
	two_objects objects(amount(2048, 65536) + 3);
	transfer moved(objects.source, objects.target, options);

	CHECK_EQ(moved.fetch.info().going, 0u, "going before GO");
	CHECK_EQ(objects.target.info().present, 0u, "present before GO");
	moved.go();
	moved.finish();
	moved.print(what);
	check_counts(moved);
	objects.check();
	const auto info = moved.fetch.info();
	CHECK_EQ(info.zeros, (info.pages + zero_every - 1) / zero_every, "zero pages");
	CHECK_EQ(info.by_demand, 0u, "nobody asked");
	CHECK(info.bytes < info.pages * page_bytes, "zero pages were sent as they are");
	pollfd ends{moved.fetch.fd(), POLLIN, 0};
	CHECK(poll(&ends, 1, 0) == 1 && ends.revents == POLLIN, "poll answers {:#x}", ends.revents);
}

void push_plain()
{
	push_all({}, "plain");
}

void push_encrypted()
{
	push_all({.tls = true}, "TLS");
}

void push_through_narrow_window()
{
	push_all({.window = 1}, "a window of one page");
}

/* Pages of few different bytes go compressed. */
void push_compressible()
{
	ensure_corbel();
	memory_object source(1024 * page_bytes, 0), target(1024 * page_bytes);
	{
		const mapped map(source.fd(), 1024 * page_bytes);

		for (uint64_t page = 0; page < 1024; page++)
			std::memset(map.bytes(page), static_cast<int>(page % 255 + 1), page_bytes);
	}
	seal(source);
	transfer moved(source, target);
	moved.go();
	moved.finish();
	moved.print("compressible");
	const mapped map(target.fd(), 1024 * page_bytes, 0, PROT_READ);
	for (uint64_t page = 0; page < 1024; page++)
		for (uint64_t i = 0; i < words_of_page; i++)
			CHECK_EQ(map.word(page, i), 0x0101010101010101u * (page % 255 + 1),
				 "word {} of page {}", i, page);
	const auto info = moved.fetch.info();
	if (!info.compressed)
		skip("this kernel has no LZ4 to compress with");
	CHECK_EQ(info.compressed, 1024u, "compressed");
	CHECK(info.bytes < 1024 * page_bytes / 16, "{} bytes for 4 MiB", info.bytes);
}

/* Those that touch pages in an order of their own while they are pushed. */
class touchers {
public:
	touchers(const memory_object &memory, unsigned count)
		: map(memory.fd(), memory.pages() * page_bytes)
	{
		for (unsigned t = 0; t < count; t++)
			threads.emplace_back(
				[this, t, pages = memory.pages()] { touch(t, pages); });
	}
	/* How many words were wrong. */
	uint64_t join()
	{
		for (std::thread &thread : threads)
			thread.join();
		threads.clear();
		return wrong;
	}
	~touchers() { join(); }

private:
	void touch(unsigned t, uint64_t pages)
	{
		std::mt19937_64 random(t);

		for (uint64_t i = 0; i < pages; i++) {
			const uint64_t page = random() % pages, word = random() % words_of_page;
			const uint64_t want =
				page % zero_every ? pattern_word(page, word, seed) : 0;

			wrong += map.word(page, word) != want;
		}
	}

	const mapped map;
	std::atomic<uint64_t> wrong{0};
	std::vector<std::thread> threads;
};

void demand(const transfer_options &options, std::string_view what)
{
	ensure_corbel();
	two_objects objects(amount(2048, 16384));
	transfer moved(objects.source, objects.target, options);
	touchers users(objects.target, 3);

	wait_until("somebody misses a page", [&] { return objects.target.info().waits > 0; });
	CHECK_EQ(objects.target.info().present, 0u, "present before GO");
	moved.go();
	CHECK_EQ(users.join(), 0u, "words that were wrong");
	moved.finish();
	moved.print(what);
	check_counts(moved);
	CHECK(moved.fetch.info().demanded > 0, "nothing was demanded");
	CHECK(moved.fetch.info().demanded <= objects.target.info().requested,
	      "a page was demanded twice");
	objects.check();
}

void demand_plain()
{
	demand({}, "plain");
}

void demand_encrypted()
{
	demand({.tls = true}, "TLS");
}

void demand_by_vcpu()
{
	ensure_corbel();
	const uint64_t pages = amount(1024, 8192);
	memory_object source(pages * page_bytes, 0), target(pages * page_bytes);
	fill_pattern(source, seed);
	seal(source);
	guest_vm vm(2);
	mapped map(target.fd(), pages * page_bytes, 0, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_32BIT);
	vm.add_memory(map.bytes(), pages * page_bytes);
	vm.start();
	guest_job job;
	job.kind = job_kind::check_pages;
	job.memory = map.words();
	job.count = pages;
	job.seed = seed;
	transfer moved(source, target);
	vm.start_job(0, job);
	moved.go();
	vm.finish_job(0);
	moved.finish();
	moved.print("a vCPU");
	CHECK_EQ(vm.memory(0).wrong_words.load(), 0u, "words that the guest found wrong");
	check_counts(moved);
}

/* The connection goes again and again; nothing else is lost by it. */
void lose_connection()
{
	ensure_corbel();
	two_objects objects(amount(4096, 32768));
	touchers users(objects.target, 2);
	uint64_t came = 0, twice = 0;
	unsigned losses = 0;

	for (unsigned share = 1;; share++) {
		transfer moved(objects.source, objects.target, {.tls = share % 2 == 0});
		const uint64_t until = share * objects.target.pages() / 10 * page_bytes;

		moved.go();
		wait_until("some pages are there", [&] {
			return objects.target.info().present >= until || moved.is_done();
		});
		if (share == 10)
			moved.finish();
		const auto info = moved.fetch.info();
		came += info.by_demand + info.by_push;
		twice += info.duplicates;
		if (share == 10)
			break;
		losses++;
		/* Either end first. */
		pager &gone = share % 3 ? moved.serve : moved.fetch;
		pager &left = share % 3 ? moved.fetch : moved.serve;
		gone.close();
		wait_until("the other end notices",
			   [&] { return left.info().state != CORBEL_PAGER_RUNNING; });
		if (left.info().state == CORBEL_PAGER_DONE)
			break;
		CHECK_EQ(left.info().state, static_cast<unsigned>(CORBEL_PAGER_LOST), "state");
		pollfd ends{left.fd(), POLLIN, 0};
		CHECK(poll(&ends, 1, 0) == 1 && ends.revents & POLLHUP, "poll answers {:#x}",
		      ends.revents);
	}
	CHECK_EQ(users.join(), 0u, "words that were wrong");
	objects.check();
	comment("{} losses, {} pages came for {}, {} of them twice", losses, came,
		objects.target.pages(), twice);
	CHECK(objects.target.info().installed == objects.target.pages(), "{} installed",
	      objects.target.info().installed);
}

/* Threads that write to an eighth of an object until they are told to stop. */
class writers {
public:
	explicit writers(const memory_object &memory)
		: map(memory.fd(), memory.pages() * page_bytes)
	{
		for (unsigned t = 0; t < 2; t++)
			threads.emplace_back([this, t, pages = memory.pages()] {
				std::mt19937_64 random(t);

				for (uint64_t i = 1; !stopping; i++)
					map.word(random() % (pages / 8), random() % words_of_page) =
						i;
			});
	}
	~writers() { stop(); }
	void stop()
	{
		stopping = true;
		for (std::thread &thread : threads)
			thread.join();
		threads.clear();
	}

private:
	const mapped map;
	std::atomic<bool> stopping{false};
	std::vector<std::thread> threads;
};

void track(const memory_object &memory)
{
	corbel_memory_track track = {};

	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_TRACK, track), 0, "CORBEL_MEMORY_TRACK");
}

void check_equal(const memory_object &source, const memory_object &target)
{
	const mapped from(source.fd(), source.pages() * page_bytes, 0, PROT_READ);
	const mapped to(target.fd(), source.pages() * page_bytes, 0, PROT_READ);
	uint64_t different = 0;

	for (uint64_t page = 0; page < source.pages(); page++)
		different += std::memcmp(from.bytes(page), to.bytes(page), page_bytes) != 0;
	CHECK_EQ(different, 0u, "pages that differ");
}

/* Sent while it is written to, sealed, and the rest sent after that. */
void send_in_rounds()
{
	ensure_corbel();
	const uint64_t pages = amount(4096, 32768) + 5;
	memory_object source(pages * page_bytes, 0), target(pages * page_bytes);
	fill_pattern(source, seed, zero_every);
	track(source);
	transfer moved(source, target);
	writers busy(source);
	uint64_t sent[3];

	for (uint64_t &round : sent)
		round = moved.serve.round();
	CHECK_EQ(sent[0], pages, "of the first round");
	CHECK_EQ(target.info().present, 0u, "present before GO");
	corbel_pager_go early = {};
	CHECK_EQ(request(moved.serve.fd(), CORBEL_PAGER_GO, early), -EBUSY, "GO without a seal");
	busy.stop();
	seal(source);
	const uint64_t missing = moved.serve.go();
	wait_until("what is staged is adopted", [&] { return moved.fetch.info().going; });
	const auto at_go = moved.fetch.info();
	CHECK(at_go.adopted >= pages - missing, "{} adopted, {} missing of {}", at_go.adopted,
	      missing, pages);
	corbel_memory_seal off = {.flags = CORBEL_MEMORY_UNSEAL};
	CHECK_EQ(request(source.fd(), CORBEL_MEMORY_SEAL, off), -EBUSY, "UNSEAL under a pager");
	moved.finish();
	moved.print("in rounds");
	const auto info = moved.fetch.info();
	CHECK_EQ(info.by_push + info.by_demand, missing, "pages after GO");
	CHECK_EQ(info.adopted + missing, pages, "all");
	CHECK(missing <= pages / 8, "{} pages were written to, says GO", missing);
	comment("rounds of {}, {} and {} pages, {} after GO", sent[0], sent[1], sent[2], missing);
	check_equal(source, target);
	moved.serve.close();
	unseal(source);
}

/* Before the rest goes, what is asked for comes, and nothing else. */
void send_what_is_asked_for()
{
	ensure_corbel();
	two_objects objects(2048);
	transfer moved(objects.source, objects.target);
	const mapped map(objects.target.fd(), 2048 * page_bytes, 0, PROT_READ);
	const uint64_t asked[] = {7, 1001, 2047};
	corbel_pager_go again = {.flags = CORBEL_PAGER_GO_ASKED};

	CHECK_EQ(moved.serve.go(CORBEL_PAGER_GO_ASKED), 2048u, "missing at GO");
	CHECK_EQ(request(moved.serve.fd(), CORBEL_PAGER_GO, again), -EALREADY, "the same again");
	for (const uint64_t page : asked)
		CHECK_EQ(map.word(page, 1), pattern_word(page, 1, seed), "page {}", page);
	CHECK_EQ(moved.serve.info().by_push, 0u, "pushed before the rest was wanted");
	CHECK_EQ(objects.target.info().present, std::size(asked) * page_bytes, "present");
	CHECK_EQ(moved.serve.go(), 2048 - std::size(asked), "left for the rest");
	CHECK_EQ(request(moved.serve.fd(), CORBEL_PAGER_GO, again), -EALREADY, "after the rest");
	moved.finish();
	check_counts(moved);
	objects.check();
}

/* A round that a signal ends; what it has not sent is sent later. */
void interrupt_round()
{
	ensure_corbel();
	constexpr uint64_t pages = 4096;
	memory_object source(pages * page_bytes, 0), target(pages * page_bytes);
	fill_pattern(source, seed);
	track(source);
	transfer moved(source, target, {.window = 1});
	const int answer = interrupt_round(moved.serve, [&] {
		corbel_pager_round second = {};

		wait_until("some pages are staged",
			   [&] { return moved.fetch.info().staged > 100; });
		CHECK_EQ(request(moved.serve.fd(), CORBEL_PAGER_ROUND, second), -EBUSY,
			 "a second round");
	});
	CHECK(answer == -EINTR || answer == 0, "{}", error_name(answer));
	seal(source);
	moved.go();
	moved.finish();
	moved.print("an interrupted round");
	check_equal(source, target);
}

/* Lost while it was sent in rounds: what was staged is forgotten, and nothing is wrong. */
void lose_rounds()
{
	ensure_corbel();
	memory_object source(1024 * page_bytes, 0), target(1024 * page_bytes);
	fill_pattern(source, seed);
	track(source);
	{
		transfer moved(source, target);
		moved.serve.round();
	}
	{
		const mapped map(source.fd(), 1024 * page_bytes);
		map.word(7, 7) = 7;
	}
	corbel_pager_round untracked = {};
	seal(source);
	transfer moved(source, target);
	moved.go();
	CHECK_EQ(request(moved.serve.fd(), CORBEL_PAGER_ROUND, untracked), -EBUSY, "after GO");
	moved.finish();
	CHECK_EQ(moved.fetch.info().adopted, 0u, "adopted");
	check_equal(source, target);
}

void refuse_what_makes_no_sense()
{
	ensure_corbel();
	two_objects objects(64);
	const tcp_pair demand, push;
	const corbel_pager_new good = {.flags = CORBEL_PAGER_PLAIN,
				       .role = CORBEL_PAGER_FETCH,
				       .demand = demand.first.get(),
				       .push = push.first.get()};
	const auto refused = [&](const memory_object &memory, corbel_pager_new request) {
		const int fd = make_pager(memory, request);

		if (fd >= 0)
			::close(fd);
		return fd;
	};
	corbel_pager_new bad = good;

	bad.flags = 0;
	CHECK_EQ(refused(objects.target, bad), -ENOKEY, "neither TLS nor PLAIN");
	bad = good;
	bad.role = 3;
	CHECK_EQ(refused(objects.target, bad), -EINVAL, "no such role");
	bad = good;
	bad.window = CORBEL_PAGER_MAX_WINDOW + 1;
	CHECK_EQ(refused(objects.target, bad), -EINVAL, "a window too large");
	bad = good;
	bad.push = bad.demand;
	CHECK_EQ(refused(objects.target, bad), -EINVAL, "one socket for both");
	bad = good;
	bad.push = objects.source.fd();
	CHECK_EQ(refused(objects.target, bad), -ENOTSOCK, "no socket");
	bad = good;
	bad.push = -1;
	CHECK_EQ(refused(objects.target, bad), -EBADF, "no descriptor");
	int pair[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair: {}", error_name(errno));
	const unique_fd one(pair[0]), other(pair[1]);
	bad = good;
	bad.push = one.get();
	CHECK_EQ(refused(objects.target, bad), -EINVAL, "a UNIX socket");
	const unique_fd alone(socket(AF_INET, SOCK_STREAM, 0));
	bad.push = alone.get();
	CHECK_EQ(refused(objects.target, bad), -EINVAL, "a socket that is not connected");
	CHECK_EQ(refused(objects.source, good), -EOPNOTSUPP, "fetching what is present");
	bad = good;
	bad.role = CORBEL_PAGER_SERVE;
	CHECK_EQ(refused(objects.target, bad), -EOPNOTSUPP, "serving what is missing");

	corbel_pager_new request = good;
	const unique_fd first(make_pager(objects.target, request));
	CHECK(first, "a good one");
	CHECK_EQ(refused(objects.target, good), -EBUSY, "a second one");
	corbel_memory_install install = {.flags = CORBEL_MEMORY_ZERO, .bytes = page_bytes};
	CHECK_EQ(::corbel::selftest::request(objects.target.fd(), CORBEL_MEMORY_INSTALL, install),
		 -EBUSY, "pages by another way");
	uint64_t offset;
	CHECK(read(objects.target.fd(), &offset, sizeof(offset)) < 0 && errno == EBUSY,
	      "requests by another way");
	corbel_pager_go go = {};
	CHECK_EQ(::corbel::selftest::request(first.get(), CORBEL_PAGER_GO, go), -ENOTTY,
		 "GO where it fetches");
}

/* Who waits for a page of a lost transfer can be killed, and all can be unloaded. */
void kill_who_waits()
{
	ensure_corbel();
	two_objects objects(64);
	transfer moved(objects.source, objects.target);
	const std::string node = objects.target.node();
	child_process waiter([&](child_process &) {
		const unique_fd own(open(node.c_str(), O_RDWR));
		const mapped map(own.get(), 64 * page_bytes);

		map.read(5);
	});

	wait_until("it waits", [&] { return objects.target.info().waits > 0; });
	moved.serve.close();
	waiter.kill(SIGKILL);
	const int status = waiter.reap();
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended with {:#x}", status);
}

constexpr test_case cases[] = {
	{"all pages are pushed", push_plain},
	{"all pages are pushed over TLS", push_encrypted},
	{"a window of one page", push_through_narrow_window},
	{"pages that compress", push_compressible},
	{"who misses a page has it first", demand_plain},
	{"the same over TLS", demand_encrypted},
	{"a vCPU that misses pages", demand_by_vcpu},
	{"the connection is lost, again and again", lose_connection},
	{"in rounds, while it is written", send_in_rounds},
	{"only what is asked for, at first", send_what_is_asked_for},
	{"a round is interrupted", interrupt_round},
	{"the connection is lost between rounds", lose_rounds},
	{"what makes no sense is refused", refuse_what_makes_no_sense},
	{"who waits can be killed", kill_who_waits},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
