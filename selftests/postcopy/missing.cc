// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages that are missing: whoever touches one, in whatever way, waits and then sees
 * what was installed, or is told that it will not come. Nobody ever sees anything else.
 */
#include "disk.hh"
#include "memory_object.hh"
#include "module.hh"
#include "process.hh"
#include "uring.hh"
#include "wait.hh"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <random>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

using namespace corbel::selftest;

namespace {

constexpr uint64_t seed = 0x5eed;
constexpr uint64_t pages_of_piece = piece_bytes / page_bytes;

void check_page(const volatile uint64_t *words, uint64_t page, std::string_view what)
{
	for (uint64_t i = 0; i < words_of_page; i++)
		CHECK_EQ(words[i], pattern_word(page, i, seed), "word {} of page {} {}", i, page,
			 what);
}

/*
 * A served object of `pages`; `touch` brings them to `copy` in its own way, one by
 * one. They are served only once they are asked for.
 */
struct touched {
	static constexpr uint64_t pages = 6;
	memory_object memory{pages * page_bytes};
	mapped map{memory.fd(), pages *page_bytes};
	std::vector<page_pattern> copy{pages, page_pattern(0, 0)};

	template <typename Touch>
	void check(std::string_view what, Touch &&touch)
	{
		page_server server(memory, seed);

		for (uint64_t page = 0; page < pages; page++) {
			touch(map.bytes(page), copy.data() + page);
			check_page(copy[page].words, page, what);
		}
		const auto info = memory.info();
		CHECK_EQ(info.requested, pages, "requests by {}", what);
		CHECK_EQ(info.installed, pages, "pages installed for {}", what);
		CHECK(info.waits >= pages, "{} waits by {}", info.waits, what);
		CHECK_EQ(info.waiting, 0u, "waiting after {}", what);
		comment("{}: {} waits for {} pages", what, info.waits, pages);
	}
};

void copy_all(ssize_t length, std::string_view what)
{
	CHECK_EQ(length, static_cast<ssize_t>(page_bytes), "{}: {}", what, error_name(errno));
}

void touch_by_user()
{
	ensure_corbel();
	touched().check("reading", [](char *from, void *to) { std::memcpy(to, from, page_bytes); });

	touched write;
	page_server server(write.memory, seed);
	for (uint64_t page = 0; page < touched::pages; page++) {
		write.map.word(page, 3) = 42;
		CHECK_EQ(write.map.word(page, 3), 42u, "what was written to page {}", page);
		CHECK_EQ(write.map.word(page, 4), pattern_word(page, 4, seed), "beside it");
	}
}

/* write(2) of a missing page to a pipe; the kernel copies it. */
void touch_by_write()
{
	ensure_corbel();
	int ends[2];
	CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe: {}", error_name(errno));
	unique_fd out(ends[0]), in(ends[1]);

	touched().check("write(2)", [&](char *from, void *to) {
		copy_all(write(in.get(), from, page_bytes), "write");
		copy_all(read(out.get(), to, page_bytes), "read");
	});
	touched().check("vmsplice(2)", [&](char *from, void *to) {
		const iovec vector{from, page_bytes};
		copy_all(vmsplice(in.get(), &vector, 1, 0), "vmsplice");
		copy_all(read(out.get(), to, page_bytes), "read");
	});
}

/* read(2) writes to part of a missing page: the rest of it comes from its owner. */
void touch_by_read()
{
	ensure_corbel();
	touched into;
	page_server server(into.memory, seed);
	int ends[2];
	CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe: {}", error_name(errno));
	unique_fd out(ends[0]), in(ends[1]);
	const uint64_t word = 77;

	CHECK_EQ(write(in.get(), &word, sizeof(word)), 8, "write: {}", error_name(errno));
	CHECK_EQ(read(out.get(), into.map.bytes(2) + 8, sizeof(word)), 8, "read: {}",
		 error_name(errno));
	CHECK_EQ(into.map.word(2, 1), word, "what was read");
	for (uint64_t i = 2; i < words_of_page; i++)
		CHECK_EQ(into.map.word(2, i), pattern_word(2, i, seed), "word {} behind it", i);
}

void touch_by_another_process()
{
	ensure_corbel();
	touched().check("process_vm_readv(2)", [](char *from, void *to) {
		const iovec local{to, page_bytes}, remote{from, page_bytes};
		copy_all(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), "process_vm_readv");
	});
	unique_fd memory(open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
	touched().check("/proc/self/mem", [&](char *from, void *to) {
		copy_all(pread(memory.get(), to, page_bytes, reinterpret_cast<off_t>(from)),
			 "pread");
	});
}

void touch_by_advice()
{
	ensure_corbel();
	touched().check("mlock(2)", [](char *from, void *to) {
		CHECK(mlock(from, page_bytes) == 0, "mlock: {}", error_name(errno));
		std::memcpy(to, from, page_bytes);
	});
	touched().check("MADV_POPULATE_WRITE", [](char *from, void *to) {
		CHECK(madvise(from, page_bytes, MADV_POPULATE_WRITE) == 0, "madvise: {}",
		      error_name(errno));
		std::memcpy(to, from, page_bytes);
	});
	memory_object memory(4 * page_bytes);
	page_server server(memory, seed);
	mapped map(memory.fd(), 4 * page_bytes, 0, PROT_READ, MAP_SHARED | MAP_POPULATE);
	CHECK_EQ(memory.info().installed, 4u, "MAP_POPULATE");
	for (uint64_t page = 0; page < 4; page++)
		check_page(&map.word(page), page, "by MAP_POPULATE");
}

struct aligned_page {
	alignas(page_bytes) char bytes[page_bytes];
};

void touch_by_direct_io()
{
	ensure_corbel();
	ram_disk disk;
	aligned_page bounce;

	touched().check("O_DIRECT write", [&](char *from, void *to) {
		copy_all(pwrite(disk.get(), from, page_bytes, 0), "pwrite");
		copy_all(pread(disk.get(), bounce.bytes, page_bytes, 0), "pread");
		std::memcpy(to, bounce.bytes, page_bytes);
	});
	/* Into the middle of a missing page: the sectors around come from its owner. */
	touched into;
	page_server server(into.memory, seed);
	std::memset(bounce.bytes, 0xab, page_bytes);
	copy_all(pwrite(disk.get(), bounce.bytes, page_bytes, 0), "pwrite");
	CHECK_EQ(pread(disk.get(), into.map.bytes(2) + 512, 512, 0), 512, "pread: {}",
		 error_name(errno));
	CHECK_EQ(into.map.word(2, 64), 0xababababababababu, "what was read");
	CHECK_EQ(into.map.word(2, 63), pattern_word(2, 63, seed), "before it");
	CHECK_EQ(into.map.word(2, 128), pattern_word(2, 128, seed), "behind it");
}

void touch_by_io_uring()
{
	ensure_corbel();
	int ends[2];
	CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe: {}", error_name(errno));
	unique_fd out(ends[0]), in(ends[1]);
	io_ring ring;

	touched().check("io_uring write", [&](char *from, void *to) {
		CHECK_EQ(ring.write(in.get(), from, page_bytes), static_cast<int>(page_bytes),
			 "io_uring write");
		copy_all(read(out.get(), to, page_bytes), "read");
	});
	/* As with any file but one on shmem or hugetlbfs; told once the page is there. */
	touched of_ring;
	page_server server(of_ring.memory, seed);
	CHECK_EQ(ring.register_buffer(of_ring.map.bytes(), page_bytes), -EOPNOTSUPP,
		 "a registered buffer");
}

/* By a vCPU, in both of KVM's ways: it waits itself, or lets a worker do so. */
void touch_by_kvm()
{
	ensure_corbel();
	constexpr uint64_t pages = 3 * pages_of_piece;
	memory_object memory(pages * page_bytes);
	guest_vm vm(2);
	mapped map(memory.fd(), pages * page_bytes, 0, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_32BIT);
	page_server server(memory, seed);

	vm.add_memory(map.bytes(), pages * page_bytes);
	vm.start();
	guest_job job;
	job.kind = job_kind::check_pages;
	job.memory = map.words();
	job.count = pages / 2;
	job.seed = seed;
	vm.start_job(0, job);
	vm.finish_job(0);
	/* The rest is there before it is asked for. */
	memory.install(pages / 2, pages / 2, seed);
	CHECK_EQ(vm.memory(0).wrong_words.load(), 0u, "words that the guest found wrong");
	for (uint64_t page = 0; page < pages / 2; page++)
		CHECK_EQ(map.word(page, words_of_page - 1),
			 ~pattern_word(page, words_of_page - 1, seed),
			 "the guest's write to page {}", page);
	const auto info = memory.info();
	CHECK_EQ(info.requested, pages / 2, "requests");
	comment("{} pages for a vCPU, {} waits", info.installed, info.waits);
}

void keep_what_is_present()
{
	ensure_corbel();
	memory_object memory(8 * page_bytes);
	mapped map(memory.fd(), 8 * page_bytes);

	CHECK_EQ(memory.install(2, 3, seed), 3u, "missing pages");
	map.word(3, 9) = 1;
	CHECK_EQ(memory.install(0, 8, seed + 1), 5u, "of 8 pages, of which 3 are present");
	CHECK_EQ(map.word(3, 9), 1u, "what was written meanwhile");
	CHECK_EQ(memory.install_zeros(3, 1), 0u, "zeros over what is present");
	for (uint64_t page = 0; page < 8; page++)
		for (uint64_t i = 0; i < 9; i++)
			CHECK_EQ(map.word(page, i),
				 pattern_word(page, i, page >= 2 && page < 5 ? seed : seed + 1),
				 "word {} of page {}", i, page);
	CHECK_EQ(memory.info().duplicates, 4u, "duplicates");
	CHECK_EQ(memory.info().requested, 0u, "nobody asked");
}

/* The source ends in the middle: what came before it counts, the rest is as missing as it was. */
void install_from_bad_source()
{
	ensure_corbel();
	memory_object memory(4 * page_bytes);
	mapped map(memory.fd(), 4 * page_bytes);
	auto *source = static_cast<char *>(mmap(nullptr, 4 * page_bytes, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	const page_pattern contents[] = {{0, seed}, {1, seed}, {2, seed}};

	std::memcpy(source, contents, sizeof(contents));
	munmap(source + 2 * page_bytes, 2 * page_bytes);
	/* The third page starts well, so part of it is copied. */
	corbel_memory_install install = {.bytes = 3 * page_bytes,
					 .source = reinterpret_cast<__u64>(source)};
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_INSTALL, install), -EFAULT, "a bad source");
	CHECK_EQ(install.installed, 2u, "pages before it");
	CHECK_EQ(memory.info().present, 2 * page_bytes, "what is present");
	install = {.offset = 2 * page_bytes,
		   .bytes = page_bytes,
		   .source = reinterpret_cast<__u64>(source) + page_bytes + 8};
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_INSTALL, install), -EFAULT, "all but a word");
	CHECK_EQ(memory.install_zeros(2, 1), 1u, "the same page again");
	for (uint64_t i = 0; i < words_of_page; i++)
		CHECK_EQ(map.word(2, i), 0u,
			 "word {} of a page that was given up and came as zeros", i);
	munmap(source, 2 * page_bytes);
}

