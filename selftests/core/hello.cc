// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The handshake: nothing before it, skew refused with both versions named, and
 * who may open the device at all.
 */
#include "memory_object.hh"
#include "module.hh"
#include "process.hh"
#include "tap.hh"

#include <cstring>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

using namespace corbel::selftest;

namespace {

/* Every ioctl of the device but the handshake, well-formed, answers EPROTO. */
void check_locked(int device)
{
	corbel_caps caps = {};
	corbel_hook_info hook = {};
	corbel_vm_list list = {};
	corbel_vm_attach vm = {};
	corbel_vm_open open = {};
	corbel_memory_create memory = {.bytes = CORBEL_MEMORY_PAGE};

	CHECK_EQ(request(device, CORBEL_QUERY, caps), -EPROTO, "CORBEL_QUERY");
	CHECK_EQ(request(device, CORBEL_HOOK_INFO, hook), -EPROTO, "CORBEL_HOOK_INFO");
	CHECK_EQ(request(device, CORBEL_VM_LIST, list), -EPROTO, "CORBEL_VM_LIST");
	CHECK_EQ(request(device, CORBEL_VM_ATTACH, vm), -EPROTO, "CORBEL_VM_ATTACH");
	CHECK_EQ(request(device, CORBEL_VM_OPEN, open), -EPROTO, "CORBEL_VM_OPEN");
	CHECK_EQ(request(device, CORBEL_MEMORY_CREATE, memory), -EPROTO, "CORBEL_MEMORY_CREATE");
}

void require_handshake()
{
	ensure_corbel();
	unique_fd device = open_device();
	check_locked(device.get());
	corbel_hello hello;
	CHECK_EQ(say_hello(device.get(), hello), 0, "handshake after refused requests");
	query(device.get());

	unique_fd other = open_device();
	check_locked(other.get());
}

void name_versions()
{
	ensure_corbel();
	unique_fd device = open_device();
	corbel_hello hello;
	utsname system;

	CHECK_EQ(say_hello(device.get(), hello), 0, "handshake");
	CHECK_EQ(hello.abi_major, CORBEL_ABI_MAJOR, "module's ABI");
	CHECK_EQ(hello.abi_minor, CORBEL_ABI_MINOR, "module's ABI");
	CHECK(memchr(hello.version, 0, sizeof(hello.version)) && hello.version[0],
	      "no version in the answer");
	CHECK(std::strcmp(hello.version, "selftests"), "the answer repeats the caller's version");
	uname(&system);
	CHECK(!std::strncmp(hello.release, system.release, sizeof(hello.release)),
	      "built for '{}', running '{}'", hello.release, system.release);
	std::string source = read_file("/sys/module/corbel/srcversion");
	CHECK(source == std::string(hello.srcversion) + "\n", "srcversion '{}', sysfs '{}'",
	      hello.srcversion, source);
	comment("module {}, ABI {}.{}, for {}, srcversion {}", hello.version, hello.abi_major,
		hello.abi_minor, hello.release, hello.srcversion);
}

void refuse_skew()
{
	constexpr struct {
		__u32 major, minor;
	} wrong[] = {
		{CORBEL_ABI_MAJOR, CORBEL_ABI_MINOR + 1},
		{CORBEL_ABI_MAJOR, ~0u},
		{CORBEL_ABI_MAJOR + 1, 0},
		{CORBEL_ABI_MAJOR + 1, CORBEL_ABI_MINOR},
		{CORBEL_ABI_MAJOR - 1, CORBEL_ABI_MINOR},
		{0, 0},
		{~0u, ~0u},
	};
	ensure_corbel();
	unique_fd device = open_device();

	for (auto [major, minor] : wrong) {
		corbel_hello hello = {};

		hello.abi_major = major;
		hello.abi_minor = minor;
		std::strcpy(hello.version, "skewed");
		if (major == CORBEL_ABI_MAJOR && minor <= CORBEL_ABI_MINOR)
			continue;
		CHECK_EQ(request(device.get(), CORBEL_HELLO, hello), -EPROTO, "ABI {}.{}", major,
			 minor);
		CHECK_EQ(hello.abi_major, CORBEL_ABI_MAJOR, "module's version is named");
		CHECK_EQ(hello.abi_minor, CORBEL_ABI_MINOR, "module's version is named");
		CHECK(hello.version[0] && std::strcmp(hello.version, "skewed"),
		      "module's version is named");
		check_locked(device.get());
	}
	corbel_hello hello;
	CHECK_EQ(say_hello(device.get(), hello), 0, "the right versions after wrong ones");
}

/* A tool may be older than the module. */
void accept_older_minor()
{
	ensure_corbel();
	for (__u32 minor = 0; minor <= CORBEL_ABI_MINOR; minor++) {
		unique_fd device = open_device();
		corbel_hello hello = {};

		hello.abi_major = CORBEL_ABI_MAJOR;
		hello.abi_minor = minor;
		CHECK_EQ(request(device.get(), CORBEL_HELLO, hello), 0, "ABI {}.{}",
			 CORBEL_ABI_MAJOR, minor);
		CHECK_EQ(hello.abi_minor, CORBEL_ABI_MINOR, "module's version is named");
		query(device.get());
	}
}

void drop_sys_admin()
{
	__user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	__user_cap_data_struct data[2] = {};

	syscall(SYS_capget, &head, data);
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	data[0].permitted &= ~(1u << CAP_SYS_ADMIN);
	CHECK(syscall(SYS_capset, &head, data) == 0, "capset: {}", error_name(errno));
}

/* Opening takes CAP_SYS_ADMIN; a descriptor handed over needs no more. */
void check_privilege()
{
	ensure_corbel();
	child_process child([](child_process &self) {
		unique_fd handed_over = connect_device();
		drop_sys_admin();
		int fd = open(CORBEL_DEVICE, O_RDWR | O_CLOEXEC);
		self.tell(fd < 0 ? -errno : fd);
		corbel_caps caps = {};
		self.tell(request(handed_over.get(), CORBEL_QUERY, caps));
	});
	CHECK_EQ(child.hear(), -EPERM, "open without CAP_SYS_ADMIN");
	CHECK_EQ(child.hear(), 0, "CORBEL_QUERY without CAP_SYS_ADMIN");
}

constexpr test_case cases[] = {
	{"handshake comes first", require_handshake},
	{"both sides' versions are named", name_versions},
	{"skew is refused", refuse_skew},
	{"an older minor is accepted", accept_older_minor},
	{"opening takes CAP_SYS_ADMIN", check_privilege},
};

} // namespace

int main(int argc, char **argv)
{
	return run_cases(argc, argv, cases);
}
