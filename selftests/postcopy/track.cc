// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tracking: every page that is written, in whatever way, is told, and no write is lost.
 */
#include "disk.hh"
#include "kvm_state.hh"
#include "memory_object.hh"
#include "module.hh"
#include "process.hh"
#include "uring.hh"
#include "wait.hh"

#include <bit>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <sys/uio.h>

using namespace corbel::selftest;

namespace {

constexpr uint64_t pages_of_piece = piece_bytes / page_bytes;

std::string print_pages(const page_set &set)
{
	std::string text;

	for (uint64_t page : set.pages())
		text += (text.size() > 200 ? "." : " " + std::to_string(page));
	return text;
}

void check_told(const page_set &told, std::initializer_list<uint64_t> pages, std::string_view what)
{
	page_set want(told.words.size() * 64);

	for (uint64_t page : pages)
		want.add(page);
	CHECK(told == want, "{}: told are{}, written were{}", what, print_pages(told),
	      print_pages(want));
}

int ask_dirty(const memory_object &memory, corbel_memory_dirty request)
{
	return corbel::selftest::request(memory.fd(), CORBEL_MEMORY_DIRTY, request);
}

void track_on_and_off()
{
	ensure_corbel();
	memory_object memory(130 * page_bytes);
	mapped map(memory.fd(), 130 * page_bytes);
	page_set bits(130);
	const auto address = reinterpret_cast<__u64>(bits.words.data());

	memory.install_zeros(0, 10);
	CHECK_EQ(ask_dirty(memory, {}), -EINVAL, "it is not tracked");
	CHECK_EQ(try_track(memory.fd(), false), -EALREADY, "it is not tracked");
	CHECK_EQ(memory.info().tracked, 0u, "info");
	memory.track();
	CHECK_EQ(memory.info().tracked, 1u, "info");
	CHECK_EQ(try_track(memory.fd(), true), -EALREADY, "it is tracked");
	CHECK_EQ(ask_dirty(memory, {.flags = 2}), -EINVAL, "an unknown flag");
	CHECK_EQ(memory.dirty().count(), 10u, "what is present, at first");
	CHECK_EQ(memory.dirty().count(), 0u, "and only then");

	memory.install(128, 2, 7);
	map.word(3) = 1;
	check_told(memory.dirty(CORBEL_MEMORY_DIRTY_KEEP), {3, 128, 129}, "and kept");
	corbel_memory_dirty bad = {.bitmap = 8};
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_DIRTY, bad), -EFAULT, "a bad address");
	check_told(memory.dirty(), {3, 128, 129}, "also once it could not be told");
	map.word(5) = 1;
	corbel_memory_dirty only_count = {};
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_DIRTY, only_count), 0, "without a bitmap");
	CHECK_EQ(only_count.pages, 1u, "without a bitmap");
	check_told(memory.dirty(), {}, "then");

	/* The answer goes to the object itself. */
	corbel_memory_dirty into = {.bitmap = reinterpret_cast<__u64>(map.bytes(7))};
	map.word(9) = 1;
	CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_DIRTY, into), 0, "into the object itself");
	CHECK_EQ(map.word(7), uint64_t{1} << 9, "the bitmap there");
	check_told(memory.dirty(), {7}, "by being told");

	memory.track(false);
	CHECK_EQ(ask_dirty(memory, {.bitmap = address}), -EINVAL, "it is not tracked any more");
	map.word(4) = 1;
	memory.track();
	CHECK_EQ(memory.dirty().count(), 12u, "what is present, when it is tracked again");
	CHECK_EQ(map.word(3) + map.word(4) + map.word(5) + map.word(9), 4u, "contents");
}

