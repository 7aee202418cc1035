// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A device in the kernel whose rings and buffers are in a memory object: vhost-vsock, with
 * this process for a guest. What it touches it waits for, as the process would; and what it
 * writes is tracked and held as the process's writes are.
 */
#include "memory_object.hh"
#include "module.hh"
#include "process.hh"
#include "wait.hh"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <linux/vm_sockets.h>
#include <optional>
#include <set>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Its functions are no C++, and vhost needs none of it. */
#define _LINUX_VIRTIO_RING_H
#include <linux/vhost.h>

using namespace corbel::selftest;

namespace {

constexpr uint64_t cid = 77;
constexpr unsigned port = 4711;
constexpr unsigned ring_entries = 16;
constexpr uint64_t seed = 0xc0de;

/* What it has of rings. */
struct ring_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};
constexpr uint16_t device_writes = 2;
struct ring_of_available {
	uint16_t flags, index, entries[ring_entries];
};
struct ring_of_used {
	uint16_t flags, index;
	struct {
		uint32_t id, length;
	} entries[ring_entries];
};

/* Pages of the object; the guest's addresses are offsets into it. */
enum place : uint64_t {
	descriptors,
	available,
	used,
	buffer,
	other_ring,
	all_pages = other_ring + 3
};

/* What the guest would have written: one buffer, which is offered. */
class image {
public:
	image()
	{
		std::memset(pages, 0, sizeof(pages));
		const page_pattern pattern(buffer, seed);
		std::memcpy(at<char>(buffer), &pattern, sizeof(pattern));
		*at<ring_descriptor>(descriptors) = {.address = buffer * page_bytes,
						     .length = page_bytes,
						     .flags = device_writes};
		at<ring_of_available>(available)->index = 1; /* which is entry 0 */
	}
	template <typename Type>
	Type *at(uint64_t page)
	{
		return reinterpret_cast<Type *>(pages[page]);
	}
	void install(const memory_object &memory, uint64_t page, uint64_t count = 1)
	{
		corbel_memory_install install = {.offset = page * page_bytes,
						 .bytes = count * page_bytes,
						 .source = reinterpret_cast<__u64>(pages[page])};

		CHECK_EQ(request(memory.fd(), CORBEL_MEMORY_INSTALL, install), 0, "page {}", page);
	}

	/* What the device looks for first it finds missing: the ring of what is offered. */
	void install_but_for_what_is_offered(const memory_object &memory)
	{
		install(memory, descriptors);
		install(memory, used, all_pages - used);
	}

private:
	char pages[all_pages][page_bytes];
};

/* The device, running. */
class vsock_device {
public:
	explicit vsock_device(const mapped &map)
	{
		if (std::system("modprobe vhost_vsock 2>/dev/null") != 0)
			skip("there is no vhost_vsock module here");
		fd.reset(open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC));
		if (!fd)
			skip("/dev/vhost-vsock: {}", error_name(errno));
		alignas(vhost_memory) char
			table[sizeof(vhost_memory) + sizeof(vhost_memory_region)] = {};
		const vhost_memory_region region = {.memory_size = all_pages * page_bytes,
						    .userspace_addr =
							    reinterpret_cast<__u64>(map.bytes())};
		reinterpret_cast<vhost_memory *>(table)->nregions = 1;
		std::memcpy(table + sizeof(vhost_memory), &region, sizeof(region));
		uint64_t features = uint64_t{1} << 32 /* VIRTIO_F_VERSION_1 */;

		set("VHOST_SET_OWNER", VHOST_SET_OWNER, nullptr);
		set("VHOST_SET_FEATURES", VHOST_SET_FEATURES, &features);
		set("VHOST_SET_MEM_TABLE", VHOST_SET_MEM_TABLE, table);
		set_ring(0, map, descriptors);
		set_ring(1, map, other_ring);
		uint64_t number = cid;
		set("VHOST_VSOCK_SET_GUEST_CID", VHOST_VSOCK_SET_GUEST_CID, &number);
		int run = 1;
		set("VHOST_VSOCK_SET_RUNNING", VHOST_VSOCK_SET_RUNNING, &run);
	}