void tell_requests()
{
	ensure_corbel();
	memory_object memory(64 * page_bytes);
	mapped map(memory.fd(), 64 * page_bytes);
	pollfd waits{memory.fd(), POLLIN, 0};
	uint64_t one;

	CHECK_EQ(poll(&waits, 1, 0), 0, "nothing was asked for");
	CHECK(read(memory.fd(), &one, sizeof(one)) < 0 && errno == EAGAIN, "nothing to read");
	CHECK(read(memory.fd(), &one, 4) < 0 && errno == EINVAL, "half a request");
	std::vector<std::thread> readers;
	for (uint64_t page : {50, 3, 17, 3})
		readers.emplace_back([&map, page] {
			for (uint64_t i = 0; i < words_of_page; i++)
				if (map.word(page, i) != pattern_word(page, i, seed))
					std::abort();
		});
	wait_until("three pages are asked for", [&] { return memory.info().requested == 3; });
	CHECK_EQ(poll(&waits, 1, 0), 1, "there are requests");
	const volatile uintptr_t nowhere = 8;
	CHECK(read(memory.fd(), reinterpret_cast<void *>(nowhere), 8) < 0 && errno == EFAULT,
	      "a bad address");
	auto told = memory.take_requests();
	CHECK_EQ(told.size(), 3u, "requests, also after a read that failed");
	CHECK_EQ(poll(&waits, 1, 0), 0, "all were told");
	memory.install(17, 1, seed);
	memory.requeue();
	told = memory.take_requests();
	CHECK_EQ(told.size(), 2u, "what is still missing is told again");
	CHECK(told[0] == 3 && told[1] == 50, "{} and {}, in the order of their offsets", told[0],
	      told[1]);
	memory.install(0, 64, seed);
	for (std::thread &reader : readers)
		reader.join();
	memory.requeue();
	CHECK(memory.take_requests().empty(), "nothing is missing");
}

