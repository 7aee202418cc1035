// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sealing: nobody writes to a sealed object, in whatever way, until the seal is taken off;
 * who waits for that can be killed, and is told when the object fails.
 */
#include "disk.hh"
#include "memory_object.hh"
#include "module.hh"
#include "process.hh"
#include "uring.hh"
#include "wait.hh"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

using namespace corbel::selftest;

namespace {

constexpr uint64_t pages_of_piece = piece_bytes / page_bytes;

void seal_on_and_off()
{
	ensure_corbel();
	memory_object memory(4 * page_bytes);
	mapped map(memory.fd(), 4 * page_bytes);
	corbel_memory_join join = {};

	CHECK_EQ(try_seal(memory.fd(), false), -EALREADY, "it is not sealed");
	memory.install(0, 3, 1);
	CHECK_EQ(try_seal(memory.fd(), true), -EBUSY, "a page is missing");
	memory.install(3, 1, 1);
	memory.seal();
	CHECK_EQ(memory.info().sealed, 1u, "info");
	CHECK_EQ(try_seal(memory.fd(), true), -EALREADY, "it is sealed");
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_JOIN, join), -EBUSY, "joining what is sealed");
	mapped later(memory.fd(), 4 * page_bytes);
	for (uint64_t page = 0; page < 4; page++)
		CHECK_EQ(map.read(page, 7) + later.read(page, 7), 2 * pattern_word(page, 7, 1),
			 "page {} can be read", page);
	CHECK_EQ(memory.info().held, 0u, "nobody wrote");
	memory.track();
	CHECK_EQ(memory.dirty().count(), 4u, "tracked while sealed");
	CHECK_EQ(memory.dirty().count(), 0u, "tracked while sealed");
	memory.seal(false);
	CHECK_EQ(memory.info().sealed, 0u, "info");
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_JOIN, join), -EBUSY, "joining what is tracked");
	map.word(2) = 1;
	CHECK(memory.dirty().has(2), "tracked once it is not sealed");
	memory.track(false);
	map.word(2) = 2;
	CHECK_EQ(later.word(2), 2u, "neither");
}

struct aligned_page {
	alignas(page_bytes) char bytes[page_bytes];
};

/* Ways to write 0x2a to all of a page; what they have to be made with is made beforehand. */
class writer {
public:
	virtual ~writer() = default;
	/* False: it failed. */
	virtual bool write(char *to) = 0;
};

struct by_touch : writer {
	bool write(char *to) override
	{
		std::memset(to, 0x2a, page_bytes);
		return true;
	}
};

struct by_read : writer {
	aligned_page bounce;
	int ends[2];

	by_read()
	{
		std::memset(bounce.bytes, 0x2a, page_bytes);
		CHECK(pipe2(ends, O_CLOEXEC) == 0 &&
			      ::write(ends[1], bounce.bytes, page_bytes) == page_bytes,
		      "pipe: {}", error_name(errno));
	}
	~by_read() override
	{
		close(ends[0]);
		close(ends[1]);
	}
	bool write(char *to) override { return read(ends[0], to, page_bytes) == page_bytes; }
};

struct by_ring : by_read {
	io_ring ring;

	bool write(char *to) override { return ring.read(ends[0], to, page_bytes) == page_bytes; }
};

struct by_vm_write : by_read {
	bool write(char *to) override
	{
		const iovec local{bounce.bytes, page_bytes}, remote{to, page_bytes};

		return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == page_bytes;
	}
};

struct by_proc : by_read {
	unique_fd self{open("/proc/self/mem", O_RDWR | O_CLOEXEC)};

	bool write(char *to) override
	{
		return pwrite(self.get(), bounce.bytes, page_bytes, reinterpret_cast<off_t>(to)) ==
		       page_bytes;
	}
};

struct by_disk : by_read {
	ram_disk disk;

	by_disk()
	{
		CHECK(pwrite(disk.get(), bounce.bytes, page_bytes, 0) == page_bytes, "pwrite: {}",
		      error_name(errno));
	}
	bool write(char *to) override { return pread(disk.get(), to, page_bytes, 0) == page_bytes; }
};

struct by_populate : writer {
	bool write(char *to) override
	{
		return madvise(to, page_bytes, MADV_POPULATE_WRITE) == 0 && by_touch().write(to);
	}
};

template <typename Writer>
std::unique_ptr<writer> make()
{
	return std::make_unique<Writer>();
}

struct way {
	const char *what;
	std::unique_ptr<writer> (*make)();
};

constexpr way ways[] = {
	{"a touch", make<by_touch>},
	{"read(2)", make<by_read>},
	{"io_uring", make<by_ring>},
	{"process_vm_writev(2)", make<by_vm_write>},
	{"/proc/self/mem", make<by_proc>},
	{"O_DIRECT", make<by_disk>},
	{"MADV_POPULATE_WRITE", make<by_populate>},
};