private:
	void set(const char *name, unsigned long command, void *argument)
	{
		CHECK(ioctl(fd.get(), command, argument) == 0, "{}: {}", name, error_name(errno));
	}
	void set_ring(unsigned index, const mapped &map, uint64_t first)
	{
		vhost_vring_state size = {index, ring_entries}, base = {index, 0};
		vhost_vring_addr addresses = {
			.index = index,
			.desc_user_addr = reinterpret_cast<__u64>(map.bytes(first)),
			.used_user_addr = reinterpret_cast<__u64>(map.bytes(first + 2)),
			.avail_user_addr = reinterpret_cast<__u64>(map.bytes(first + 1))};
		kicks[index].reset(eventfd(0, EFD_CLOEXEC));
		vhost_vring_file kick = {index, kicks[index].get()};

		set("VHOST_SET_VRING_NUM", VHOST_SET_VRING_NUM, &size);
		set("VHOST_SET_VRING_BASE", VHOST_SET_VRING_BASE, &base);
		set("VHOST_SET_VRING_ADDR", VHOST_SET_VRING_ADDR, &addresses);
		set("VHOST_SET_VRING_KICK", VHOST_SET_VRING_KICK, &kick);
	}

	unique_fd fd, kicks[2];
};

/* The host asks the guest for a connection: the device writes that to the buffer. */
unique_fd ask_guest()
{
	unique_fd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	sockaddr_vm address = {};

	CHECK(socket, "a vsock: {}", error_name(errno));
	address.svm_family = AF_VSOCK;
	address.svm_cid = cid;
	address.svm_port = port;
	CHECK(connect(socket.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) < 0 &&
		      errno == EINPROGRESS,
	      "connecting to the guest: {}", error_name(errno));
	return socket;
}

uint16_t used_index(const mapped &map)
{
	return __atomic_load_n(&reinterpret_cast<ring_of_used *>(map.bytes(used))->index,
			       __ATOMIC_ACQUIRE);
}

void check_asked(const mapped &map)
{
	wait_until("the guest is asked", [&] { return used_index(map) == 1; });
	const auto *ring = reinterpret_cast<const ring_of_used *>(map.bytes(used));
	virtio_vsock_hdr header;
	std::memcpy(&header, map.bytes(buffer), sizeof(header));
	CHECK_EQ(ring->entries[0].length, sizeof(header), "bytes written");
	CHECK_EQ(header.dst_cid, cid, "the guest's number");
	CHECK_EQ(header.dst_port, port, "its port");
	CHECK_EQ(header.op, static_cast<uint16_t>(VIRTIO_VSOCK_OP_REQUEST), "what is asked");
	for (uint64_t i = (sizeof(header) + 7) / 8; i < words_of_page; i++)
		CHECK_EQ(map.word(buffer, i), pattern_word(buffer, i, seed), "word {} behind it",
			 i);
}

/* All of it missing: each page that the device touches is asked for, and it goes on with that. */
void wait_for_pages()
{
	ensure_corbel();
	memory_object memory(all_pages * page_bytes);
	mapped map(memory.fd(), all_pages * page_bytes);
	image contents;
	std::set<uint64_t> served;
	std::atomic<bool> over{false};
	std::thread server([&] {
		while (!over)
			for (uint64_t page : memory.take_requests()) {
				std::this_thread::sleep_for(std::chrono::milliseconds(1));
				contents.install(memory, page);
				served.insert(page);
			}
	});
	{
		const vsock_device device(map);
		const unique_fd socket = ask_guest();

		check_asked(map);
	}
	over = true;
	server.join();
	for (uint64_t page : {descriptors, available, used, buffer})
		CHECK(served.contains(page), "page {} was not asked for", page);
	comment("{} of {} pages for a device, {} waits", served.size(), +all_pages,
		memory.info().waits);
}

