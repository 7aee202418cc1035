// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory objects: all of it there from the start or refused, found by its node,
 * mapped in pieces of 2 MiB, and gone with its last user.
 */
#include "control_group.hh"
#include "memory_object.hh"
#include "module.hh"
#include "process.hh"
#include "wait.hh"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace corbel::selftest;

namespace {

constexpr uint64_t mib = 1 << 20;

/* A line `name: N kB` of a file, in bytes. */
uint64_t read_kib(const std::string &path, const std::string &name)
{
	std::istringstream text(read_file(path));
	uint64_t sum = 0;

	for (std::string line; std::getline(text, line);)
		if (line.starts_with(name + ":"))
			sum += std::strtoull(line.c_str() + name.size() + 1, nullptr, 10) * 1024;
	return sum;
}

uint64_t available()
{
	return read_kib("/proc/meminfo", "MemAvailable");
}

void make_one()
{
	ensure_corbel();
	const uint64_t bytes = 5 * piece_bytes + 3 * page_bytes;
	memory_object memory(bytes, 0);
	const auto info = memory.info();

	CHECK_EQ(info.bytes, bytes, "size");
	CHECK_EQ(info.present, bytes, "all is present");
	CHECK_EQ(info.state, static_cast<__u32>(CORBEL_MEMORY_LIVE), "state");
	CHECK_EQ(info.requested + info.waiting + info.installed + info.duplicates, 0u, "counts");
	CHECK_EQ(info.number, memory.number(), "number");
	unique_fd other = memory.open_node();
	CHECK_EQ(lseek(other.get(), 0, SEEK_END), static_cast<off_t>(bytes), "size by the node");
	CHECK_EQ(lseek(memory.fd(), 0, SEEK_END), static_cast<off_t>(bytes), "size by the fd");

	mapped one(memory.fd(), bytes), two(other.get(), bytes);
	for (uint64_t page = 0; page < memory.pages(); page++) {
		for (uint64_t i = 0; i < words_of_page; i++)
			CHECK_EQ(one.word(page, i), 0u, "word {} of page {} is new", i, page);
		one.word(page, page % words_of_page) = pattern_word(page, 0, 1);
	}
	for (uint64_t page = 0; page < memory.pages(); page++)
		CHECK_EQ(two.word(page, page % words_of_page), pattern_word(page, 0, 1),
			 "page {} by the node", page);
	CHECK_EQ(memory.info().waits, 0u, "nobody waited");
}

void check_refused(corbel_memory_create request, int error, std::string_view what)
{
	const int result = create_memory(request);

	if (result >= 0)
		close(result);
	CHECK_EQ(result, error, "{}", what);
}

void refuse_requests()
{
	ensure_corbel();
	check_refused({.bytes = 0}, -EINVAL, "nothing");
	check_refused({.bytes = 1}, -EINVAL, "a byte");
	check_refused({.bytes = page_bytes + 8}, -EINVAL, "no multiple of a page");
	check_refused({.bytes = CORBEL_MEMORY_MAX + page_bytes}, -E2BIG, "more than the most");
	check_refused({.bytes = ~0ULL - 4095}, -E2BIG, "all there can be");
	check_refused({.flags = 1u << 2, .bytes = page_bytes}, -EINVAL, "an unknown flag");
	check_refused({.bytes = page_bytes, .pad = 1}, -EINVAL, "padding");

	memory_object memory(4 * page_bytes);
	CHECK(mmap(nullptr, page_bytes, PROT_READ, MAP_PRIVATE, memory.fd(), 0) == MAP_FAILED &&
		      errno == EINVAL,
	      "a private mapping: {}", error_name(errno));
	corbel_memory_install bad[] = {
		{.offset = 8, .bytes = page_bytes},
		{.offset = 0, .bytes = 0},
		{.offset = 0, .bytes = page_bytes - 1},
		{.offset = 0, .bytes = 5 * page_bytes},
		{.offset = 4 * page_bytes, .bytes = page_bytes},
		{.offset = 0 - page_bytes, .bytes = 2 * page_bytes},
		{.offset = page_bytes, .bytes = 0 - page_bytes},
		{.flags = CORBEL_MEMORY_ZERO, .offset = 0, .bytes = page_bytes, .source = 4096},
	};
	for (corbel_memory_install &request : bad)
		CHECK_EQ(corbel::selftest::request(memory.fd(), CORBEL_MEMORY_INSTALL, request),
			 -EINVAL, "offset {:#x}, {:#x} bytes, flags {:#x}", request.offset,
			 request.bytes, request.flags);
	CHECK_EQ(memory.info().present, 0u, "nothing came of it");
}

/* Far beyond, and just beyond: at once, without taking anything from anybody. */
void refuse_what_is_not_there()
{
	ensure_corbel();
	const uint64_t total = read_kib("/proc/meminfo", "MemTotal"), before = available();
	corbel_memory_create request = {.bytes = 2 * total / page_bytes * page_bytes};

	CHECK_EQ(create_memory(request), -ENOMEM, "twice what the host has");
	CHECK(request.available > 0 && request.available < total, "{} of {} are available",
	      request.available, total);
	const uint64_t told = request.available;
	request = {.bytes = (told + told / 20) / page_bytes * page_bytes};
	CHECK_EQ(create_memory(request), -ENOMEM, "5 % more than there is");
	CHECK(available() + 64 * mib > before, "{} were available, {} are", before, available());
	CHECK(read_file("/proc/vmstat").find("oom_kill 0\n") != std::string::npos,
	      "somebody was killed");
	/* What is said to be there is there. */
	memory_object most(told * 9 / 10 / piece_bytes * piece_bytes, 0);
	CHECK_EQ(most.info().present, most.info().bytes, "nine tenths of what there is");
}

void give_back()
{
	ensure_corbel();
	constexpr uint64_t bytes = 192 * mib;
	const uint64_t before = available();
	{
		memory_object memory(bytes);

		CHECK(available() + bytes - 32 * mib < before, "{} were available, {} are", before,
		      available());
	}
	wait_until("its memory is available again",
		   [&] { return available() + 16 * mib > before; });
}

void charge_the_caller()
{
	ensure_corbel();
	control_group group;
	group.limit(96 * mib);
	child_process child([&](child_process &self) {
		group.enter();
		corbel_memory_create more = {.bytes = 128 * mib}, less = {.bytes = 64 * mib};
		unique_fd device = connect_device();

		self.tell(request(device.get(), CORBEL_MEMORY_CREATE, more));
		self.tell(request(device.get(), CORBEL_MEMORY_CREATE, less));
		self.hear();
	});

	CHECK_EQ(child.hear(), -ENOMEM, "more than the group may have");
	CHECK(child.hear() >= 0, "what it may have");
	CHECK(group.current() >= 64 * mib, "{} are charged", group.current());
	CHECK(group.events().find("oom_kill 0\n") != std::string::npos, "events: {}",
	      group.events());
	child.kill(SIGKILL);
	child.reap();
	wait_until("the charge is gone", [&] { return group.current() < 8 * mib; });
}

/* Once all 512 pages of a piece are present, and not before. */
void map_pieces()
{
	ensure_corbel();
	constexpr uint64_t pieces = 4, pages = piece_bytes / page_bytes;
	memory_object memory(pieces * piece_bytes);
	if (memory.info().in_pieces < pieces * piece_bytes)
		skip("this host has no {} free pieces of 2 MiB now", pieces);

	memory.install(0, pages, 7);
	memory.install(pages, pages - 1, 7);
	mapped map(memory.fd(), pieces * piece_bytes);
	CHECK_EQ(reinterpret_cast<uintptr_t>(map.bytes()) % piece_bytes, 0u, "its alignment");
	for (uint64_t page : {uint64_t{3}, pages + 3})
		CHECK_EQ(map.word(page, 5), pattern_word(page, 5, 7), "page {}", page);
	CHECK_EQ(mapped_whole(map.bytes()), piece_bytes, "the first piece, not the second");
	CHECK_EQ(memory.info().piece_maps, 1u, "mappings of a whole piece");

	memory.install(2 * pages - 1, 1, 7);
	map.read(2 * pages - 1);
	CHECK_EQ(mapped_whole(map.bytes()), piece_bytes, "the second was mapped by page already");
	mapped anew(memory.fd(), pieces * piece_bytes);
	for (uint64_t page = 0; page < 2 * pages; page++)
		CHECK_EQ(anew.word(page, 9), pattern_word(page, 9, 7), "page {} mapped anew", page);
	CHECK_EQ(mapped_whole(anew.bytes()), 2 * piece_bytes, "both, mapped anew");

	/* Part of a piece goes: what is left is mapped by page, with the same contents. */
	CHECK(mprotect(map.bytes(3), page_bytes, PROT_READ) == 0, "mprotect: {}",
	      error_name(errno));
	for (uint64_t page = 0; page < pages; page++)
		CHECK_EQ(map.word(page, 1), pattern_word(page, 1, 7), "page {} of a split", page);
	mapped shifted(memory.fd(), piece_bytes, page_bytes);
	CHECK_EQ(shifted.word(0, 1), pattern_word(1, 1, 7), "a mapping that is not aligned");
	CHECK_EQ(mapped_whole(shifted.bytes()), 0u, "a mapping that is not aligned");
	memory_object small(2 * piece_bytes, CORBEL_MEMORY_SMALL);
	CHECK_EQ(small.info().in_pieces, 0u, "pages of 4 KiB only");
	mapped of_small(small.fd(), 2 * piece_bytes);
	of_small.word(77) = 1;
	CHECK_EQ(mapped_whole(of_small.bytes()), 0u, "pages of 4 KiB only");
}

/* It lives for as long as any descriptor or mapping does; its number is used again. */
void outlast_the_maker()
{
	ensure_corbel();
	std::string node;
	unsigned number;
	unique_fd other;
	{
		memory_object memory(8 * page_bytes, 0);

		node = memory.node();
		number = memory.number();
		other = memory.open_node();
		mapped(memory.fd(), page_bytes).word(0) = 4711;
	}
	{
		mapped map(other.get(), 8 * page_bytes);

		other.reset();
		CHECK_EQ(map.word(0), 4711u, "with nothing left but a mapping");
		unique_fd third(open(node.c_str(), O_RDWR | O_CLOEXEC));
		CHECK(third, "{}: {}", node, error_name(errno));
		CHECK_EQ(mapped(third.get(), page_bytes).word(0), 4711u, "opened again");
	}
	wait_until("the node is gone", [&] { return !file_exists(node); });
	CHECK(open(node.c_str(), O_RDWR | O_CLOEXEC) < 0, "{} can still be opened", node);
	CHECK_EQ(memory_object(page_bytes).number(), number, "the number is free again");
}

void make_many()
{
	ensure_corbel();
	const rlimit enough{2 * CORBEL_MEMORY_OBJECTS, 2 * CORBEL_MEMORY_OBJECTS};
	CHECK(setrlimit(RLIMIT_NOFILE, &enough) == 0, "setrlimit: {}", error_name(errno));
	std::vector<memory_object> objects;
	corbel_memory_create one = {.bytes = page_bytes};

	while (objects.size() < CORBEL_MEMORY_OBJECTS)
		objects.emplace_back(page_bytes);
	CHECK_EQ(create_memory(one), -ENOSPC, "one more than there can be");
	objects.pop_back();
	objects.emplace_back(page_bytes);
}

/* Other users of the file's ways in: nothing can be cut, and sizes are fixed. */
void refuse_to_shrink()
{
	ensure_corbel();
	memory_object memory(4 * page_bytes, 0);
	mapped map(memory.fd(), 4 * page_bytes);

	map.word(1) = 5;
	CHECK(ftruncate(memory.fd(), 0) < 0, "ftruncate");
	CHECK(fallocate(memory.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page_bytes) < 0,
	      "fallocate");
	CHECK(madvise(map.bytes(), 4 * page_bytes, MADV_REMOVE) < 0, "MADV_REMOVE");
	CHECK(madvise(map.bytes(), 4 * page_bytes, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	CHECK_EQ(map.word(1), 5u, "contents");
	CHECK(mremap(map.bytes(), 4 * page_bytes, 8 * page_bytes, MREMAP_MAYMOVE) == MAP_FAILED,
	      "grown");
	mapped past(memory.fd(), 8 * page_bytes);
	child_process child([&](child_process &) { past.word(4) = 1; });
	const int status = child.reap();
	CHECK(WIFSIGNALED(status), "a touch past the end ended with status {:#x}", status);
}

void refuse_unload_while_used()
{
	need_own_modules();
	ensure_corbel();
	memory_object memory(piece_bytes, 0);
	{
		mapped map(memory.fd(), piece_bytes);

		memory.close();
		CHECK_EQ(unload_module("corbel_postcopy"), -EWOULDBLOCK, "there is a mapping");
		map.word(0) = 1;
	}
	wait_until("nobody uses it", [] { return module_references("corbel_postcopy") == 0; });
	CHECK_EQ(unload_module("corbel_postcopy"), 0, "nobody uses it");
	CHECK(!file_exists("/sys/class/corbel-ram"), "its class is still there");
	unique_fd device = connect_device();
	corbel_memory_create one = {.bytes = page_bytes};
	CHECK_EQ(query(device.get()).features & CORBEL_FEATURE_MEMORY, 0u, "features");
	CHECK_EQ(request(device.get(), CORBEL_MEMORY_CREATE, one), -EOPNOTSUPP, "without it");
	CHECK_EQ(load_module("corbel_postcopy"), 0, "loading it again");
	CHECK(query(device.get()).features & CORBEL_FEATURE_MEMORY, "features");
	memory_object again(page_bytes, 0);
}

constexpr test_case cases[] = {
	{"all of it is there from the start", make_one},
	{"wrong requests", refuse_requests},
	{"more than the host has", refuse_what_is_not_there},
	{"memory goes back", give_back},
	{"charged to the caller's control group", charge_the_caller},
	{"pieces of 2 MiB", map_pieces},
	{"lives as long as its users", outlast_the_maker},
	{"as many as there can be", make_many},
	{"cannot be cut or grown", refuse_to_shrink},
	{"unload is refused while it is used", refuse_unload_while_used},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
