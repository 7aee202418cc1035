/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory objects of corbel_postcopy, and one that serves what is missing.
 */
#pragma once

#include "device.hh"
#include "pattern.hh"

#include <corbel/memory.h>

#include <atomic>
#include <functional>
#include <sys/mman.h>
#include <thread>

namespace corbel::selftest {

inline constexpr uint64_t page_bytes = CORBEL_MEMORY_PAGE;
inline constexpr uint64_t piece_bytes = CORBEL_MEMORY_PIECE;

/* A mapping that goes with it. */
class mapped {
public:
	mapped(int fd, uint64_t bytes, uint64_t offset = 0, int protection = PROT_READ | PROT_WRITE,
	       int flags = MAP_SHARED);
	~mapped();
	mapped(const mapped &) = delete;

	volatile uint64_t *words() const { return static_cast<volatile uint64_t *>(place); }
	volatile uint64_t &word(uint64_t page, uint64_t index = 0) const
	{
		return words()[page * (page_bytes / sizeof(uint64_t)) + index];
	}
	uint64_t read(uint64_t page, uint64_t index = 0) const { return word(page, index); }
	char *bytes(uint64_t page = 0) const
	{
		return static_cast<char *>(place) + page * page_bytes;
	}

private:
	void *place;
	uint64_t length;
};

/* A bit for each page. */
struct page_set {
	std::vector<uint64_t> words;

	explicit page_set(uint64_t pages) : words((pages + 63) / 64) {}
	bool has(uint64_t page) const { return words[page / 64] >> (page % 64) & 1; }
	void add(uint64_t page) { words[page / 64] |= uint64_t{1} << (page % 64); }
	uint64_t count() const;
	std::vector<uint64_t> pages() const;
	bool operator==(const page_set &) const = default;
};

class memory_object {
public:
	/* Fails the case if it is refused. */
	explicit memory_object(uint64_t bytes, unsigned flags = CORBEL_MEMORY_MISSING);

	int fd() const { return descriptor.get(); }
	unsigned number() const { return created.number; }
	std::string node() const;
	unique_fd open_node() const;
	uint64_t pages() const { return created.bytes / page_bytes; }
	void close() { descriptor.reset(); }

	corbel_memory_info info() const;
	/* The pages of a pattern; answers how many became present by it. */
	uint64_t install(uint64_t page, uint64_t count, uint64_t seed) const;
	uint64_t install_zeros(uint64_t page, uint64_t count) const;
	void fail() const;
	void requeue() const;
	void track(bool on = true) const;
	/* Pages written since it was tracked, or this was last asked without KEEP. */
	page_set dirty(unsigned flags = 0) const;
	/* Pages that are missing. */
	page_set absent() const;
	void seal(bool on = true) const;
	/* Of struct corbel_memory_prepare and _join. */
	uint64_t prepare() const;
	uint64_t join() const;
	/* Pages asked for since the last call, without waiting. */
	std::vector<uint64_t> take_requests() const;

private:
	corbel_memory_create created{};
	unique_fd descriptor;
};

/* 0 or a negative error number. */
int try_track(int fd, bool on);
int try_seal(int fd, bool on);

/* In bytes, what the mapping at `place` of this process has in whole pieces. */
uint64_t mapped_whole(const void *place);

/* Answers 0, a descriptor or a negative error number. */
int create_memory(corbel_memory_create &request);

/* A thread that installs what is asked for, after what `before` does. */
class page_server {
public:
	using hook = std::function<void(uint64_t page)>;

	page_server(const memory_object &memory, uint64_t seed, hook before = [](uint64_t) {});
	~page_server();
	page_server(const page_server &) = delete;

	uint64_t served() const { return count; }

private:
	void serve();

	const memory_object &memory;
	const uint64_t seed;
	const hook before;
	std::atomic<uint64_t> count{0};
	unique_fd ended;
	std::thread thread;
};

} // namespace corbel::selftest