/* By user mode: what is written and nothing else, by whatever mapping. */
void write_by_user()
{
	ensure_corbel();
	constexpr uint64_t pages = 3 * pages_of_piece;
	memory_object memory(pages * page_bytes, 0);
	mapped one(memory.fd(), pages * page_bytes);

	for (uint64_t page = 0; page < pages; page++)
		one.word(page) = page;
	const auto before = memory.info();
	if (before.in_pieces)
		CHECK(before.piece_maps > 0, "it was not mapped in pieces");
	memory.track();
	CHECK_EQ(mapped_whole(one.bytes()), 0u, "in pieces");
	mapped two(memory.fd(), pages * page_bytes);
	CHECK_EQ(memory.dirty().count(), pages, "at first");
	for (uint64_t page = 0; page < pages; page++)
		CHECK_EQ(one.read(page) + two.read(page), 2 * page, "page {}", page);
	check_told(memory.dirty(), {}, "reading");
	for (unsigned round = 0; round < 3; round++) {
		one.word(1) = round;
		two.word(513) = round;
		one.word(1025) = two.word(1025) + 1;
		check_told(memory.dirty(), {1, 513, 1025}, "by two mappings");
	}
	CHECK_EQ(memory.info().piece_maps, before.piece_maps, "pieces mapped while tracked");

	/* A page that was written stays known to be so to core mm: that must not let it through. */
	for (int protection : {PROT_READ, PROT_NONE}) {
		one.word(2) = 1;
		check_told(memory.dirty(), {2}, "a write");
		CHECK(mprotect(one.bytes(), piece_bytes, protection) == 0 &&
			      mprotect(one.bytes(), piece_bytes, PROT_READ | PROT_WRITE) == 0,
		      "mprotect: {}", error_name(errno));
		one.word(2) = 2;
		check_told(memory.dirty(), {2}, "a write after mprotect(2)");
	}
	one.word(2) = 3;
	CHECK(mprotect(one.bytes(), piece_bytes, PROT_READ) == 0, "mprotect: {}",
	      error_name(errno));
	check_told(memory.dirty(), {2}, "a write before mprotect(2)");
	CHECK(mprotect(one.bytes(), piece_bytes, PROT_READ | PROT_WRITE) == 0, "mprotect: {}",
	      error_name(errno));
	one.word(2) = 4;
	check_told(memory.dirty(), {2}, "a write after it");

	/* Moved to elsewhere, with the entries that it has. */
	mapped moved(memory.fd(), piece_bytes), place(memory.fd(), piece_bytes);
	moved.word(8) = 1;
	CHECK(mremap(moved.bytes(), piece_bytes, piece_bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
		     place.bytes()) == place.bytes(),
	      "mremap: {}", error_name(errno));
	check_told(memory.dirty(), {8}, "before it was moved");
	place.word(8) = 2;
	place.word(9) = 1;
	check_told(memory.dirty(), {8, 9}, "since it was moved");
	memory.track(false);
	one.word(700) = 5;
	CHECK_EQ(two.word(700), 5u, "once it is not tracked");
}

struct aligned_page {
	alignas(page_bytes) char bytes[page_bytes];
};

void check_length(ssize_t length, std::string_view what)
{
	CHECK_EQ(length, static_cast<ssize_t>(page_bytes), "{}: {}", what, error_name(errno));
}

/* `write` writes to page 5 in its own way: told once, and again when it does so again. */
template <typename Write>
void check_way(const memory_object &memory, const mapped &map, std::string_view what, Write &&write)
{
	for (uint64_t word = 0x11; word < 0x14; word++) {
		write(map.bytes(5), word);
		CHECK_EQ(map.word(5, 3), word * 0x0101010101010101, "what {} wrote", what);
		check_told(memory.dirty(), {5}, what);
		/* Who holds the page a little longer has it told twice. */
		wait_until("it is told no more", [&] { return memory.dirty().count() == 0; });
	}
}

