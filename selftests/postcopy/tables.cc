// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Page tables of memory objects: made beforehand, so that a fault allocates none; and gone
 * again where a piece of 2 MiB can be mapped as a whole.
 */
#include "kvm_state.hh"
#include "memory_object.hh"
#include "module.hh"
#include "process.hh"
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

/* Bytes in page tables of this process. */
uint64_t table_bytes()
{
	char text[4096];
	unique_fd status(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
	const ssize_t length = read(status.get(), text, sizeof(text) - 1);

	CHECK(length > 0, "/proc/self/status: {}", error_name(errno));
	text[length] = 0;
	const char *line = std::strstr(text, "VmPTE:");
	CHECK(line, "/proc/self/status has no VmPTE");
	return std::strtoull(line + 6, nullptr, 10) * 1024;
}

void make_tables()
{
	ensure_corbel();
	constexpr uint64_t pieces = 64, pages = pieces * pages_of_piece;
	memory_object memory(pages * page_bytes);
	mapped map(memory.fd(), pages * page_bytes);
	uint64_t before = table_bytes();

	before = table_bytes();
	CHECK_EQ(memory.prepare(), pieces, "tables");
	CHECK_EQ(memory.info().tables, pieces, "tables made");
	const uint64_t with_tables = table_bytes();
	/* Beside them those that they are entered in. */
	CHECK(with_tables >= before + pieces * page_bytes &&
		      with_tables <= before + (pieces + 2) * page_bytes,
	      "{} bytes of page tables were {}", with_tables, before);
	CHECK_EQ(memory.prepare(), pieces, "tables, once more");
	CHECK_EQ(memory.info().tables, pieces, "tables made, once more");
	for (uint64_t page = 0; page < pages; page += 256)
		memory.install_zeros(page, 256);
	for (uint64_t page = 0; page < pages; page++)
		map.word(page) = page;
	CHECK_EQ(table_bytes(), with_tables, "bytes of page tables after all was touched");
	CHECK_EQ(memory.info().piece_maps, 0u, "pieces mapped");
	for (uint64_t page = 0; page < pages; page++)
		CHECK_EQ(map.word(page), page, "page {}", page);
}

/* What is mapped as a whole stays so; each mapping has its own. */
void make_tables_beside_pieces()
{
	ensure_corbel();
	constexpr uint64_t pieces = 8;
	memory_object memory(pieces * piece_bytes + 3 * page_bytes, 0);
	mapped map(memory.fd(), pieces * piece_bytes + 3 * page_bytes);
	if (memory.info().in_pieces < pieces * piece_bytes)
		skip("this host has no {} free pieces of 2 MiB now", pieces);

	map.word(0) = 1;
	map.word(3 * pages_of_piece) = 2;
	CHECK_EQ(mapped_whole(map.bytes()), 2 * piece_bytes, "pieces");
	CHECK_EQ(memory.prepare(), pieces - 2 + 1, "tables");
	CHECK_EQ(mapped_whole(map.bytes()), 2 * piece_bytes, "pieces after that");
	CHECK_EQ(map.word(0) + map.word(3 * pages_of_piece), 3u, "contents");
	map.word(pages_of_piece) = 4;
	CHECK_EQ(mapped_whole(map.bytes()), 2 * piece_bytes, "a piece with a table");
	{
		/* Part of two pieces, and in another process. */
		mapped part(memory.fd(), piece_bytes, page_bytes);
		child_process child([&](child_process &self) {
			unique_fd node(open(memory.node().c_str(), O_RDWR));
			mapped other(node.get(), piece_bytes);
			self.tell(1);
			pause();
		});
		child.hear();
		const uint64_t there = memory.prepare();
		CHECK(there == pieces - 1 + 2 + 1 || there == pieces - 1 + 1 + 1,
		      "{} tables for three mappings", there);
		child.kill(SIGKILL);
		child.reap();
	}
	wait_until("they are gone", [&] { return memory.prepare() == pieces - 1; });
	memory_object unmapped(piece_bytes, 0);
	CHECK_EQ(unmapped.prepare(), 0u, "tables without a mapping");
}

/* Who prepares a large one can be killed, and the address space is not locked for long. */
void prepare_in_strides()
{
	ensure_corbel();
	memory_object memory(piece_bytes);
	std::vector<std::unique_ptr<mapped>> maps;

	for (unsigned i = 0; i < 300; i++)
		maps.push_back(std::make_unique<mapped>(memory.fd(), piece_bytes));
	CHECK_EQ(memory.prepare(), 300u, "tables of 300 mappings");
	std::atomic<bool> over{false};
	std::thread other([&] {
		while (!over)
			mapped(memory.fd(), piece_bytes);
	});
	for (unsigned i = 0; i < 50; i++)
		CHECK(memory.prepare() >= 300, "tables while mappings come and go");
	over = true;
	other.join();
}

/* Each page's words tell its place. */
void write_all(const mapped &map, uint64_t pages, uint64_t seed)
{
	for (uint64_t page = 0; page < pages; page++)
		map.word(page, page % words_of_page) = pattern_word(page, 1, seed);
}

void check_all(const mapped &map, uint64_t pages, uint64_t seed, std::string_view what)
{
	for (uint64_t page = 0; page < pages; page++)
		CHECK_EQ(map.word(page, page % words_of_page), pattern_word(page, 1, seed),
			 "page {} {}", page, what);
}

void join_after_tracking()
{
	ensure_corbel();
	constexpr uint64_t pieces = 6, pages = pieces * pages_of_piece;
	memory_object memory(pages * page_bytes, 0);
	if (memory.info().in_pieces < pieces * piece_bytes)
		skip("this host has no {} free pieces of 2 MiB now", pieces);
	mapped map(memory.fd(), pages * page_bytes);

	write_all(map, pages, 1);
	CHECK_EQ(mapped_whole(map.bytes()), pieces * piece_bytes, "before");
	CHECK_EQ(memory.join(), 0u, "with nothing to join");
	CHECK_EQ(mapped_whole(map.bytes()), pieces * piece_bytes, "with nothing to join");
	const uint64_t tables_before = table_bytes();
	memory.track();
	write_all(map, pages, 2);
	memory.track(false);
	write_all(map, pages, 3);
	CHECK_EQ(mapped_whole(map.bytes()), 0u, "after tracking");
	CHECK(table_bytes() >= tables_before + pieces * page_bytes, "it has no tables");
	CHECK_EQ(memory.join(), pieces, "joined");
	CHECK_EQ(table_bytes(), tables_before, "bytes of page tables");
	const uint64_t maps = memory.info().piece_maps;
	check_all(map, pages, 3, "joined");
	CHECK_EQ(mapped_whole(map.bytes()), pieces * piece_bytes, "joined");
	CHECK_EQ(memory.info().piece_maps, maps + pieces, "mappings of a piece");
	write_all(map, pages, 4);
	check_all(map, pages, 4, "written once joined");

	/* Missing pages keep their piece in small pages. */
	memory_object late(2 * piece_bytes);
	mapped of_late(late.fd(), 2 * piece_bytes);
	late.install(0, 2 * pages_of_piece - 1, 9);
	late.prepare();
	CHECK_EQ(late.join(), 1u, "one of two pieces is complete");
	late.install(2 * pages_of_piece - 1, 1, 9);
	CHECK_EQ(late.join(), 1u, "the other one");
	for (uint64_t page = 0; page < 2 * pages_of_piece; page++)
		CHECK_EQ(of_late.word(page, 3), pattern_word(page, 3, 9), "page {}", page);
	CHECK_EQ(mapped_whole(of_late.bytes()), 2 * piece_bytes, "both");
}

/* Mappings that are not for whole pieces, or not for writing, or of others. */
void join_odd_mappings()
{
	ensure_corbel();
	constexpr uint64_t pieces = 4, pages = pieces * pages_of_piece;
	memory_object memory(pages * page_bytes, 0);
	if (memory.info().in_pieces < pieces * piece_bytes)
		skip("this host has no {} free pieces of 2 MiB now", pieces);
	mapped shifted(memory.fd(), piece_bytes, page_bytes);
	mapped read_only(memory.fd(), pages * page_bytes, 0, PROT_READ);
	mapped cut(memory.fd(), pages * page_bytes);
	mapped told(-1, page_bytes, 0, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);

	write_all(cut, pages, 5);
	child_process child([&](child_process &self) {
		unique_fd node(open(memory.node().c_str(), O_RDWR));
		mapped other(node.get(), pages * page_bytes);

		for (uint64_t turn = 0;; turn++) {
			wait_until("it is told to look", [&] { return told.word(0) >= turn; });
			check_all(other, pages, 5, "in the other process");
			write_all(other, pages, 5);
			self.tell(static_cast<long>(mapped_whole(other.bytes())));
		}
	});
	child.hear();
	CHECK(mprotect(cut.bytes(pages_of_piece + 7), page_bytes, PROT_READ) == 0, "mprotect: {}",
	      error_name(errno));
	CHECK(madvise(cut.bytes(), piece_bytes, MADV_DONTFORK) == 0, "madvise: {}",
	      error_name(errno));
	memory.track();
	told.word(0) = 1;
	CHECK_EQ(child.hear(), 0, "in the other process, tracked");
	check_all(read_only, pages, 5, "read-only");
	for (uint64_t page = 0; page < pages_of_piece; page++)
		shifted.read(page);
	for (uint64_t page = 0; page < pages; page++)
		cut.read(page);
	memory.track(false);
	/* All of the read-only one and of the child's, three of the one that is cut. */
	CHECK_EQ(memory.join(), pieces + pieces + pieces - 1, "pieces joined");
	check_all(read_only, pages, 5, "read-only, joined");
	check_all(cut, pages, 5, "cut, joined");
	CHECK_EQ(mapped_whole(read_only.bytes()), pieces * piece_bytes, "read-only");
	CHECK_EQ(mapped_whole(cut.bytes()), piece_bytes, "up to the cut");
	for (uint64_t page = 0; page < pages_of_piece; page++)
		CHECK_EQ(shifted.word(page, (page + 1) % words_of_page),
			 pattern_word(page + 1, 1, 5), "page {} of the shifted one", page);
	told.word(0) = 2;
	CHECK_EQ(static_cast<uint64_t>(child.hear()), pieces * piece_bytes, "in the other process");
	/* What was read-only is so still. */
	child_process toucher([&](child_process &) {
		unique_fd node(open(memory.node().c_str(), O_RDWR));
		mapped only(node.get(), piece_bytes, 0, PROT_READ);
		only.read(0);
		*reinterpret_cast<volatile char *>(only.bytes()) = 1;
	});
	const int status = toucher.reap();
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "a write ended with {:#x}",
	      status);
}

