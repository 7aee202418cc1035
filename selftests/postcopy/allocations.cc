// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is allocated for the guest's memory while it comes: nothing by a pager, beside
 * userfaultfd, which takes a page for each page. Counted by the kernel's own tracepoint.
 */
#include "module.hh"
#include "transfer.hh"
#include "wait.hh"

#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

using namespace corbel::selftest;

namespace {

constexpr uint64_t seed = 0xa110c;
constexpr uint64_t pages = 2048;

/* Allocations of user memory (__GFP_HIGHMEM) while it lives. */
class allocation_trace {
public:
	allocation_trace()
	{
		if (!file_exists(root + "trace"))
			skip("no tracefs at {}", root);
		write(event + "filter", "gfp_flags & 0x2");
		write("buffer_size_kb", "4096");
		write("trace", "");
		write(event + "enable", "1");
	}
	~allocation_trace()
	{
		write(event + "enable", "0");
		write(event + "filter", "0");
	}
	/* Those by threads whose names begin with one of these. */
	static unsigned count(std::initializer_list<std::string_view> names)
	{
		std::ifstream trace(root + "trace");
		unsigned found = 0;

		for (std::string line; std::getline(trace, line);) {
			const auto begin = line.find_first_not_of(' ');

			if (line.find("mm_page_alloc:") == line.npos)
				continue;
			for (const std::string_view name : names)
				found += line.compare(begin, name.size(), name) == 0;
		}
		return found;
	}

private:
	static void write(const std::string &file, const std::string &text)
	{
		std::ofstream(root + file, std::ios::trunc) << text << std::flush;
	}
	static inline const std::string root = "/sys/kernel/tracing/",
					event = "events/kmem/mm_page_alloc/";
};

/* Touches all pages once it may; all it needs for that is there before. */
class toucher {
public:
	explicit toucher(volatile char *memory) : thread([this, memory] { touch(memory); })
	{
		wait_until("it is ready", [&] { return ready.load(); });
	}
	~toucher() { join(); }
	void go() { going = true; }
	void join()
	{
		go();
		if (thread.joinable())
			thread.join();
	}

private:
	void touch(volatile char *memory)
	{
		prctl(PR_SET_NAME, "toucher");
		ready = true;
		while (!going)
			sched_yield();
		for (uint64_t page = 0; page < pages; page++)
			memory[page * page_bytes + 8] = 1;
	}

	std::atomic<bool> ready{false}, going{false};
	std::thread thread;
};

unsigned by_pager(bool tls)
{
	memory_object source(pages * page_bytes, 0), target(pages * page_bytes);
	fill_pattern(source, seed, 4);
	seal(source);
	const mapped map(target.fd(), pages * page_bytes);
	transfer moved(source, target, {.tls = tls});
	toucher user(map.bytes());
	const allocation_trace trace;

	user.go();
	moved.go();
	user.join();
	moved.finish();
	return allocation_trace::count({"toucher", "corbel-", "kworker", "ksoftirqd"});
}

unsigned by_userfaultfd()
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
	std::thread handler([&] {
		static char contents[page_bytes];
		uffd_msg message;

		prctl(PR_SET_NAME, "handler");
		for (uint64_t done = 0; done < pages; done++) {
			if (read(faults.get(), &message, sizeof(message)) != sizeof(message))
				break;
			uffdio_copy copy = {.dst = message.arg.pagefault.address &
						   ~(page_bytes - 1),
					    .src = reinterpret_cast<__u64>(contents),
					    .len = page_bytes};
			ioctl(faults.get(), UFFDIO_COPY, &copy);
		}
	});
	unsigned count = 0;
	{
		toucher user(memory);
		const allocation_trace trace;

		user.join();
		handler.join();
		count = allocation_trace::count({"toucher", "handler"});
	}
	munmap(memory, pages * page_bytes);
	return count;
}

void count_allocations()
{
	ensure_corbel();
	const unsigned peer = by_userfaultfd(), plain = by_pager(false), tls = by_pager(true);

	comment("{} pages: {} allocated by a pager, {} over TLS, {} by userfaultfd", pages, plain,
		tls, peer);
	CHECK(peer >= pages, "the tracepoint misses what userfaultfd takes: {}", peer);
	CHECK_EQ(plain, 0u, "pages allocated for guest memory");
	CHECK_EQ(tls, 0u, "pages allocated for guest memory over TLS");
}

constexpr test_case cases[] = {
	{"no guest memory is allocated while it comes", count_allocations},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