void write_in_other_ways()
{
	ensure_corbel();
	ram_disk disk;
	io_ring ring;
	aligned_page bounce;
	int ends[2];
	CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe: {}", error_name(errno));
	unique_fd out(ends[0]), in(ends[1]), self(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
	auto fill = [&](uint64_t word) {
		std::memset(bounce.bytes, static_cast<int>(word), page_bytes);
	};

	for (unsigned flags : {0u, CORBEL_MEMORY_SMALL}) {
		memory_object memory(pages_of_piece * page_bytes, flags);
		mapped map(memory.fd(), piece_bytes);

		map.word(5) = 1;
		memory.track();
		memory.dirty();
		check_way(memory, map, "read(2)", [&](char *to, uint64_t word) {
			fill(word);
			check_length(write(in.get(), bounce.bytes, page_bytes), "write");
			check_length(read(out.get(), to, page_bytes), "read");
		});
		check_way(memory, map, "O_DIRECT", [&](char *to, uint64_t word) {
			fill(word);
			check_length(pwrite(disk.get(), bounce.bytes, page_bytes, 0), "pwrite");
			check_length(pread(disk.get(), to, page_bytes, 0), "pread");
		});
		check_way(memory, map, "io_uring", [&](char *to, uint64_t word) {
			fill(word);
			check_length(write(in.get(), bounce.bytes, page_bytes), "write");
			check_length(ring.read(out.get(), to, page_bytes), "io_uring read");
		});
		check_way(memory, map, "io_uring with O_DIRECT", [&](char *to, uint64_t word) {
			fill(word);
			check_length(pwrite(disk.get(), bounce.bytes, page_bytes, 0), "pwrite");
			check_length(ring.read(disk.get(), to, page_bytes), "io_uring read");
		});
		check_way(memory, map, "process_vm_writev(2)", [&](char *to, uint64_t word) {
			const iovec local{bounce.bytes, page_bytes}, remote{to, page_bytes};
			fill(word);
			check_length(process_vm_writev(getpid(), &local, 1, &remote, 1, 0),
				     "process_vm_writev");
		});
		check_way(memory, map, "/proc/self/mem", [&](char *to, uint64_t word) {
			fill(word);
			check_length(pwrite(self.get(), bounce.bytes, page_bytes,
					    reinterpret_cast<off_t>(to)),
				     "pwrite");
		});
	}
}

/* A disk has the page when it is collected, and writes to it after. */
void write_by_slow_disk()
{
	ensure_corbel();
	slow_disk disk;

	for (unsigned flags : {0u, CORBEL_MEMORY_SMALL}) {
		memory_object memory(pages_of_piece * page_bytes, flags);
		mapped map(memory.fd(), piece_bytes);
		memory.track();
		memory.dirty();

		std::thread reader([&] {
			check_length(pread(disk.get(), map.bytes(6), page_bytes, 0), "pread");
		});
		disk.wait_read();
		CHECK(memory.dirty().has(6), "it is about to be written to");
		CHECK(memory.dirty().has(6), "it is about to be written to still");
		const page_set last = memory.dirty();
		CHECK(last.has(6), "it is about to be written to still");
		CHECK_EQ(last.count(), 1u, "and no other");
		CHECK_EQ(map.word(6, 9), 0u, "before it is written to");
		disk.finish_read(77);
		reader.join();
		CHECK_EQ(map.word(6, 9), 77u, "what was read");
		CHECK(memory.dirty().has(6), "it has been written to");
		wait_until("it is told no more", [&] { return memory.dirty().count() == 0; });
	}
}

guest_job pages_job(job_kind kind, const mapped &map, uint64_t count, uint64_t stride = 1)
{
	guest_job job;

	job.kind = kind;
	job.memory = map.words();
	job.count = count;
	job.stride = stride;
	return job;
}

void run(guest_vm &vm, unsigned index, const guest_job &job)
{
	vm.start_job(index, job);
	vm.finish_job(index);
}

/* Mapped by KVM 2 MiB at a time before. */
void write_by_kvm()
{
	ensure_corbel();
	constexpr uint64_t pages = 4 * pages_of_piece;
	memory_object memory(pages * page_bytes, 0);
	guest_vm vm(1);
	mapped map(memory.fd(), pages * page_bytes, 0, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_32BIT);

	vm.add_memory(map.bytes(), pages * page_bytes);
	vm.start();
	run(vm, 0, pages_job(job_kind::write_pages, map, pages));
	comment("{} mappings of 2 MiB, {} by KVM", memory.info().piece_maps,
		read_kvm_stat(vm.fd(), "pages_2m"));
	memory.track();
	CHECK_EQ(memory.dirty().count(), pages, "at first");
	run(vm, 0, pages_job(job_kind::read_pages, map, pages));
	check_told(memory.dirty(), {}, "reading");
	for (unsigned round = 0; round < 4; round++) {
		run(vm, 0, pages_job(job_kind::write_pages, map, pages, 500));
		check_told(memory.dirty(), {0, 500, 1000, 1500, 2000}, "by a vCPU");
	}
	memory.track(false);
	run(vm, 0, pages_job(job_kind::write_pages, map, pages));
	for (uint64_t page = 0; page < pages; page++)
		CHECK_EQ(map.word(page), 2u + (page % 500 ? 0 : 4), "writes to page {}", page);
}

/* Whatever KVM has logged is told. */
void compare_with_kvm()
{
	ensure_corbel();
	constexpr uint64_t pages = 8 * pages_of_piece;
	memory_object memory(pages * page_bytes, 0);
	guest_vm vm(2);
	mapped map(memory.fd(), pages * page_bytes, 0, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_32BIT);
	const unsigned slot =
		vm.add_memory(map.bytes(), pages * page_bytes, KVM_MEM_LOG_DIRTY_PAGES);
	const unsigned rounds = static_cast<unsigned>(amount(20, 200));
	uint64_t logged = 0, told = 0;
	page_set ours(pages), owed(pages);

	vm.start();
	memory.track();
	memory.dirty();
	vm.take_dirty_log(slot, pages);
	std::mt19937_64 random(1);
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < 2; i++) {
			const uint64_t first = random() % (pages / 2);
			guest_job job = pages_job(job_kind::write_pages, map, pages - first,
						  1 + random() % 97);
			job.memory += first * words_of_page;
			vm.start_job(i, job);
		}
		/* While they write, and the last time once they have. */
		for (bool more = true; more;) {
			more = !vm.job_finished(0) || !vm.job_finished(1);
			/* KVM's first: what it has is written by now, and so is told now or was. */
			const auto log = vm.take_dirty_log(slot, pages);
			const page_set now = memory.dirty();
			for (size_t i = 0; i < log.size(); i++) {
				logged += std::popcount(log[i]);
				owed.words[i] |= log[i];
				ours.words[i] |= now.words[i];
			}
			told += now.count();
		}
		for (size_t i = 0; i < owed.words.size(); i++)
			CHECK_EQ(owed.words[i] & ~ours.words[i], 0u,
				 "round {}: pages from {} on that KVM has and we have not", round,
				 i * 64);
		ours = owed = page_set(pages);
	}
	comment("{} rounds: KVM logged {} pages, told were {}", rounds, logged, told);
}