guest_job pages_job(job_kind kind, const mapped &map, uint64_t count)
{
	guest_job job;

	job.kind = kind;
	job.memory = map.words();
	job.count = count;
	return job;
}

/* KVM too maps 2 MiB again. */
void join_for_kvm()
{
	ensure_corbel();
	constexpr uint64_t pieces = 4, pages = pieces * pages_of_piece;
	memory_object memory(pages * page_bytes, 0);
	if (memory.info().in_pieces < pieces * piece_bytes)
		skip("this host has no {} free pieces of 2 MiB now", pieces);
	guest_vm vm(1);
	mapped map(memory.fd(), pages * page_bytes, 0, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_32BIT);
	auto write = [&] {
		vm.start_job(0, pages_job(job_kind::write_pages, map, pages));
		vm.finish_job(0);
	};
	auto large = [&] { return read_kvm_stat(vm.fd(), "pages_2m"); };

	vm.add_memory(map.bytes(), pages * page_bytes);
	vm.start();
	write();
	const uint64_t before = large();
	if (before < pieces)
		skip("KVM maps {} pieces here", before);
	memory.track();
	write();
	const uint64_t tracked = large();
	memory.track(false);
	write();
	CHECK_EQ(large(), tracked, "after tracking");
	CHECK_EQ(memory.join(), pieces, "joined");
	write();
	CHECK_EQ(large(), before, "joined");
	for (uint64_t page = 0; page < pages; page++)
		CHECK_EQ(map.word(page), 4u, "writes to page {}", page);
	comment("KVM's mappings of 2 MiB: {} before, {} tracked, {} joined", before, tracked,
		large());
}