/* How a child that runs `touch` ends. */
template <typename Touch>
int end_of(Touch &&touch)
{
	return child_process([&](child_process &) { touch(); }).reap();
}

void fail_for_good()
{
	ensure_corbel();
	memory_object memory(8 * page_bytes);
	unique_fd other = memory.open_node();

	memory.install(1, 1, seed);
	child_process waiter([&](child_process &self) {
		unique_fd node(open(memory.node().c_str(), O_RDWR));
		mapped map(node.get(), 8 * page_bytes);
		self.tell(1);
		map.read(5);
	});
	waiter.hear();
	wait_until("it waits", [&] { return memory.info().waits == 1; });
	memory.fail();
	int status = waiter.reap();
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "who waited ended with {:#x}",
	      status);

	mapped map(memory.fd(), 8 * page_bytes);
	check_page(&map.word(1), 1, "is present still");
	int ends[2];
	CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe: {}", error_name(errno));
	unique_fd out(ends[0]), in(ends[1]);
	CHECK(write(in.get(), map.bytes(2), page_bytes) < 0 && errno == EFAULT, "write(2): {}",
	      error_name(errno));
	CHECK_EQ(memory.info().state, static_cast<__u32>(CORBEL_MEMORY_FAILED), "state");
	pollfd waits{memory.fd(), POLLIN, 0};
	CHECK(poll(&waits, 1, 0) == 1 && waits.revents & POLLHUP, "poll answers {:#x}",
	      waits.revents);
	uint64_t offset;
	while (read(memory.fd(), &offset, sizeof(offset)) == sizeof(offset))
		;
	CHECK_EQ(read(memory.fd(), &offset, sizeof(offset)), 0, "read once it has failed");
	status = end_of([&] {
		unique_fd node(open(memory.node().c_str(), O_RDWR));
		mapped(node.get(), 8 * page_bytes).read(7);
	});
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "a later touch ended with {:#x}",
	      status);
}