/*
 * Writers in every way go on while pages are collected and copied; at the end it is sealed,
 * and the copy is what it holds.
 */
class mirror {
public:
	mirror(const memory_object &memory, const mapped &map)
		: memory(memory), map(map), copy(memory.pages() * words_of_page)
	{}

	uint64_t take()
	{
		const page_set told = memory.dirty();

		for (uint64_t page : told.pages())
			std::memcpy(copy.data() + page * words_of_page, map.bytes(page),
				    page_bytes);
		return told.count();
	}
	void check(unsigned round) const
	{
		for (uint64_t page = 0; page < memory.pages(); page++)
			for (uint64_t i = 0; i < words_of_page; i++)
				CHECK_EQ(copy[page * words_of_page + i], map.word(page, i),
					 "round {}: word {} of page {} of the copy", round, i,
					 page);
	}

private:
	const memory_object &memory;
	const mapped &map;
	std::vector<uint64_t> copy;
};

void lose_no_write()
{
	ensure_corbel();
	const uint64_t pages = 4 * pages_of_piece + 37;
	const unsigned rounds = static_cast<unsigned>(amount(6, 80));
	ram_disk disk;
	aligned_page bounce;
	guest_vm vm(1);
	std::vector<std::unique_ptr<mapped>> kept;

	vm.start();
	for (unsigned round = 0; round < rounds; round++) {
		memory_object memory(pages * page_bytes, round % 2 ? CORBEL_MEMORY_SMALL : 0);
		auto &map = *kept.emplace_back(
			std::make_unique<mapped>(memory.fd(), pages * page_bytes, 0,
						 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_32BIT));
		mapped other(memory.fd(), pages * page_bytes),
			third(memory.fd(), pages * page_bytes);
		std::atomic<bool> over{false};
		std::atomic<uint64_t> writes{0};
		std::vector<std::thread> threads;
		mirror copy(memory, map);
		uint64_t told = 0, takes = 0;

		vm.add_memory(map.bytes(), pages * page_bytes);
		auto loop = [&](unsigned seed, auto write) {
			threads.emplace_back([&, seed, write] {
				std::mt19937_64 random(round * 16 + seed);
				while (!over) {
					write(random() % pages, random() % words_of_page);
					writes++;
				}
			});
		};
		loop(0, [&](uint64_t page, uint64_t at) {
			map.word(page, at) = map.word(page, at) + 1;
		});
		loop(1, [&](uint64_t page, uint64_t at) {
			other.word(page, at) = other.word(page, at) + 1;
		});
		loop(2, [&](uint64_t page, uint64_t at) {
			uint64_t word = page ^ at ^ writes;
			const iovec local{&word, 8}, remote{other.bytes(page) + at * 8, 8};
			(void)!process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
		});
		loop(3, [&](uint64_t page, uint64_t at) {
			bounce.bytes[at] = static_cast<char>(writes);
			(void)!pwrite(disk.get(), bounce.bytes, page_bytes, 0);
			(void)!pread(disk.get(), map.bytes(page), page_bytes, 0);
		});
		loop(4, [&](uint64_t page, uint64_t at) {
			/* Its own mapping, whose entries core mm changes now and then. */
			third.word(page, at) = writes;
			if (at % 8)
				return;
			mprotect(third.bytes(page), page_bytes, PROT_READ);
			mprotect(third.bytes(page), page_bytes, PROT_READ | PROT_WRITE);
			third.word(page, at) = writes + 1;
		});
		memory.track();
		unsigned jobs = 0;
		while (takes < 20 || jobs < 3) {
			if (vm.job_finished(0)) {
				vm.start_job(0, pages_job(job_kind::write_pages, map, pages, 3));
				jobs++;
			}
			told += copy.take();
			takes++;
		}
		vm.finish_job(0);
		over = true;
		/* The seal holds those that go on: their last writes come before it, or after. */
		memory.seal();
		told += copy.take();
		/* A system call that was given a page before the seal may have had it still. */
		memory.seal(false);
		for (std::thread &thread : threads)
			thread.join();
		memory.seal();
		told += copy.take();
		copy.check(round);
		CHECK_EQ(copy.take(), 0u, "pages told of a sealed object in which nobody writes");
		memory.seal(false);
		comment("round {}: {} writes, {} pages told in {} takes", round, writes.load(),
			told, takes);
	}
}

constexpr test_case cases[] = {
	{"tracking begins and ends", track_on_and_off},
	{"writes by user mode", write_by_user},
	{"writes in other ways", write_in_other_ways},
	{"a page that a disk has is told until it is given back", write_by_slow_disk},
	{"writes by a vCPU", write_by_kvm},
	{"nothing that KVM logs is left out", compare_with_kvm},
	{"no write is lost", lose_no_write},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