/* Every way, from every state that the page can be mapped in. */
void hold_writers()
{
	ensure_corbel();
	for (const way &way : ways) {
		for (unsigned variant = 0; variant < 4; variant++) {
			const auto writer = way.make();
			memory_object memory(piece_bytes, variant & 1 ? CORBEL_MEMORY_SMALL : 0);
			mapped map(memory.fd(), piece_bytes);
			std::atomic<int> done{0};

			map.word(9) = 1;
			map.word(10) = 1;
			if (variant & 2)
				memory.track();
			memory.seal();
			/* Mapped read-only, or not at all. */
			if (variant & 1)
				map.read(9);
			std::thread thread([&] { done = writer->write(map.bytes(9)) ? 1 : -1; });
			wait_until("it is held", [&] { return memory.info().held > 0; });
			for (unsigned i = 0; i < 20; i++) {
				/* A reader beside it does not let it through. */
				CHECK_EQ(map.read(9), 1u, "{}: what it holds", way.what);
				CHECK_EQ(map.read(9, 511), 0u, "{}: what it holds", way.what);
			}
			CHECK_EQ(done.load(), 0, "{} came through", way.what);
			memory.seal(false);
			thread.join();
			CHECK_EQ(done.load(), 1, "{}, once it may", way.what);
			CHECK_EQ(map.word(9, 511), 0x2a2a2a2a2a2a2a2au, "{}: what it wrote",
				 way.what);
			CHECK_EQ(map.word(10), 1u, "{}: beside it", way.what);
		}
		comment("{} was held and went on", way.what);
	}
}

/* How a child that writes to page 3 of its mapping of `memory` ends. */
class held_child {
public:
	held_child(const memory_object &memory, const way &way)
		: child([&memory, &way](child_process &) {
			  const auto writer = way.make();
			  unique_fd node(open(memory.node().c_str(), O_RDWR));
			  mapped map(node.get(), memory.pages() * page_bytes);

			  map.read(3);
			  _exit(writer->write(map.bytes(3)) ? 7 : 8);
		  })
	{
		wait_until("it is held", [&] { return memory.info().held > 0; });
	}
	void kill() { child.kill(SIGKILL); }
	int end() { return child.reap(); }

private:
	child_process child;
};

void kill_who_is_held()
{
	ensure_corbel();
	for (const way &way : ways) {
		memory_object memory(8 * page_bytes, 0);
		memory.seal();
		held_child child(memory, way);
		child.kill();
		const int status = child.end();
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "{}: ended with {:#x}",
		      way.what, status);
		CHECK_EQ(mapped(memory.fd(), 8 * page_bytes).read(3), 0u, "{}: contents", way.what);
	}
	/* A killed one may have left a disk behind. */
	(void)!std::system("rmmod brd 2>/dev/null");
}

void fail_who_is_held()
{
	ensure_corbel();
	for (const way &way : ways) {
		memory_object memory(8 * page_bytes, 0);
		memory.seal();
		held_child child(memory, way);
		memory.fail();
		const int status = child.end();
		CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) ||
			      (WIFEXITED(status) && WEXITSTATUS(status) == 8),
		      "{}: ended with {:#x}", way.what, status);
		mapped map(memory.fd(), 8 * page_bytes);
		CHECK_EQ(map.read(3), 0u, "{}: contents", way.what);
		memory.seal(false);
		map.word(3) = 5;
	}
}

guest_job pages_job(job_kind kind, const mapped &map, uint64_t count)
{
	guest_job job;

	job.kind = kind;
	job.memory = map.words();
	job.count = count;
	return job;
}

/* A vCPU that has all of it mapped, 2 MiB at a time, or in pages that it may write to. */
void hold_kvm()
{
	ensure_corbel();
	constexpr uint64_t pages = 2 * pages_of_piece;

	for (bool tracked : {false, true}) {
		memory_object memory(pages * page_bytes, 0);
		guest_vm vm(1);
		mapped map(memory.fd(), pages * page_bytes, 0, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_32BIT);
		vm.add_memory(map.bytes(), pages * page_bytes);
		vm.start();
		if (tracked)
			memory.track();
		vm.start_job(0, pages_job(job_kind::write_pages, map, pages));
		vm.finish_job(0);
		memory.seal();
		vm.start_job(0, pages_job(job_kind::read_pages, map, pages));
		vm.finish_job(0);
		CHECK_EQ(memory.info().held, 0u, "a vCPU that reads");
		vm.start_job(0, pages_job(job_kind::write_pages, map, pages));
		wait_until("it is held", [&] { return memory.info().held > 0; });
		for (uint64_t page = 0; page < pages; page++)
			CHECK_EQ(map.read(page), 1u, "page {} while it is held", page);
		CHECK(!vm.job_finished(0), "it came through");
		memory.seal(false);
		vm.finish_job(0);
		for (uint64_t page = 0; page < pages; page++)
			CHECK_EQ(map.read(page), 2u, "page {} once it went on", page);
		memory.seal();
		vm.start_job(0, pages_job(job_kind::write_pages, map, pages));
		wait_until("it is held again", [&] { return memory.info().held > 1; });
		memory.fail();
		wait_until("KVM_RUN says so",
			   [&] { return vm.at(0).trouble().find("EFAULT") != std::string::npos; });
		CHECK_EQ(mapped(memory.fd(), page_bytes).read(0), 2u, "contents");
	}
}