void fail_under_kvm()
{
	ensure_corbel();
	memory_object memory(4 * page_bytes);
	guest_vm vm(1);
	mapped map(memory.fd(), 4 * page_bytes, 0, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_32BIT);

	vm.add_memory(map.bytes(), 4 * page_bytes);
	vm.start();
	guest_job job;
	job.kind = job_kind::check_pages;
	job.memory = map.words();
	job.count = 1;
	job.seed = seed;
	vm.start_job(0, job);
	wait_until("the vCPU asks for it", [&] { return memory.info().requested == 1; });
	memory.fail();
	wait_until("KVM_RUN says so",
		   [&] { return vm.at(0).trouble().find("EFAULT") != std::string::npos; });
}

/* Whatever it waits in: a signal that kills does. */
void kill_who_waits()
{
	ensure_corbel();
	static constexpr struct {
		const char *what;
		void (*wait)(char *at);
	} ways[] = {
		{"a touch", [](char *at) { *static_cast<volatile char *>(at) = 1; }},
		{"write(2)",
		 [](char *at) {
			 int ends[2];
			 if (pipe(ends) == 0)
				 (void)!write(ends[1], at, page_bytes);
		 }},
		{"mlock(2)", [](char *at) { (void)mlock(at, page_bytes); }},
		{"process_vm_readv(2)",
		 [](char *at) {
			 char bytes[64];
			 const iovec to{bytes, 64}, from{at, 64};
			 (void)process_vm_readv(getpid(), &to, 1, &from, 1, 0);
		 }},
		{"io_uring",
		 [](char *at) {
			 int ends[2];
			 if (pipe(ends) == 0)
				 (void)io_ring().write(ends[1], at, page_bytes);
		 }},
		{"KVM_RUN",
		 [](char *at) {
			 guest_vm vm(1);
			 guest_job job;
			 vm.add_memory(at, page_bytes);
			 vm.start();
			 job.kind = job_kind::check_pages;
			 job.memory = reinterpret_cast<volatile uint64_t *>(at);
			 job.count = 1;
			 vm.start_job(0, job);
			 vm.finish_job(0);
		 }},
	};

	for (const auto &way : ways) {
		memory_object memory(page_bytes);
		child_process child([&](child_process &) {
			unique_fd node(open(memory.node().c_str(), O_RDWR));
			mapped map(node.get(), page_bytes, 0, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_32BIT);
			way.wait(map.bytes());
		});
		wait_until("it waits", [&] { return memory.info().waits > 0; });
		child.kill(SIGKILL);
		const int status = child.reap();
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "{}: ended with {:#x}",
		      way.what, status);
		/* Its memory is let go of as well, by whoever worked for it. */
		const std::string node = memory.node();
		memory.close();
		wait_until("the object is gone", [&] { return !file_exists(node); });
	}
}

