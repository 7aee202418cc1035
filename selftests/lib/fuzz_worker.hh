/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the ABI fuzzer, see core/fuzz.cc.
 */
#pragma once

#include "abi_table.hh"
#include "process.hh"

#include <deque>
#include <map>
#include <random>

namespace corbel::selftest {

struct fuzz_statistics {
	uint64_t operations = 0;
	uint64_t ioctls = 0;
	uint64_t kills = 0;
	/* By ioctl: how often 0 or a descriptor, and how often each error. */
	std::map<std::string, std::map<int, uint64_t>> answers;

	fuzz_statistics &operator+=(const fuzz_statistics &other);
};

/* VMs of other processes that are ended in random ways at any moment. */
class victims {
public:
	explicit victims(uint64_t seed);
	unique_fd take_vm_fd(unsigned dice);
	void replace_one();
	uint64_t kills = 0;

private:
	std::mutex lock;
	std::mt19937_64 random;
	std::vector<std::unique_ptr<vm_process>> processes;
};

/*
 * Writes random values into memory that the kernel reads: control pages of
 * rings, and a page from which ioctls get their structs.
 */
class scribbler {
public:
	explicit scribbler(uint64_t seed);
	~scribbler();

	/* Takes over a mapping of one page and unmaps it some time later. */
	void adopt(void *control_page);
	/* Where a struct can be put so that it changes while the kernel reads it. */
	char *shared_page() const { return page; }

private:
	void loop();

	std::mutex lock;
	std::mt19937_64 random;
	std::vector<void *> pages;
	char *page;
	std::atomic<bool> stopping = false;
	std::thread thread;
};

class fuzz_worker {
public:
	fuzz_worker(uint64_t seed, unsigned number, victims &others, scribbler &scribbles);
	~fuzz_worker();

	void step();
	fuzz_statistics statistics;

private:
	struct object {
		fd_kind kind;
		unique_fd fd;
	};
	struct mapping {
		void *place;
		size_t length;
	};

	static constexpr size_t answers_size = 4 << 20;
	static constexpr unsigned most_dist_ids = 16;

	uint64_t draw(uint64_t below) { return random() % below; }
	bool chance(unsigned percent) { return draw(100) < percent; }
	static void limit_memory(char *argument);
	object *pick(fd_kind kind);
	int pick_any_fd();
	void add(fd_kind kind, int fd);

	void open_device();
	void make_pagers();
	void do_ioctl();
	void do_strange_ioctl();
	void map_something();
	void touch_mapping();
	void interrupt_vm();
	void run_vm();
	void change_vms();
	void do_file_call();

	void map_distributor();
	void map_recorder();
	void signal_something();

	void fill_valid(const abi_entry &entry, char *argument);
	void set_pager(char *argument);
	void fill_distributor(const abi_entry &entry, char *argument);
	void mutate(const abi_entry &entry, char *argument);
	int pick_vm_fd();
	int pick_vcpu_fd();
	int pick_eventfd();

	std::mt19937_64 random;
	victims &others;
	scribbler &scribbles;
	std::deque<tcp_pair> sockets;
	std::vector<object> objects;
	std::vector<std::unique_ptr<guest_vm>> vms;
	std::vector<mapping> mappings;
	unique_fd foreign_vm;
	unique_fd eventfds[4];
	std::vector<char> space;
	char *answers;
	__u64 known_id = 1;
};

} // namespace corbel::selftest