/* A pipe has a page of it meanwhile, and its reader sees what is written later. */
void join_what_is_pinned()
{
	ensure_corbel();
	memory_object memory(piece_bytes, 0);
	mapped map(memory.fd(), piece_bytes);
	int ends[2];
	CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe: {}", error_name(errno));
	unique_fd out(ends[0]), in(ends[1]);
	uint64_t seen[words_of_page];

	memory.prepare();
	map.word(3, 5) = 1;
	const iovec vector{map.bytes(3), page_bytes};
	CHECK_EQ(vmsplice(in.get(), &vector, 1, 0), static_cast<ssize_t>(page_bytes),
		 "vmsplice: {}", error_name(errno));
	CHECK_EQ(memory.join(), memory.info().in_pieces / piece_bytes, "joined");
	map.word(3, 5) = 2;
	CHECK_EQ(read(out.get(), seen, sizeof(seen)), static_cast<ssize_t>(page_bytes), "read: {}",
		 error_name(errno));
	CHECK_EQ(seen[5], 2u, "what the pipe has");
}

/* Touches, mappings that come and go, a vCPU and direct ways in, while it is joined over and over. */
void race()
{
	ensure_corbel();
	constexpr uint64_t pieces = 4, pages = pieces * pages_of_piece;
	const unsigned rounds = static_cast<unsigned>(amount(60, 1500));
	memory_object memory(pages * page_bytes, 0);
	guest_vm vm(1);
	mapped map(memory.fd(), pages * page_bytes, 0, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_32BIT);
	std::atomic<bool> over{false};
	std::atomic<uint64_t> wrong{0}, touches{0};
	std::vector<std::thread> threads;
	uint64_t joined = 0, jobs = 0;

	vm.add_memory(map.bytes(), pages * page_bytes);
	vm.start();
	for (unsigned t = 1; t < 4; t++)
		threads.emplace_back([&, t] {
			std::vector<uint64_t> mine(pages);
			std::mt19937_64 random(t);

			while (!over) {
				/* Thread 3 in mappings of its own, others in the vCPU's. */
				mapped own(memory.fd(), pages * page_bytes);
				const mapped &by = t == 3 ? own : map;

				for (unsigned i = 0; i < 300 && !over; i++) {
					const uint64_t page = random() % pages;

					wrong += by.word(page, t) != mine[page];
					mine[page]++;
					if (t == 2) {
						const iovec local{&mine[page], 8},
							remote{by.bytes(page) + t * 8, 8};
						wrong += process_vm_writev(getpid(), &local, 1,
									   &remote, 1, 0) != 8;
					} else {
						by.word(page, t) = mine[page];
					}
					touches++;
				}
			}
		});
	for (unsigned round = 0; round < rounds; round++) {
		if (vm.job_finished(0)) {
			vm.start_job(0, pages_job(job_kind::write_pages, map, pages));
			jobs++;
		}
		if (round % 3 == 0) {
			memory.track();
			memory.track(false);
		} else {
			memory.prepare();
		}
		const uint64_t enough = touches + 100;
		wait_until("there are touches", [&] { return touches > enough; });
		joined += memory.join();
	}
	vm.finish_job(0);
	over = true;
	for (std::thread &thread : threads)
		thread.join();
	CHECK_EQ(wrong.load(), 0u, "words that were wrong");
	for (uint64_t page = 0; page < pages; page++)
		CHECK_EQ(map.word(page), jobs, "writes by the vCPU to page {}", page);
	comment("{} rounds, {} touches, {} pieces joined, {} mapped, {} jobs of a vCPU", rounds,
		touches.load(), joined, memory.info().piece_maps, jobs);
}

constexpr test_case cases[] = {
	{"tables are made, and faults make none", make_tables},
	{"tables beside pieces", make_tables_beside_pieces},
	{"tables of many mappings", prepare_in_strides},
	{"joined after tracking", join_after_tracking},
	{"joined in odd mappings", join_odd_mappings},
	{"joined for KVM", join_for_kvm},
	{"joined while a page is pinned", join_what_is_pinned},
	{"joined under load", race},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
