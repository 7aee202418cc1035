/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * container - processes that look at their own memory: what tests of moving containers move.
 *
 *   container FILE MIB PROCESSES
 *
 * The first one fills MIB of private memory and makes the others, which share it copy-on-write.
 * Then each goes through its pages in an order of its own: compares one with what it has to
 * hold, writes it anew with the next generation. Each thousandth step it gives back some pages
 * (MADV_DONTNEED), which have to be zero then, moves a part (mremap), and makes a process that
 * looks at a few pages and ends. Shared memory between all of them is counted up.
 *
 * FILE has 64 bytes for each process: "steps N wrong N\n", padded, written over at each 64 steps.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr std::size_t page_size = 4096, words = page_size / sizeof(std::uint64_t);
constexpr std::size_t record = 64;

std::uint64_t word_of(std::uint64_t page, std::uint64_t generation, std::size_t at)
{
	const std::uint64_t mixed = (page << 20 ^ generation << 8 ^ at) * 0x9e3779b97f4a7c15ULL;

	return generation ? mixed | 1 : 0;
}

class Memory {
public:
	explicit Memory(std::size_t pages)
		: pages_(pages),
		  bytes_(static_cast<std::uint64_t *>(map(pages * page_size))),
		  generations_(static_cast<std::uint32_t *>(map(pages * sizeof(std::uint32_t))))
	{
		for (std::size_t page = 0; page < pages; page++)
			write(page, 1);
	}

	/* False: it holds something else. */
	[[nodiscard]] bool is_right(std::size_t page) const
	{
		const std::uint64_t *at = bytes_ + page * words;

		for (std::size_t i = 0; i < words; i += 8)
			if (at[i] != word_of(page, generations_[page], i))
				return false;
		return true;
	}

	void write(std::size_t page, std::uint32_t generation)
	{
		std::uint64_t *at = bytes_ + page * words;

		generations_[page] = generation;
		for (std::size_t i = 0; i < words; i++)
			at[i] = word_of(page, generation, i);
	}

	void renew(std::size_t page) { write(page, generations_[page] + 1); }

	void give_back(std::size_t page)
	{
		::madvise(bytes_ + page * words, page_size, MADV_DONTNEED);
		generations_[page] = 0;
	}

	/* All of it, to where it was not; the kernel moves what it has. */
	void move()
	{
		void *to = ::mmap(nullptr, pages_ * page_size, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		void *at = ::mremap(bytes_, pages_ * page_size, pages_ * page_size,
				    MREMAP_MAYMOVE | MREMAP_FIXED, to);

		if (at == MAP_FAILED)
			std::abort();
		bytes_ = static_cast<std::uint64_t *>(at);
	}

	[[nodiscard]] std::size_t pages() const { return pages_; }

private:
	static void *map(std::size_t size)
	{
		void *at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED)
			std::abort();
		return at;
	}

	std::size_t pages_;
	std::uint64_t *bytes_;
	std::uint32_t *generations_;
};

/* A process that lives for a moment: it has what its parent has, whatever is missing. */
bool child_is_right(const Memory &memory, std::size_t from)
{
	const auto child = ::fork();
	int status = 0;

	if (child == 0) {
		bool right = true;

		for (std::size_t i = 0; i < 16; i++)
			right = right && memory.is_right((from + i * 37) % memory.pages());
		::_exit(right ? 0 : 1);
	}
	return child < 0 || (::waitpid(child, &status, 0) == child && status == 0);
}

[[noreturn]] void work(Memory &memory, int file, std::size_t number, std::uint64_t *shared)
{
	std::uint64_t wrong = 0;
	std::size_t page = number * 7919;

	for (std::uint64_t steps = 1;; steps++) {
		page = (page + 2 * 3571) % memory.pages();
		/* Each is met, whatever their number. */
		if (steps % memory.pages() == 0)
			page = (page + 1) % memory.pages();
		if (!memory.is_right(page))
			wrong++;
		memory.renew(page);
		/* Others want to run too. */
		::usleep(200);
		if (steps % 1000 == 0) {
			memory.give_back((page + 1) % memory.pages());
			if (!child_is_right(memory, page))
				wrong++;
			if (steps % 5000 == 0)
				memory.move();
		}
		if (steps % 64 == 0) {
			char line[record + 1];

			__atomic_fetch_add(shared, 1, __ATOMIC_RELAXED);
			std::memset(line, ' ', sizeof(line));
			const int size = std::snprintf(line, sizeof(line), "steps %llu wrong %llu",
						       static_cast<unsigned long long>(steps),
						       static_cast<unsigned long long>(wrong));
			line[size] = ' ';
			line[record - 1] = '\n';
			if (::pwrite(file, line, record, static_cast<off_t>(number * record)) !=
			    record)
				::_exit(1);
		}
	}
}

} /* namespace */

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	/* What a container is: processes whose session is their own. */
	(void)::setsid();
	const std::size_t pages = std::strtoul(argv[2], nullptr, 10) << 8;
	const std::size_t processes = std::strtoul(argv[3], nullptr, 10);
	const int file = ::open(argv[1], O_RDWR | O_CREAT, 0600);
	void *shared = ::mmap(nullptr, page_size * 16, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (file < 0 || shared == MAP_FAILED || pages == 0 ||
	    ::ftruncate(file, static_cast<off_t>(processes * record)) != 0)
		return 1;
	Memory memory(pages);
	for (std::size_t number = 1; number < processes; number++)
		if (::fork() == 0)
			work(memory, file, number, static_cast<std::uint64_t *>(shared));
	work(memory, file, 0, static_cast<std::uint64_t *>(shared));
}
