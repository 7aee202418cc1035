// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptors that are no vCPU's, mappings that there are not, and an area that another thread
 * writes to all the time while the vCPU runs.
 */
#include "control_group.hh"
#include "kvm_state.hh"
#include "module.hh"
#include "process.hh"
#include "recorder.hh"
#include "tap.hh"
#include "wait.hh"

#include <csignal>
#include <fcntl.h>
#include <map>
#include <random>
#include <thread>

using namespace corbel::selftest;

namespace {

GUEST_CODE void read_and_tell(guest_cpu *cpu)
{
	for (;;) {
		uint32_t aux;

		for (unsigned i = 0; i < 16; i++)
			cpu->last_tsc = guest::read_tscp(aux) + guest::read_tsc();
		guest::out(port_done, 0);
	}
}

void refuse_what_is_no_vcpu()
{
	ensure_corbel();
	const kvm_state before = read_kvm_state();
	const unique_fd device = connect_device();
	{
		guest_vm vm(1);
		const int vcpu = vm.at(0).fd();
		const unique_fd kvm(open("/dev/kvm", O_RDWR | O_CLOEXEC));
		const unique_fd stats(call(vcpu, KVM_GET_STATS_FD, 0));
		/* A name is no proof. */
		const char *name = "/tmp/kvm-vcpu:0";
		const unique_fd file(open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
		const recorder log(device.get(), vcpu);
		const struct {
			const char *what;
			int fd, answer;
		} tries[] = {
			{"-1", -1, -EBADF},
			{"a number that is not open", 900, -EBADF},
			{"the VM", vm.fd(), -EINVAL},
			{"/dev/kvm", kvm.get(), -EINVAL},
			{"statistics of the vCPU", stats.get(), -EINVAL},
			{"a file that is called so", file.get(), -EINVAL},
			{"/dev/corbel", device.get(), -EINVAL},
			{"a recorder", log.fd(), -EINVAL},
			{"an enrolled vCPU", vcpu, -EBUSY},
		};

		unlink(name);
		CHECK(kvm && stats && file, "descriptors");
		for (const auto &one : tries)
			CHECK_EQ(try_enrol(device.get(), one.fd, 256), one.answer, "{}", one.what);
		const unsigned fds = count_open_fds();
		for (unsigned entries : {0u, 1u, CORBEL_REPLAY_MIN_ENTRIES - 1u,
					 CORBEL_REPLAY_MAX_ENTRIES + 1u, 0x80000000u, ~0u})
			CHECK_EQ(try_enrol(device.get(), vcpu, entries), -EINVAL, "{} entries",
				 entries);
		CHECK_EQ(count_open_fds(), fds, "descriptors");
	}
	wait_kvm_state(before);
}

/* All that there may be, every page of it written. */
void take_the_largest()
{
	ensure_corbel();
	const unique_fd device = connect_device();
	recorded_vm guest(device.get(), read_and_tell, CORBEL_REPLAY_MAX_ENTRIES);

	for (uint64_t i = 0; i < CORBEL_REPLAY_MAX_ENTRIES; i += page_bytes / 16) {
		CHECK_EQ(guest.log.log()[i].tag, 0u, "entry {}", i);
		guest.log.log()[i].tag = 1;
	}
	guest.log.begin(CORBEL_REPLAY_RECORD, CORBEL_REPLAY_MAX_ENTRIES);
	guest.log.area().head = CORBEL_REPLAY_MAX_ENTRIES - 3;
	CHECK_EQ(guest.run(), CORBEL_REPLAY_EXIT_FULL, "three entries later");
	CHECK_EQ(guest.log.log()[CORBEL_REPLAY_MAX_ENTRIES - 1].tag >> 56, CORBEL_REPLAY_TSC,
		 "the last one");
}

/* It is charged for, and what the group may not have is refused, and nobody is killed for it. */
void charge_the_caller()
{
	ensure_corbel();
	constexpr uint64_t mib = 1 << 20;
	control_group group;

	group.limit(48 * mib);
	child_process child([&](child_process &self) {
		group.enter();
		guest_vm vm(1, 0, irqchip::none);
		const unique_fd device = connect_device();
		const int vcpu = vm.at(0).fd();

		self.tell(try_enrol(device.get(), vcpu, CORBEL_REPLAY_MAX_ENTRIES));
		self.tell(try_enrol(device.get(), vcpu, CORBEL_REPLAY_MAX_ENTRIES / 4));
		self.hear();
	});
	CHECK_EQ(child.hear(), -ENOMEM, "more than the group may have");
	CHECK(child.hear() >= 0, "what it may have");
	CHECK(group.current() >= 16 * mib, "{} are charged", group.current());
	CHECK(group.events().find("oom_kill 0\n") != std::string::npos, "events: {}",
	      group.events());
	child.kill(SIGKILL);
	child.reap();
	wait_until("the charge is gone", [&] { return group.current() < 8 * mib; });
}

void refuse_mappings()
{
	ensure_corbel();
	const unique_fd device = connect_device();
	guest_vm vm(1);
	__u64 bytes = 0;
	const unique_fd fd(try_enrol(device.get(), vm.at(0).fd(), 1000, &bytes));
	const struct {
		const char *what;
		uint64_t length;
		int protection, flags;
		off_t offset;
		bool allowed;
	} tries[] = {
		{"all of it", bytes, PROT_READ | PROT_WRITE, MAP_SHARED, 0, true},
		{"the first page", page_bytes, PROT_READ, MAP_SHARED, 0, true},
		{"private", bytes, PROT_READ, MAP_PRIVATE, 0, false},
		{"executable", bytes, PROT_READ | PROT_EXEC, MAP_SHARED, 0, false},
		{"a page more", bytes + page_bytes, PROT_READ, MAP_SHARED, 0, false},
		{"far more", bytes << 20, PROT_READ, MAP_SHARED, 0, false},
		{"from the log on", page_bytes, PROT_READ, MAP_SHARED, page_bytes, false},
		{"behind it", page_bytes, PROT_READ, MAP_SHARED, static_cast<off_t>(bytes), false},
		{"far behind it", page_bytes, PROT_READ, MAP_SHARED, off_t{1} << 52, false},
	};

	CHECK(fd, "enrolling");
	CHECK_EQ(bytes, 5 * page_bytes, "a thousand entries and the area");
	for (const auto &one : tries) {
		void *place =
			mmap(nullptr, one.length, one.protection, one.flags, fd.get(), one.offset);

		CHECK_EQ(place != MAP_FAILED, one.allowed, "{}: {}", one.what, error_name(errno));
		if (place == MAP_FAILED)
			continue;
		CHECK(mprotect(place, page_bytes, PROT_READ | PROT_EXEC) < 0, "{}: made executable",
		      one.what);
		CHECK(mremap(place, one.length, 64 * page_bytes, MREMAP_MAYMOVE) == MAP_FAILED,
		      "{}: grown", one.what);
		munmap(place, one.length);
	}
}

/* Mostly what could make sense. */
void scribble(const recorder &log, const std::atomic<bool> &stop)
{
	std::mt19937_64 random(1);
	volatile corbel_replay_area &area = log.area();
	auto draw = [&](uint64_t below) { return random() % below; };
	auto index = [&] { return draw(8) ? draw(area.entries + 2) : random(); };

	while (!stop) {
		area.mode = draw(8) ? draw(4) : random();
		area.shift = draw(8) ? draw(33) : random();
		area.head = draw(2) ? 0 : index();
		area.end = index();
		area.base = draw(2) ? 0 : random();
		area.last = draw(2) ? 0 : random();
		area.deadline = draw(2) ? ~0ull : draw(1000);
		area.breakpoint = random();
		area.tsc_aux = random();
		area.entries = draw(16) ? recorder::usual_entries : random();
		area.log_offset = draw(16) ? page_bytes : random();
		auto *words = reinterpret_cast<volatile uint64_t *>(&area);
		words[draw(page_bytes / 8)] = random();
		auto *entries = reinterpret_cast<volatile corbel_replay_entry *>(words + 512);
		entries[draw(recorder::usual_entries)].tag =
			CORBEL_REPLAY_TAG(draw(2) ? 1 : random(), 0, random());
	}
}

void survive_scribbler()
{
	ensure_corbel();
	const unique_fd device = connect_device();
	recorded_vm guest(device.get(), read_and_tell);
	std::map<std::string, uint64_t> exits;
	{
		std::atomic<bool> stop = false;
		std::jthread other([&] { scribble(guest.log, stop); });

		for (unsigned long i = amount(20'000, 200'000); i; i--) {
			const uint32_t reason = guest.run();
			const bool known =
				reason == KVM_EXIT_IO || (reason >= CORBEL_REPLAY_EXIT_DEADLINE &&
							  reason <= CORBEL_REPLAY_EXIT_BAD);

			exits[exit_name(reason)]++;
			if (!known || guest.cpu().exit().io.port == port_exception) {
				stop = true;
				throw failure("KVM_RUN ends for " + exit_name(reason));
			}
		}
		stop = true;
	}
	for (const auto &[name, count] : exits)
		comment("{}: {}", name, count);
	CHECK(exits.size() >= 3, "only {} kinds of exits", exits.size());
	/* And it is as good as before. */
	guest.restart();
	guest.log.area().shift = 0;
	guest.log.area().deadline = ~0ull;
	guest.log.begin(CORBEL_REPLAY_RECORD);
	guest.run_to_port();
	const uint64_t last = guest.memory().last_tsc;
	guest.restart();
	guest.log.begin(CORBEL_REPLAY_REPLAY, 32);
	guest.run_to_port();
	CHECK_EQ(guest.memory().last_tsc, last, "replayed");
}

constexpr test_case cases[] = {
	{"what is no vCPU", refuse_what_is_no_vcpu},	     {"the largest log", take_the_largest},
	{"its memory is charged for", charge_the_caller},    {"mappings", refuse_mappings},
	{"an area that is scribbled on", survive_scribbler},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
