// SPDX-License-Identifier: GPL-2.0-or-later
#include "memory_object.hh"
#include "module.hh"
#include "wait.hh"

#include <bit>
#include <fcntl.h>
#include <poll.h>
#include <sstream>
#include <sys/eventfd.h>
#include <sys/mman.h>

namespace corbel::selftest {

mapped::mapped(int fd, uint64_t bytes, uint64_t offset, int protection, int flags)
	: place(mmap(nullptr, bytes, protection, flags, fd, static_cast<off_t>(offset))),
	  length(bytes)
{
	CHECK(place != MAP_FAILED, "mapping {} bytes: {}", bytes, error_name(errno));
}

mapped::~mapped()
{
	munmap(place, length);
}

int create_memory(corbel_memory_create &request)
{
	const unique_fd device = connect_device();

	return selftest::request(device.get(), CORBEL_MEMORY_CREATE, request);
}

memory_object::memory_object(uint64_t bytes, unsigned flags)
{
	created.bytes = bytes;
	created.flags = flags;
	const int fd = create_memory(created);

	CHECK(fd >= 0, "an object of {} bytes, flags {:#x}: {}", bytes, flags, error_name(fd));
	descriptor.reset(fd);
}

std::string memory_object::node() const
{
	return CORBEL_MEMORY_NODE + std::to_string(number());
}

unique_fd memory_object::open_node() const
{
	/* devtmpfs makes it at once. */
	unique_fd other(open(node().c_str(), O_RDWR | O_CLOEXEC));

	CHECK(other, "{}: {}", node(), error_name(errno));
	return other;
}

corbel_memory_info memory_object::info() const
{
	corbel_memory_info info = {};

	CHECK_EQ(request(fd(), CORBEL_MEMORY_INFO, info), 0, "CORBEL_MEMORY_INFO");
	return info;
}

uint64_t memory_object::install(uint64_t page, uint64_t count, uint64_t seed) const
{
	std::vector<page_pattern> contents;
	corbel_memory_install install = {};

	for (uint64_t i = 0; i < count; i++)
		contents.emplace_back(page + i, seed);
	install.offset = page * page_bytes;
	install.bytes = count * page_bytes;
	install.source = reinterpret_cast<__u64>(contents.data());
	CHECK_EQ(request(fd(), CORBEL_MEMORY_INSTALL, install), 0, "installing {} pages from {}",
		 count, page);
	CHECK_EQ(install.installed + install.duplicates, count, "pages that were accounted for");
	return install.installed;
}

uint64_t memory_object::install_zeros(uint64_t page, uint64_t count) const
{
	corbel_memory_install install = {};

	install.flags = CORBEL_MEMORY_ZERO;
	install.offset = page * page_bytes;
	install.bytes = count * page_bytes;
	CHECK_EQ(request(fd(), CORBEL_MEMORY_INSTALL, install), 0, "{} pages of zeros", count);
	return install.installed;
}

void memory_object::fail() const
{
	corbel_memory_fail fail = {};

	CHECK_EQ(request(fd(), CORBEL_MEMORY_FAIL, fail), 0, "CORBEL_MEMORY_FAIL");
}

void memory_object::requeue() const
{
	corbel_memory_requeue requeue = {};

	CHECK_EQ(request(fd(), CORBEL_MEMORY_REQUEUE, requeue), 0, "CORBEL_MEMORY_REQUEUE");
}

int try_track(int fd, bool on)
{
	corbel_memory_track track = {.flags = on ? 0 : CORBEL_MEMORY_TRACK_OFF};

	return request(fd, CORBEL_MEMORY_TRACK, track);
}

int try_seal(int fd, bool on)
{
	corbel_memory_seal seal = {.flags = on ? 0 : CORBEL_MEMORY_UNSEAL};

	return request(fd, CORBEL_MEMORY_SEAL, seal);
}

void memory_object::track(bool on) const
{
	CHECK_EQ(try_track(fd(), on), 0, "CORBEL_MEMORY_TRACK {}", on);
}

void memory_object::seal(bool on) const
{
	CHECK_EQ(try_seal(fd(), on), 0, "CORBEL_MEMORY_SEAL {}", on);
}

page_set memory_object::dirty(unsigned flags) const
{
	page_set found(pages());
	corbel_memory_dirty dirty = {.flags = flags,
				     .bitmap = reinterpret_cast<__u64>(found.words.data())};

	CHECK_EQ(request(fd(), CORBEL_MEMORY_DIRTY, dirty), 0, "CORBEL_MEMORY_DIRTY");
	CHECK_EQ(found.count(), dirty.pages, "pages in the bitmap");
	return found;
}

page_set memory_object::absent() const
{
	page_set found(pages());
	corbel_memory_absent absent = {.bitmap = reinterpret_cast<__u64>(found.words.data())};

	CHECK_EQ(request(fd(), CORBEL_MEMORY_ABSENT, absent), 0, "CORBEL_MEMORY_ABSENT");
	CHECK_EQ(found.count(), absent.pages, "pages in the bitmap");
	return found;
}

uint64_t memory_object::prepare() const
{
	corbel_memory_prepare prepare = {};

	CHECK_EQ(request(fd(), CORBEL_MEMORY_PREPARE, prepare), 0, "CORBEL_MEMORY_PREPARE");
	return prepare.tables;
}

uint64_t memory_object::join() const
{
	corbel_memory_join join = {};

	CHECK_EQ(request(fd(), CORBEL_MEMORY_JOIN, join), 0, "CORBEL_MEMORY_JOIN");
	return join.pieces;
}

uint64_t page_set::count() const
{
	uint64_t sum = 0;

	for (uint64_t word : words)
		sum += std::popcount(word);
	return sum;
}

std::vector<uint64_t> page_set::pages() const
{
	std::vector<uint64_t> all;

	for (uint64_t page = 0; page < words.size() * 64; page++)
		if (has(page))
			all.push_back(page);
	return all;
}

uint64_t mapped_whole(const void *place)
{
	std::istringstream maps(read_file("/proc/self/smaps"));
	const std::string start = fmt::format("{:x}-", reinterpret_cast<uintptr_t>(place));
	bool here = false;

	for (std::string line; std::getline(maps, line);) {
		if (line.find('-') < line.find(' '))
			here = line.starts_with(start);
		if (here && line.starts_with("FilePmdMapped:"))
			return std::strtoull(line.c_str() + 14, nullptr, 10) * 1024;
	}
	return 0;
}

std::vector<uint64_t> memory_object::take_requests() const
{
	std::vector<uint64_t> pages;
	uint64_t offsets[64];
	ssize_t length;

	while ((length = read(fd(), offsets, sizeof(offsets))) > 0)
		for (size_t i = 0; i < length / sizeof(uint64_t); i++)
			pages.push_back(offsets[i] / page_bytes);
	CHECK(length == 0 || errno == EAGAIN, "reading requests: {}", error_name(errno));
	return pages;
}

page_server::page_server(const memory_object &memory, uint64_t seed, hook before)
	: memory(memory),
	  seed(seed),
	  before(std::move(before)),
	  ended(eventfd(0, EFD_CLOEXEC)),
	  thread([this] { serve(); })
{}

page_server::~page_server()
{
	const uint64_t one = 1;

	if (write(ended.get(), &one, sizeof(one)) != sizeof(one))
		comment("the page server could not be told to end");
	thread.join();
}

void page_server::serve()
{
	pollfd of[] = {{memory.fd(), POLLIN, 0}, {ended.get(), POLLIN, 0}};

	try {
		for (;;) {
			if (poll(of, 2, -1) < 0 && errno != EINTR)
				return;
			if (of[1].revents || of[0].revents & POLLHUP)
				return;
			for (uint64_t page : memory.take_requests()) {
				before(page);
				memory.install(page, 1, seed);
				count++;
			}
		}
	} catch (const std::exception &error) {
		comment("page server: {}", error.what());
	}
}

} // namespace corbel::selftest
