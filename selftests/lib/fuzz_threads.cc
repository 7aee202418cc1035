// SPDX-License-Identifier: GPL-2.0-or-later
/* What the fuzzer's workers are disturbed by. */
#include "fuzz_worker.hh"

#include <cstring>
#include <sys/mman.h>

namespace corbel::selftest {

namespace {

constexpr size_t page_size = 4096;
constexpr size_t most_pages = 8;
constexpr unsigned nr_victims = 2;

} // namespace

fuzz_statistics &fuzz_statistics::operator+=(const fuzz_statistics &other)
{
	operations += other.operations;
	ioctls += other.ioctls;
	kills += other.kills;
	for (const auto &[name, counts] : other.answers)
		for (const auto &[error, count] : counts)
			answers[name][error] += count;
	return *this;
}

victims::victims(uint64_t seed) : random(seed + 77)
{
	for (unsigned i = 0; i < nr_victims; i++)
		processes.push_back(std::make_unique<vm_process>(1 + i));
}

unique_fd victims::take_vm_fd(unsigned dice)
{
	std::lock_guard guard(lock);

	/* It may have closed its VM the moment before. */
	try {
		return processes[dice % processes.size()]->vm_fd();
	} catch (const failure &) {
		return unique_fd();
	}
}

void victims::replace_one()
{
	std::unique_ptr<vm_process> fresh;
	unsigned index = random() % nr_victims;

	std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));
	if (random() % 3 == 0) {
		std::lock_guard guard(lock);

		processes[index]->close_vm();
	}
	fresh = std::make_unique<vm_process>(1 + random() % 2);
	std::lock_guard guard(lock);
	processes[index]->kill();
	processes[index] = std::move(fresh);
	kills++;
}

scribbler::scribbler(uint64_t seed) : random(seed + 99)
{
	page = static_cast<char *>(mmap(nullptr, page_size, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	CHECK(page != MAP_FAILED, "mmap: {}", error_name(errno));
	thread = std::thread([this] { loop(); });
}

scribbler::~scribbler()
{
	stopping = true;
	thread.join();
	for (void *one : pages)
		munmap(one, page_size);
	munmap(page, page_size);
}

void scribbler::adopt(void *control_page)
{
	std::lock_guard guard(lock);

	if (pages.size() >= most_pages) {
		munmap(pages.front(), page_size);
		pages.erase(pages.begin());
	}
	pages.push_back(control_page);
}

void scribbler::loop()
{
	while (!stopping) {
		{
			std::lock_guard guard(lock);

			for (void *one : pages) {
				auto *words = static_cast<volatile uint64_t *>(one);
				uint64_t value = random();

				words[0] = value & 1 ? value : value % 65536;
				words[random() % (page_size / 8)] = value;
			}
		}
		/* Sizes and flags above all: those are read, then relied on. */
		auto *words = reinterpret_cast<volatile uint32_t *>(page);
		for (unsigned n = 0; n < 64; n++)
			words[random() % 8] = random() % 4 ? static_cast<uint32_t>(random() % 512)
							   : static_cast<uint32_t>(random());
		std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
	}
}

} // namespace corbel::selftest
