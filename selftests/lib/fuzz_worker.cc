// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz_worker.hh"
#include "tap.hh"

#include <corbel/qos.h>

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

namespace corbel::selftest {

namespace {

constexpr size_t page_size = 4096;
constexpr size_t most_objects = 28;
constexpr size_t most_vms = 3;
constexpr size_t most_mappings = 12;

constexpr uint64_t interesting[] = {0,
				    1,
				    2,
				    4,
				    6,
				    7,
				    8,
				    20,
				    21,
				    24,
				    63,
				    64,
				    127,
				    255,
				    256,
				    1023,
				    1024,
				    4095,
				    4096,
				    0x7fffffff,
				    0x80000000,
				    0xffffffff,
				    0x100000000,
				    0x7fffffffffff,
				    0x800000000000,
				    0xffff888000000000,
				    0x7fffffffffffffff,
				    0x8000000000000000,
				    0xffffffffffffffff};

/*
 * Where the kernel is told to write lists to: far from all else of the process,
 * so that a mutated pointer, as a rule, hits nothing or this.
 */
constexpr uintptr_t answers_at = 0x200000000000;

} // namespace

fuzz_worker::fuzz_worker(uint64_t seed, unsigned number, victims &others, scribbler &scribbles)
	: random(seed * 0x9e3779b97f4a7c15 + number),
	  others(others),
	  scribbles(scribbles),
	  space(16384)
{
	void *place = mmap(reinterpret_cast<void *>(answers_at + number * (uintptr_t{1} << 40)),
			   answers_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(place != MAP_FAILED, "mmap: {}", error_name(errno));
	answers = static_cast<char *>(place);
}

fuzz_worker::~fuzz_worker()
{
	munmap(answers, answers_size);
	for (mapping &one : mappings)
		munmap(one.place, one.length);
}

fuzz_worker::object *fuzz_worker::pick(fd_kind kind)
{
	unsigned count = 0;
	object *chosen = nullptr;

	for (object &one : objects)
		if (one.kind == kind && draw(++count) == 0)
			chosen = &one;
	return chosen;
}

int fuzz_worker::pick_any_fd()
{
	return objects.empty() ? -1 : objects[draw(objects.size())].fd.get();
}

void fuzz_worker::add(fd_kind kind, int fd)
{
	if (objects.size() >= most_objects)
		objects.erase(objects.begin() + draw(objects.size()));
	objects.push_back({kind, unique_fd(fd)});
}

int fuzz_worker::pick_vm_fd()
{
	if (chance(20))
		foreign_vm = others.take_vm_fd(random());
	if (chance(30) && foreign_vm)
		return foreign_vm.get();
	if (!vms.empty() && chance(95))
		return vms[draw(vms.size())]->fd();
	return chance(50) ? pick_any_fd()
			  : static_cast<int>(interesting[draw(std::size(interesting))]);
}

int fuzz_worker::pick_vcpu_fd()
{
	if (vms.empty() || chance(5))
		return pick_vm_fd();
	guest_vm &vm = *vms[draw(vms.size())];

	return vm.at(draw(vm.nr_vcpus())).fd();
}

void fuzz_worker::mutate(const abi_entry &entry, char *argument)
{
	for (unsigned n = 1 + draw(3); n; n--) {
		uint64_t value = chance(70) ? interesting[draw(std::size(interesting))] : random();
		size_t width = size_t{1} << draw(4);
		size_t offset;

		/* The first bytes decide most; the rest of a struct is mostly answer. */
		if (chance(60))
			offset = draw(std::min<size_t>(entry.size(), 40));
		else
			offset = draw(entry.size());
		offset &= ~(width - 1);
		width = std::min(width, entry.size() - offset);
		if (chance(25))
			argument[offset] ^= 1 << draw(8);
		else
			std::memcpy(argument + offset, &value, width);
	}
}

void fuzz_worker::open_device()
{
	int fd = open(CORBEL_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (corbel_hello hello; chance(85))
		say_hello(fd, hello);
	add(fd_kind::device, fd);
}

/* Two ends that belong together, as those of set_pager() hardly ever do. */
void fuzz_worker::make_pagers()
{
	const memory_object served(page_bytes * 4, 0), fetched(page_bytes * 4);

	if (chance(70))
		served.track();
	const transfer pages(served, fetched);
	if (chance(50))
		served.seal();
	for (const int fd : {served.fd(), fetched.fd()})
		add(fd_kind::memory, dup(fd));
	for (const int fd : {pages.serve.fd(), pages.fetch.fd()})
		add(fd_kind::pager, dup(fd));
}

namespace {

/* A signal for this thread every 20 ms: some wait for an end that is nobody's. */
class interruption {
public:
	interruption()
	{
		struct sigaction action = {};
		sigevent event = {};
		const timespec period = {.tv_sec = 0, .tv_nsec = 20'000'000};
		const itimerspec times = {.it_interval = period, .it_value = period};

		action.sa_handler = [](int) {};
		sigaction(SIGALRM, &action, nullptr);
		event.sigev_notify = SIGEV_THREAD_ID;
		event.sigev_signo = SIGALRM;
		event._sigev_un._tid = gettid();
		CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create: {}",
		      error_name(errno));
		timer_settime(timer, 0, &times, nullptr);
	}
	~interruption() { timer_delete(timer); }
	interruption(const interruption &) = delete;

private:
	timer_t timer = {};
};

} // namespace

void fuzz_worker::do_ioctl()
{
	auto table = abi_table();
	const abi_entry &entry = table[draw(table.size())];
	object *target = pick(entry.kind);

	if (!target) {
		open_device();
		return;
	}

	char *argument = space.data() + draw(64);
	fill_valid(entry, argument);
	if (chance(35))
		mutate(entry, argument);
	const bool allocates = entry.command == CORBEL_MEMORY_CREATE;
	if (allocates)
		limit_memory(argument);
	if (!allocates && chance(6)) {
		/* Where the scribbler changes it while the kernel reads it. */
		std::memcpy(scribbles.shared_page(), argument, entry.size());
		argument = scribbles.shared_page();
	} else if (chance(4)) {
		argument = reinterpret_cast<char *>(interesting[draw(std::size(interesting))]);
	} else if (chance(3) && !mappings.empty()) {
		argument = static_cast<char *>(mappings[draw(mappings.size())].place) +
			   draw(page_size);
	}

	std::optional<interruption> limit;
	if (entry.kind == fd_kind::pager)
		limit.emplace();
	int result = call(target->fd.get(), entry.command, argument);
	statistics.ioctls++;
	statistics.answers[entry.name][std::min(result, 0)]++;
	if (result < 0)
		return;
	if (entry.makes_fd) {
		if (entry.command == CORBEL_VM_ATTACH && argument >= space.data() &&
		    argument < space.data() + space.size()) {
			std::memcpy(&known_id, argument + offsetof(corbel_vm_attach, vm_id),
				    sizeof(known_id));
		}
		fd_kind kind = entry.command == CORBEL_VM_IRQ	      ? fd_kind::irq
			       : entry.command == CORBEL_IRQ_RING     ? fd_kind::ring
			       : entry.command == CORBEL_IRQ_DIST_NEW ? fd_kind::dist
			       : entry.command == CORBEL_IRQ_STATS    ? fd_kind::stats
			       : entry.command == CORBEL_DIST_STATS   ? fd_kind::stats
			       : entry.command == CORBEL_QOS_STATS    ? fd_kind::stats
			       : entry.command == CORBEL_PAGER_NEW    ? fd_kind::pager
			       : entry.command == CORBEL_REPLAY_ENROL ? fd_kind::recorder
			       : allocates			      ? fd_kind::memory
								      : fd_kind::vm;
		add(kind, result);
	}
}

/* A wrong descriptor, a wrong number, or both. None of these makes a descriptor. */
void fuzz_worker::do_strange_ioctl()
{
	auto table = abi_table();
	const abi_entry &entry = table[draw(table.size())];
	unsigned long command = entry.command;
	object *target = objects.empty() ? nullptr : &objects[draw(objects.size())];

	if (!target || (target->kind == entry.kind && chance(50)))
		return;
	fill_valid(entry, space.data());
	if (target->kind == entry.kind)
		command ^= 1ul << draw(32);
	/* One bit can lead to another number, which may make one that nobody closes. */
	for (const abi_entry &other : table)
		if (other.command == command && other.kind == target->kind)
			return;
	call(target->fd.get(), command, space.data());
	statistics.ioctls++;
}

void fuzz_worker::map_something()
{
	constexpr off_t offsets[] = {0, page_size, CORBEL_RING_DATA_OFFSET,
				     CORBEL_RING_DATA_OFFSET + page_size};
	object *target = pick(chance(60) ? fd_kind::ring : fd_kind::irq);
	bool control = target && target->kind == fd_kind::ring && chance(40);
	off_t offset = control					 ? CORBEL_RING_CTL_OFFSET
		       : target && target->kind == fd_kind::ring ? CORBEL_RING_DATA_OFFSET
								 : 0;
	size_t length =
		offset ? page_size + (sizeof(corbel_event) << CORBEL_RING_MIN_ORDER << draw(4))
		       : page_size;
	int protection = control ? PROT_READ | PROT_WRITE : PROT_READ;

	if (!target)
		return;
	if (chance(15))
		offset = chance(80) ? offsets[draw(std::size(offsets))]
				    : static_cast<off_t>(random() & ~(page_size - 1));
	if (chance(10))
		length = page_size * (1 + draw(64));
	if (chance(10))
		protection = static_cast<int>(draw(8));
	void *place = mmap(nullptr, length, protection, chance(90) ? MAP_SHARED : MAP_PRIVATE,
			   target->fd.get(), offset);
	if (place == MAP_FAILED)
		return;
	if (control && offset == CORBEL_RING_CTL_OFFSET && protection == (PROT_READ | PROT_WRITE) &&
	    length == page_size) {
		scribbles.adopt(place);
		return;
	}
	if (mappings.size() >= most_mappings) {
		size_t old = draw(mappings.size());

		munmap(mappings[old].place, mappings[old].length);
		mappings.erase(mappings.begin() + old);
	}
	mappings.push_back({place, length});
}

void fuzz_worker::map_distributor()
{
	constexpr off_t offsets[] = {CORBEL_DIST_STATUS_OFFSET, CORBEL_DIST_RECORD_OFFSET,
				     CORBEL_DIST_RING_OFFSET};
	object *target = pick(fd_kind::dist);
	const off_t offset = offsets[draw(std::size(offsets))];
	const bool ring = offset == CORBEL_DIST_RING_OFFSET;

	if (!target)
		return;
	void *place = mmap(nullptr, page_size, ring ? PROT_READ | PROT_WRITE : PROT_READ,
			   MAP_SHARED, target->fd.get(), offset);
	if (place == MAP_FAILED)
		return;
	if (ring)
		scribbles.adopt(place);
	else
		munmap(place, page_size);
}

/* What is scribbled there is what the vCPU is told, when next it runs. */
void fuzz_worker::map_recorder()
{
	object *target = pick(fd_kind::recorder);

	if (!target)
		return;
	void *place =
		mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, target->fd.get(), 0);
	if (place != MAP_FAILED)
		scribbles.adopt(place);
}

/* A signal to whatever is bound, and to whoever listens to a doorbell. */
void fuzz_worker::signal_something()
{
	__u64 one = 1;
	[[maybe_unused]] ssize_t done = write(pick_eventfd(), &one, sizeof(one));
}

void fuzz_worker::touch_mapping()
{
	if (mappings.empty())
		return;
	mapping &one = mappings[draw(mappings.size())];
	int how = static_cast<int>(draw(3));

	/* Through a system call, which answers an error where a load would fault. */
	if (how == 0) {
		unique_fd zero(open("/dev/null", O_WRONLY | O_CLOEXEC));
		[[maybe_unused]] ssize_t length = write(zero.get(), one.place, one.length);
	} else if (how == 1) {
		mprotect(one.place, page_size, static_cast<int>(draw(8)));
	} else {
		madvise(one.place, one.length, static_cast<int>(draw(22)));
	}
}

void fuzz_worker::interrupt_vm()
{
	if (vms.empty())
		return;
	guest_vm &vm = *vms[draw(vms.size())];
	unsigned index = draw(vm.nr_vcpus());

	for (unsigned n = draw(20); n; n--)
		vm.send_msi(index, 0x20 + draw(0xe0));
	if (chance(5)) {
		uint32_t data = chance(50) ? msi_init : static_cast<uint32_t>(draw(0x800));

		/* An SMI would run the guest where it has no memory. */
		if ((data & 0x700) != 0x200)
			vm.send_raw_msi(msi_address(draw(4)) | draw(16), data);
	}
}

/* Lets the guest take what is pending, in this thread. */
void fuzz_worker::run_vm()
{
	if (vms.empty())
		return;
	guest_vm &vm = *vms[draw(vms.size())];
	vcpu &cpu = vm.at(chance(30) ? draw(vm.nr_vcpus()) : 0);

	if (cpu.index || chance(20)) {
		kvm_lapic_state lapic = cpu.lapic();

		for (unsigned n = draw(4); n; n--)
			set_lapic_bit(lapic, lapic_irr, 0x20 + draw(0xe0), chance(50));
		cpu.set_lapic(lapic);
		return;
	}
	/* Only the first: any other that got an INIT would wait for a SIPI for ever. */
	cpu.memory->mode = guest_mode::leave;
	cpu.step_once();
}

void fuzz_worker::change_vms()
{
	if (vms.size() >= most_vms || (!vms.empty() && chance(50))) {
		vms.erase(vms.begin() + draw(vms.size()));
		return;
	}
	vms.push_back(std::make_unique<guest_vm>(1 + draw(2), 3));
}

void fuzz_worker::do_file_call()
{
	object *stats = chance(30) ? pick(fd_kind::stats) : nullptr;
	int fd = stats ? stats->fd.get() : pick_any_fd();
	pollfd entry = {fd, static_cast<short>(random()), 0};
	char bytes[64];
	[[maybe_unused]] ssize_t length;

	if (fd < 0)
		return;
	switch (draw(6)) {
	case 0:
		length = read(fd, bytes, sizeof(bytes));
		break;
	case 3:
		length = pread(fd, answers, draw(4096), static_cast<off_t>(draw(2048)));
		break;
	case 1:
		length = write(fd, bytes, sizeof(bytes));
		break;
	case 2:
		lseek(fd, static_cast<off_t>(random()), static_cast<int>(draw(5)));
		break;
	default:
		poll(&entry, 1, 0);
	}
}

void fuzz_worker::step()
{
	unsigned dice = draw(1000);

	statistics.operations++;
	if (dice < 600)
		do_ioctl();
	else if (dice < 650)
		do_strange_ioctl();
	else if (dice < 665)
		open_device();
	else if (dice < 670)
		make_pagers();
	else if (dice < 740 && !objects.empty())
		objects.erase(objects.begin() + draw(objects.size()));
	else if (dice < 790)
		map_something();
	else if (dice < 797)
		map_distributor();
	else if (dice < 800)
		map_recorder();
	else if (dice < 850)
		touch_mapping();
	else if (dice < 920)
		interrupt_vm();
	else if (dice < 940)
		signal_something();
	else if (dice < 960)
		run_vm();
	else if (dice < 965 || vms.empty())
		change_vms();
	else if (dice < 970 && vms[0]->nr_vcpus() < 3)
		vms[0]->add_vcpu();
	else
		do_file_call();
}

} // namespace corbel::selftest