/* A handler runs while its thread waits, and the touch goes on waiting. */
void interrupt_who_waits()
{
	ensure_corbel();
	static std::atomic<unsigned> signals;
	memory_object memory(page_bytes);
	mapped map(memory.fd(), page_bytes);
	struct sigaction action = {};

	action.sa_handler = [](int) { signals++; };
	sigaction(SIGUSR1, &action, nullptr);
	std::atomic<uint64_t> seen{0};
	std::thread reader([&] { seen = map.word(0); });
	for (unsigned i = 1; i <= 3; i++) {
		wait_until("it waits", [&] { return memory.info().waits >= i; });
		pthread_kill(reader.native_handle(), SIGUSR1);
		wait_until("the handler has run", [&] { return signals == i; });
	}
	CHECK_EQ(seen.load(), 0u, "it saw something");
	memory.install(0, 1, seed);
	reader.join();
	CHECK_EQ(seen.load(), pattern_word(0, 0, seed), "what it saw in the end");
}

/* A child does not have the mapping, and a core dump does not wait for it. */
void leave_out_of_children_and_dumps()
{
	ensure_corbel();
	memory_object memory(4 * page_bytes);
	int status = end_of([&] {
		unique_fd node(open(memory.node().c_str(), O_RDWR));
		mapped map(node.get(), 4 * page_bytes);
		const pid_t child = fork();
		int ended = 0;

		if (!child) {
			signal(SIGSEGV, SIG_DFL);
			map.read(0);
			_exit(0);
		}
		waitpid(child, &ended, 0);
		_exit(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGSEGV ? 7 : 8);
	});
	CHECK_EQ(WEXITSTATUS(status), 7, "a child's touch ended with {:#x}", status);
	status = end_of([&] {
		const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
		unique_fd node(open(memory.node().c_str(), O_RDWR));
		mapped map(node.get(), 4 * page_bytes);

		setrlimit(RLIMIT_CORE, &all);
		if (chdir("/tmp"))
			_exit(1);
		std::abort();
	});
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "ended with {:#x}", status);
	CHECK_EQ(memory.info().requested, 0u, "neither asked for anything");
	if (!WCOREDUMP(status))
		comment("this host writes no core dumps");
	std::system("rm -f /tmp/core /tmp/core.*");
}