/* It waits for a page when its process is killed: that ends all the same. */
void end_who_waits()
{
	ensure_corbel();
	memory_object memory(all_pages * page_bytes);
	const std::string node = memory.node();
	image contents;
	contents.install_but_for_what_is_offered(memory);
	child_process child([&](child_process &self) {
		unique_fd other(open(node.c_str(), O_RDWR));
		mapped map(other.get(), all_pages * page_bytes);
		const vsock_device device(map);
		const unique_fd socket = ask_guest();

		self.tell(1);
		pause();
	});
	child.hear();
	wait_until("the device waits", [&] { return memory.info().waits > 0; });
	child.kill(SIGKILL);
	const int status = child.reap();
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "ended with {:#x}", status);
	CHECK_EQ(memory.info().waiting, 1u, "pages waited for");
	memory.close();
	wait_until("the object is gone", [&] { return !file_exists(node); });
}

/* Nor its process, if that is killed while it closes the device, which waits for the page. */
void end_who_closes()
{
	ensure_corbel();
	memory_object memory(all_pages * page_bytes);
	const std::string node = memory.node();
	image contents;
	contents.install_but_for_what_is_offered(memory);
	child_process child([&](child_process &) {
		unique_fd other(open(node.c_str(), O_RDWR));
		mapped map(other.get(), all_pages * page_bytes);
		std::optional<vsock_device> device(map);
		const unique_fd socket = ask_guest();

		wait_until("the device waits", [&] { return memory.info().waits > 0; });
		device.reset();
	});
	const std::string stack = fmt::format("/proc/{}/stack", child.pid());
	wait_until("it closes the device", [&] {
		return read_file(stack).find("vhost_vsock_dev_release") != std::string::npos;
	});
	child.kill(SIGKILL);
	const bool ended = wait_for([&] {
		siginfo_t info = {};

		return waitid(P_PID, child.pid(), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		       info.si_pid == child.pid();
	});
	memory.fail(); /* lets go of one that has not */
	const int status = child.reap();
	CHECK(ended, "it waits for the page for ever");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "ended with {:#x}", status);
}

/* It is told of a failure, and then has nothing to do any more. */
void tell_of_failure()
{
	ensure_corbel();
	memory_object memory(all_pages * page_bytes);
	mapped map(memory.fd(), all_pages * page_bytes);
	image contents;
	contents.install_but_for_what_is_offered(memory);
	{
		const vsock_device device(map);
		const unique_fd socket = ask_guest();

		wait_until("the device waits", [&] { return memory.info().waits > 0; });
		memory.fail();
	}
	CHECK_EQ(used_index(map), 0u, "what the device has done");
	CHECK_EQ(map.read(buffer, 3), pattern_word(buffer, 3, seed), "the buffer");
}

/* Before the device is closed, which waits for what is held. */
struct unsealed_at_the_end {
	const memory_object &memory;

	~unsealed_at_the_end() { (void)try_seal(memory.fd(), false); }
};

void track_and_hold()
{
	ensure_corbel();
	memory_object memory(all_pages * page_bytes);
	mapped map(memory.fd(), all_pages * page_bytes);
	image contents;
	contents.install(memory, 0, all_pages);
	const vsock_device device(map);
	memory.track();
	const unsealed_at_the_end guard{memory};
	memory.seal();
	/* When it begins, it looks for what there is to do, and says so in its ring. */
	memory.dirty();
	const unique_fd socket = ask_guest();

	wait_until("the device is held", [&] { return memory.info().held > 0; });
	CHECK_EQ(map.read(buffer, 0), pattern_word(buffer, 0, seed), "the buffer while it is held");
	CHECK_EQ(memory.dirty().count(), 0u, "told of a sealed object");
	memory.seal(false);
	check_asked(map);
	const page_set told = memory.dirty();
	CHECK(told.has(buffer) && told.has(used), "what the device wrote is not told");
	CHECK(!told.has(descriptors) && !told.has(available), "what it only read is told");
}

constexpr test_case cases[] = {
	{"a device waits for its pages", wait_for_pages},
	{"a device that waits does not outlast its process", end_who_waits},
	{"a device that is closed waits no longer than its process", end_who_closes},
	{"a device is told of a failure", tell_of_failure},
	{"a device is tracked and held", track_and_hold},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
