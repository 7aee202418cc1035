// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What it takes to bring a page that is missed from another process over loopback TCP, from
 * the touch to the instruction behind it: by userfaultfd, which is what QEMU's post-copy
 * stands on, and by a pager. Runs where the time stamp counter counts instructions.
 *
 * Goals are printed and do not decide; a figure that makes no sense fails.
 */
#include "guest.hh"
#include "module.hh"
#include "transfer.hh"
#include "wait.hh"
#include "wire_frame.hh"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

using namespace corbel::selftest;

namespace {

/* The first one is not touched: it is what a pager pushes before it has to stop. */
constexpr uint64_t pages = 1501;

struct figure {
	uint64_t least, median;
};

figure touch_all(volatile char *memory)
{
	std::vector<uint64_t> ticks;

	for (uint64_t page = 1; page < pages; page++) {
		const uint64_t begin = guest::read_tsc();

		memory[page * page_bytes] = 1;
		ticks.push_back(guest::read_tsc() - begin);
	}
	std::ranges::sort(ticks);
	return {ticks.front(), ticks[ticks.size() / 2]};
}

void at_once(const tcp_pair &pair)
{
	const int on = 1;

	for (const int fd : {pair.first.get(), pair.second.get()})
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

struct answer {
	uint64_t page;
	char contents[page_bytes];
};

void serve_answers(int fd)
{
	static answer one;
	uint64_t page;

	while (receive_all(fd, &page, sizeof(page))) {
		one.page = page;
		std::memset(one.contents, 0x31, 64);
		if (!send_all(fd, &one, sizeof(one)))
			break;
	}
}

/* Requests and pages as QEMU's post-copy has them: one thread that takes faults, one that sends. */
figure by_userfaultfd()
{
	const unique_fd faults(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC)));
	CHECK(faults, "userfaultfd: {}", error_name(errno));
	uffdio_api api = {.api = UFFD_API};
	CHECK(ioctl(faults.get(), UFFDIO_API, &api) == 0, "UFFDIO_API: {}", error_name(errno));
	char *memory = static_cast<char *>(mmap(nullptr, pages * page_bytes, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	madvise(memory, pages * page_bytes, MADV_NOHUGEPAGE);
	uffdio_register range = {.range = {reinterpret_cast<__u64>(memory), pages * page_bytes},
				 .mode = UFFDIO_REGISTER_MODE_MISSING};
	CHECK(ioctl(faults.get(), UFFDIO_REGISTER, &range) == 0, "UFFDIO_REGISTER: {}",
	      error_name(errno));
	const tcp_pair pair;
	at_once(pair);
	std::thread server(serve_answers, pair.second.get());
	std::thread handler([&] {
		static answer one;
		uffd_msg message;

		for (uint64_t done = 1; done < pages; done++) {
			if (read(faults.get(), &message, sizeof(message)) != sizeof(message))
				break;
			const __u64 at = message.arg.pagefault.address & ~(page_bytes - 1);
			const uint64_t page = (at - reinterpret_cast<__u64>(memory)) / page_bytes;
			if (!send_all(pair.first.get(), &page, sizeof(page)) ||
			    !receive_all(pair.first.get(), &one, sizeof(one)))
				break;
			uffdio_copy copy = {.dst = at,
					    .src = reinterpret_cast<__u64>(one.contents),
					    .len = page_bytes};
			if (ioctl(faults.get(), UFFDIO_COPY, &copy) != 0)
				break;
		}
	});
	const figure taken = touch_all(memory);
	handler.join();
	shutdown(pair.first.get(), SHUT_RDWR);
	server.join();
	munmap(memory, pages * page_bytes);
	return taken;
}

/* The push stream of a fetching pager, on which nothing comes but GO. */
void push_nothing(int fd)
{
	CHECK(frame::hello(wire::Role::serve, wire::Stream::push, pages).send(fd) &&
		      frame(wire::Kind::go, wire::everything).send(fd),
	      "sending GO: {}", error_name(errno));
}

/* Pages that a process sends. */
void serve_frames(int fd)
{
	static struct {
		wire::Head head;
		char contents[page_bytes];
	} page;
	frame request;

	if (!frame::hello(wire::Role::serve, wire::Stream::demand, pages).send(fd) ||
	    !request.receive(fd))
		return;
	std::memset(page.contents, 0x31, page_bytes);
	while (request.receive(fd)) {
		page.head = {};
		page.head.kind = wire::Kind::page;
		page.head.page = request.head.page;
		page.head.count = 1;
		page.head.length = page_bytes;
		page.head.contents = wire_hash(page.contents, page_bytes);
		page.head = wire::seal(page.head, wire_hash);
		if (!send_all(fd, &page, sizeof(page)))
			break;
	}
}

figure by_pager(const memory_object *source)
{
	memory_object target(pages * page_bytes, CORBEL_MEMORY_MISSING | CORBEL_MEMORY_SMALL);
	const mapped map(target.fd(), pages * page_bytes);
	const tcp_pair demand, push, idle;
	corbel_pager_new request = {.flags = CORBEL_PAGER_PLAIN, .role = CORBEL_PAGER_FETCH};
	pager serve;
	std::thread server;

	request.demand = demand.first.get();
	request.push = push.first.get();
	pager fetch(request, target);
	push_nothing(push.second.get());
	if (source) {
		request.role = CORBEL_PAGER_SERVE;
		request.demand = demand.second.get();
		request.push = idle.first.get();
		serve = pager(request, *source);
		/* One page is pushed, and no more: nobody gives it credit. */
		CHECK(frame::hello(wire::Role::fetch, wire::Stream::push, pages, 1)
				      .send(idle.second.get()) &&
			      frame(wire::Kind::have, wire::last).send(idle.second.get()),
		      "a hello: {}", error_name(errno));
		serve.go();
		wait_until("one page is pushed", [&] { return serve.info().by_push == 1; });
	} else {
		server = std::thread(serve_frames, demand.second.get());
	}
	wait_until("it goes", [&] { return fetch.info().going; });
	volatile char *memory = static_cast<volatile char *>(static_cast<void *>(map.bytes()));
	const figure taken = touch_all(memory);
	CHECK_EQ(fetch.info().by_demand, pages - 1, "pages by demand");
	fetch.close();
	if (server.joinable()) {
		shutdown(demand.second.get(), SHUT_RDWR);
		server.join();
	}
	return taken;
}

void print(const char *name, const figure &of, const figure &base)
{
	comment("{:<44} least {:>7}, median {:>7}; beside userfaultfd {:.3f}, {:.3f}", name,
		of.least, of.median, static_cast<double>(of.least) / base.least,
		static_cast<double>(of.median) / base.median);
}

void compare()
{
	ensure_corbel();
	memory_object source(pages * page_bytes, 0);
	fill_pattern(source, 1);
	seal(source);
	by_userfaultfd();
	const figure base = by_userfaultfd(), process = by_pager(nullptr),
		     kernel = by_pager(&source);

	print("userfaultfd, from a process", base, base);
	print("a pager, from a process", process, base);
	print("a pager, from a pager", kernel, base);
	comment("goal: <= 0.5");
	for (const figure &of : {base, process, kernel})
		CHECK(of.least > 1000 && of.median < 10'000'000, "{} ticks", of.median);
}

constexpr test_case cases[] = {
	{"a page that is missed, over loopback TCP", compare},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