void kill_kvm()
{
	ensure_corbel();
	memory_object memory(8 * page_bytes, 0);
	memory.seal();
	child_process child([&](child_process &) {
		unique_fd node(open(memory.node().c_str(), O_RDWR));
		mapped map(node.get(), 8 * page_bytes, 0, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_32BIT);
		guest_vm vm(1);

		vm.add_memory(map.bytes(), 8 * page_bytes);
		vm.start();
		vm.start_job(0, pages_job(job_kind::write_pages, map, 8));
		vm.finish_job(0);
	});
	wait_until("it is held", [&] { return memory.info().held > 0; });
	child.kill(SIGKILL);
	const int status = child.reap();
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "ended with {:#x}", status);
}

/* A handler runs while a thread is held, and then it is held on. */
void interrupt_who_is_held()
{
	ensure_corbel();
	static std::atomic<unsigned> signals;
	memory_object memory(page_bytes, 0);
	mapped map(memory.fd(), page_bytes);
	struct sigaction action = {};

	action.sa_handler = [](int) { signals++; };
	sigaction(SIGUSR1, &action, nullptr);
	memory.seal();
	std::thread thread([&] { map.word(0) = 1; });
	for (unsigned i = 1; i <= 3; i++) {
		wait_until("it is held", [&] { return memory.info().held >= i; });
		pthread_kill(thread.native_handle(), SIGUSR1);
		wait_until("the handler has run", [&] { return signals == i; });
	}
	CHECK_EQ(map.read(0), 0u, "it came through");
	memory.seal(false);
	thread.join();
	CHECK_EQ(map.read(0), 1u, "once it may");
}

/*
 * Mappings come and go, and are written to, while it is tracked and sealed and is so no
 * more: what is sealed does not change, and what has changed since it was collected is told.
 */
void race()
{
	ensure_corbel();
	constexpr uint64_t pages = 2 * pages_of_piece;
	const unsigned rounds = static_cast<unsigned>(amount(60, 1000));
	memory_object memory(pages * page_bytes, 0);
	mapped map(memory.fd(), pages * page_bytes);
	std::atomic<bool> over{false};
	std::atomic<uint64_t> mappings{0}, writes{0};
	std::vector<std::thread> threads;
	auto contents = [&] {
		const auto *words = const_cast<const uint64_t *>(map.words());
		return std::vector<uint64_t>(words, words + pages * words_of_page);
	};

	for (unsigned t = 0; t < 3; t++)
		threads.emplace_back([&, t] {
			std::mt19937_64 random(t);

			while (!over) {
				const uint64_t first = random() % 2 * pages_of_piece / (1 + t % 2);
				mapped own(memory.fd(), piece_bytes, first * page_bytes);
				const uint64_t writes_now = 1 + random() % 200;

				for (uint64_t i = 0; i < writes_now && !over; i++) {
					own.word(random() % pages_of_piece,
						 random() % words_of_page) = random();
					writes++;
				}
				mappings++;
			}
		});
	uint64_t told = 0;
	for (unsigned round = 0; round < rounds; round++) {
		/* Sealed from being left alone, or from being tracked. */
		const bool tracked = round % 3;
		std::vector<uint64_t> copy;
		page_set changed(pages);

		if (tracked) {
			memory.track();
			memory.dirty();
			copy = contents();
			const uint64_t enough = writes + 50;
			wait_until("there are writes", [&] { return writes > enough; });
		}
		memory.seal();
		const auto sealed = contents();
		if (tracked) {
			changed = memory.dirty();
			told += changed.count();
			for (uint64_t i = 0; i < sealed.size(); i++)
				CHECK(sealed[i] == copy[i] || changed.has(i / words_of_page),
				      "round {}: page {} has changed and is not told", round,
				      i / words_of_page);
			CHECK_EQ(memory.dirty().count(), 0u, "round {}: told of a sealed object",
				 round);
		}
		const uint64_t held = memory.info().held + 1;
		wait_until("somebody is held",
			   [&] { return memory.info().held >= held || held > 3; });
		CHECK(contents() == sealed, "round {}: a sealed object has changed", round);
		if (tracked && round % 2)
			memory.track(false);
		memory.seal(false);
		if (tracked && round % 2 == 0)
			memory.track(false);
	}
	over = true;
	for (std::thread &thread : threads)
		thread.join();
	comment("{} rounds, {} mappings, {} writes, {} pages told, held {} times", rounds,
		mappings.load(), writes.load(), told, memory.info().held);
}

constexpr test_case cases[] = {
	{"the seal is put on and taken off", seal_on_and_off},
	{"writers are held", hold_writers},
	{"who is held can be killed", kill_who_is_held},
	{"who is held is told of a failure", fail_who_is_held},
	{"a vCPU is held", hold_kvm},
	{"a vCPU that is held can be killed", kill_kvm},
	{"who is held can be interrupted", interrupt_who_is_held},
	{"mappings come and go meanwhile", race},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