/* Many touch, several install the same pages at once: each page comes once, whole. */
void race()
{
	ensure_corbel();
	const uint64_t pages = amount(8, 64) * pages_of_piece;
	const unsigned rounds = static_cast<unsigned>(amount(4, 40));

	for (unsigned round = 0; round < rounds; round++) {
		memory_object memory(pages * page_bytes,
				     CORBEL_MEMORY_MISSING | (round % 2 ? CORBEL_MEMORY_SMALL : 0));
		mapped map(memory.fd(), pages * page_bytes);
		std::atomic<uint64_t> wrong{0}, installed{0};
		std::vector<std::thread> threads;

		{
			page_server server(memory, seed);
			for (unsigned t = 0; t < 3; t++)
				threads.emplace_back([&, t] {
					std::mt19937_64 random(round * 8 + t);
					for (uint64_t i = 0; i < pages; i++) {
						const uint64_t page = random() % pages,
							       at = random() % 512;
						wrong += map.word(page, at) !=
							 pattern_word(page, at, seed);
					}
				});
			for (unsigned t = 0; t < 2; t++)
				threads.emplace_back([&] {
					for (uint64_t page = 0; page < pages; page += 16)
						installed += memory.install(page, 16, seed);
				});
			for (std::thread &thread : threads)
				thread.join();
			installed += server.served();
		}
		const auto info = memory.info();
		CHECK_EQ(wrong.load(), 0u, "words that were wrong");
		CHECK_EQ(info.installed, pages, "pages installed");
		CHECK_EQ(info.present, pages * page_bytes, "present");
		CHECK_EQ(info.waiting, 0u, "waiting");
		for (uint64_t page = 0; page < pages; page++)
			check_page(&map.word(page), page, "after the race");
		comment("round {}: {} pages, {} asked for, {} duplicates, {} waits, {} whole pieces",
			round, pages, info.requested, info.duplicates, info.waits, info.piece_maps);
	}
}

/* Page by page, beside a set that is kept here. */
void tell_what_is_missing()
{
	ensure_corbel();
	memory_object memory(2 * piece_bytes + 131 * page_bytes);
	page_set expected(memory.pages());
	std::mt19937 random(1);
	corbel_memory_absent absent = {};

	for (uint64_t page = 0; page < memory.pages(); page++)
		expected.add(page);
	CHECK(memory.absent() == expected, "all are missing at first");
	for (int i = 0; i < 500; i++) {
		const uint64_t page = random() % memory.pages();

		memory.install_zeros(page, 1);
		expected.words[page / 64] &= ~(uint64_t{1} << page % 64);
	}
	CHECK(memory.absent() == expected, "those that did not come are missing");
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_ABSENT, absent), 0, "without a bitmap");
	CHECK_EQ(absent.pages, expected.count(), "pages");
	absent.bitmap = 8;
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_ABSENT, absent), -EFAULT, "a bad address");
	memory.fail();
	CHECK(memory.absent() == expected, "and stay so when it has failed");
	memory_object whole(3 * page_bytes, 0);
	CHECK_EQ(whole.absent().count(), 0u, "of what is all there");
}

constexpr test_case cases[] = {
	{"a touch waits for its page", touch_by_user},
	{"system calls wait", touch_by_write},
	{"read(2) into part of a page waits", touch_by_read},
	{"other ways into a process wait", touch_by_another_process},
	{"mlock and madvise wait", touch_by_advice},
	{"direct I/O waits", touch_by_direct_io},
	{"io_uring waits", touch_by_io_uring},
	{"a vCPU waits", touch_by_kvm},
	{"what is present is never written over", keep_what_is_present},
	{"a source that cannot be read", install_from_bad_source},
	{"requests are told once, and again if asked", tell_requests},
	{"what fails says so", fail_for_good},
	{"what fails says so to KVM", fail_under_kvm},
	{"who waits can be killed", kill_who_waits},
	{"who waits can be interrupted", interrupt_who_waits},
	{"children and core dumps are without it", leave_out_of_children_and_dumps},
	{"which pages are missing", tell_what_is_missing},
	{"many at once", race},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
