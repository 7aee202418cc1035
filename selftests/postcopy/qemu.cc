// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An unmodified QEMU whose guest has a memory object for its memory.
 */
#include "memory_object.hh"
#include "module.hh"
#include "monitor.hh"
#include "process.hh"
#include "stock_guest.hh"
#include "wait.hh"

#include <cstring>
#include <poll.h>
#include <sys/wait.h>
#include <thread>

using namespace corbel::selftest;

namespace {

constexpr uint64_t guest_bytes = 512 << 20;

/* What QEMU is told of it. */
std::string backend(const memory_object &memory)
{
	return fmt::format("-object memory-backend-file,id=ram,size=512M,share=on,align=2M,"
			   "mem-path={} -machine q35,memory-backend=ram",
			   memory.node());
}

/*
 * A busy guest that is tracked and collected, as a migration does it; then stopped and sealed:
 * what was copied is what it has. It goes on, untracked, with pieces of 2 MiB again. The guest
 * looks at its own data all the time.
 */
void track_and_seal(memory_object &memory, stock_guest &guest, monitor &qemu)
{
	mapped map(memory.fd(), guest_bytes, 0, PROT_READ);
	std::vector<char> copy(guest_bytes);
	uint64_t told = 0;
	auto take = [&] {
		const page_set pages = memory.dirty();

		for (uint64_t page : pages.pages())
			std::memcpy(copy.data() + page * page_bytes, map.bytes(page), page_bytes);
		return pages.count();
	};

	memory.track();
	CHECK_EQ(take(), memory.pages(), "pages told at first");
	for (unsigned round = 0; round < 20; round++) {
		if (round % 5 == 0)
			guest.wait_round();
		told += take();
	}
	qemu.run("stop");
	memory.seal();
	const uint64_t last = take();
	CHECK_EQ(take(), 0u, "pages told of a sealed object");
	CHECK(std::memcmp(copy.data(), map.bytes(), guest_bytes) == 0, "the copy is another one");
	CHECK_EQ(memory.info().held, 0u, "a stopped guest was held");

	/* It would go on, but is held, and QEMU with it, until the seal is off. */
	qemu.tell("cont");
	wait_until("the guest is held", [&] { return memory.info().held > 0; });
	CHECK(std::memcmp(copy.data(), map.bytes(), guest_bytes) == 0,
	      "a sealed guest has gone on");
	memory.seal(false);
	qemu.wait_answer();
	guest.wait_round();
	memory.track(false);
	const uint64_t before = memory.info().piece_maps, joined = memory.join();
	guest.wait_round();
	CHECK(joined > 16, "{} pieces joined", joined);
	CHECK(memory.info().piece_maps > before + 16, "{} mappings of 2 MiB, {} before",
	      memory.info().piece_maps, before);
	guest.check_console();
	comment("{} pages told in 20 takes of a busy guest, {} at last; {} pieces joined, {} mapped",
		told, last, joined, memory.info().piece_maps - before);
}

/*
 * Nothing that QEMU or KVM do allocates guest memory, and 2 MiB are mapped as such; and the guest
 * outlasts whoever made the object. One guest for it all, as each takes long to boot.
 */
void run_on_present()
{
	ensure_corbel();
	memory_object memory(guest_bytes, 0);
	const std::string node = memory.node(), path = "/run/corbel-monitor";
	{
		stock_guest guest(backend(memory) + " " + monitor::option(path));
		monitor qemu(path);

		guest.wait_round();
		guest.check_console();
		const auto info = memory.info();
		CHECK_EQ(info.waits, 0u, "nobody waited");
		CHECK(info.piece_maps > 16, "{} mappings of 2 MiB", info.piece_maps);
		comment("{} mappings of 2 MiB for a stock guest, {} MiB in such pieces",
			info.piece_maps, info.in_pieces >> 20);
		track_and_seal(memory, guest, qemu);
		memory.close();
		CHECK(file_exists(node), "{} is gone under the guest", node);
		CHECK(module_references("corbel_postcopy") > 0, "the module could be unloaded");
		guest.wait_round();
	}
	wait_until("the object is gone", [&] { return !file_exists(node); });
}

/* Installs zeros wherever the guest looks: it boots, 64 KiB at a time. */
class zero_server {
public:
	explicit zero_server(const memory_object &memory) : memory(memory) {}
	~zero_server()
	{
		thread.request_stop();
		thread.join();
	}

private:
	void serve(const std::stop_token &stop)
	{
		pollfd requests{memory.fd(), POLLIN, 0};

		while (!stop.stop_requested())
			if (poll(&requests, 1, 100) > 0)
				for (uint64_t page : memory.take_requests())
					memory.install_zeros(page / 16 * 16, 16);
	}

	const memory_object &memory;
	std::jthread thread{[this](const std::stop_token &stop) { serve(stop); }};
};

void boot_from_nothing()
{
	ensure_corbel();
	memory_object memory(guest_bytes);
	zero_server server(memory);
	stock_guest guest(backend(memory));

	guest.wait_round();
	guest.check_console();
	const auto info = memory.info();
	CHECK(info.requested > 1000, "{} pages were asked for", info.requested);
	CHECK(info.present < info.bytes, "all came");
	comment("{} of {} pages for a stock guest's boot, {} asked for, {} waits", info.installed,
		memory.pages(), info.requested, info.waits);
}

/* Nobody serves it: QEMU waits for its guest's first page, and can be killed. */
void kill_qemu_that_waits()
{
	ensure_corbel();
	memory_object memory(guest_bytes);
	const std::string node = memory.node();
	child_process qemu([&](child_process &) {
		const std::string arguments = backend(memory);

		execl("/bin/sh", "sh", "-c",
		      ("exec qemu-system-x86_64 -accel kvm -nodefaults -display none -m 512 " +
		       arguments)
			      .c_str(),
		      nullptr);
	});

	wait_until("it waits", [&] { return memory.info().waits > 0; });
	qemu.kill(SIGKILL);
	const int status = qemu.reap();
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended with {:#x}", status);
	memory.close();
	wait_until("the object is gone", [&] { return !file_exists(node); });
}

constexpr test_case cases[] = {
	{"a stock guest runs on it, is tracked, sealed, and goes on", run_on_present},
	{"a stock guest boots with all of it missing at first", boot_from_nothing},
	{"QEMU that waits can be killed", kill_qemu_that_waits},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
