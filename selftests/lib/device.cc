// SPDX-License-Identifier: GPL-2.0-or-later
#include "device.hh"

#include <bit>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>

namespace corbel::selftest {

namespace {

template <typename Argument>
void need(int fd, unsigned long command, Argument &argument, const char *name)
{
	int result = request(fd, command, argument);

	CHECK(result == 0, "{} answers {}", name, error_name(result));
}

unique_fd need_fd(int result, const char *name)
{
	CHECK(result >= 0, "{} answers {}", name, error_name(result));
	return unique_fd(result);
}

} // namespace

unique_fd open_device()
{
	unique_fd fd(open(CORBEL_DEVICE, O_RDWR | O_CLOEXEC));

	CHECK(fd, "open {}: {}", CORBEL_DEVICE, error_name(errno));
	return fd;
}

int say_hello(int device, corbel_hello &hello)
{
	hello = {};
	hello.abi_major = CORBEL_ABI_MAJOR;
	hello.abi_minor = CORBEL_ABI_MINOR;
	std::strcpy(hello.version, "selftests");
	return request(device, CORBEL_HELLO, hello);
}

unique_fd connect_device()
{
	unique_fd fd = open_device();
	corbel_hello hello;
	int result = say_hello(fd.get(), hello);

	CHECK(result == 0, "CORBEL_HELLO answers {}: the module's ABI is {}.{}, ours {}.{}",
	      error_name(result), hello.abi_major, hello.abi_minor, CORBEL_ABI_MAJOR,
	      CORBEL_ABI_MINOR);
	return fd;
}

corbel_caps query(int device)
{
	corbel_caps caps = {};

	need(device, CORBEL_QUERY, caps, "CORBEL_QUERY");
	return caps;
}

std::vector<corbel_hook_info> list_hooks(int device)
{
	std::vector<corbel_hook_info> hooks(query(device).nr_hooks);

	for (unsigned i = 0; i < hooks.size(); i++) {
		hooks[i].index = i;
		need(device, CORBEL_HOOK_INFO, hooks[i], "CORBEL_HOOK_INFO");
	}
	return hooks;
}

std::vector<corbel_vm_info> list_vms(int device)
{
	std::vector<corbel_vm_info> vms(64);
	corbel_vm_list list = {};

	list.count = vms.size();
	list.vms = reinterpret_cast<__u64>(vms.data());
	need(device, CORBEL_VM_LIST, list, "CORBEL_VM_LIST");
	vms.resize(std::min<size_t>(list.count, vms.size()));
	return vms;
}

unique_fd attach(int device, int vm_fd, __u64 *vm_id)
{
	corbel_vm_attach argument = {};

	argument.vm_fd = vm_fd;
	unique_fd fd = need_fd(request(device, CORBEL_VM_ATTACH, argument), "CORBEL_VM_ATTACH");
	if (vm_id)
		*vm_id = argument.vm_id;
	return fd;
}

unique_fd open_vm(int device, __u64 vm_id)
{
	corbel_vm_open argument = {};

	argument.vm_id = vm_id;
	return need_fd(request(device, CORBEL_VM_OPEN, argument), "CORBEL_VM_OPEN");
}

corbel_vm_info vm_info(int vm)
{
	corbel_vm_info info = {};

	need(vm, CORBEL_VM_INFO, info, "CORBEL_VM_INFO");
	return info;
}

int set_pin(int vm, bool pinned)
{
	corbel_vm_pin pin = {};

	pin.flags = pinned ? CORBEL_PIN_SET : 0;
	return request(vm, CORBEL_VM_PIN, pin);
}

unique_fd open_irq(int vm)
{
	corbel_vm_irq argument = {};

	return need_fd(request(vm, CORBEL_VM_IRQ, argument), "CORBEL_VM_IRQ");
}

corbel_irq_info irq_info(int irq)
{
	corbel_irq_info info = {};

	need(irq, CORBEL_IRQ_INFO, info, "CORBEL_IRQ_INFO");
	return info;
}

corbel_irq_vcpu irq_vcpu(int irq, unsigned vcpu, unsigned flags)
{
	corbel_irq_vcpu info = {};

	info.vcpu = vcpu;
	info.flags = flags;
	need(irq, CORBEL_IRQ_VCPU, info, "CORBEL_IRQ_VCPU");
	return info;
}

std::array<corbel_irq_vector, CORBEL_IRQ_VECTORS> irq_vectors(int irq, unsigned vcpu)
{
	std::array<corbel_irq_vector, CORBEL_IRQ_VECTORS> vectors = {};
	corbel_irq_vectors argument = {};

	argument.vcpu = vcpu;
	argument.count = vectors.size();
	argument.vectors = reinterpret_cast<__u64>(vectors.data());
	need(irq, CORBEL_IRQ_VECTORS_GET, argument, "CORBEL_IRQ_VECTORS_GET");
	return vectors;
}

corbel_irq_hist irq_hist(int irq, unsigned vcpu, unsigned vector)
{
	corbel_irq_hist hist = {};

	hist.vcpu = vcpu;
	hist.vector = vector;
	need(irq, CORBEL_IRQ_HIST, hist, "CORBEL_IRQ_HIST");
	return hist;
}

corbel_irq_check irq_check(int irq, unsigned flags)
{
	corbel_irq_check check = {};

	check.flags = flags;
	need(irq, CORBEL_IRQ_CHECK, check, "CORBEL_IRQ_CHECK");
	return check;
}

corbel_irq_policy irq_policy(int irq)
{
	corbel_irq_policy policy = {};

	need(irq, CORBEL_IRQ_POLICY, policy, "CORBEL_IRQ_POLICY");
	return policy;
}

void set_irq_policy(int irq, unsigned of_vm, unsigned vector, unsigned of_vector)
{
	corbel_irq_policy policy = irq_policy(irq);

	policy.flags = CORBEL_IRQ_F_SET;
	policy.policy = of_vm;
	policy.vectors[vector] = of_vector;
	need(irq, CORBEL_IRQ_POLICY, policy, "setting the policy");
}

corbel_irq_boost make_boost(uint32_t sources)
{
	corbel_irq_boost boost = {};

	boost.flags = CORBEL_IRQ_F_SET;
	boost.sources = sources;
	boost.priority = 1;
	boost.slice_us = 500;
	boost.budget_us = 5000;
	boost.period_ms = 100;
	for (auto &word : boost.vectors)
		word = ~0ULL;
	return boost;
}

corbel_irq_boost get_boost(int irq)
{
	corbel_irq_boost boost = {};

	need(irq, CORBEL_IRQ_BOOST, boost, "CORBEL_IRQ_BOOST");
	return boost;
}

void set_boost(int irq, corbel_irq_boost boost)
{
	need(irq, CORBEL_IRQ_BOOST, boost, "setting the boost");
}

void set_boost_off(int irq)
{
	corbel_irq_boost off = {};

	off.flags = CORBEL_IRQ_F_SET;
	set_boost(irq, off);
}

__u64 sum_paths(const __u64 (&accepted)[CORBEL_IRQ_PATHS])
{
	__u64 sum = 0;

	for (__u64 count : accepted)
		sum += count;
	return sum;
}

bool test_vector(const __u64 (&words)[CORBEL_IRQ_WORDS], unsigned vector)
{
	return words[vector / 64] >> vector % 64 & 1;
}

unsigned count_vectors(const __u64 (&words)[CORBEL_IRQ_WORDS])
{
	unsigned count = 0;

	for (__u64 word : words)
		count += std::popcount(word);
	return count;
}

bool same_words(const __u64 (&a)[CORBEL_IRQ_WORDS], const __u64 (&b)[CORBEL_IRQ_WORDS])
{
	return !std::memcmp(a, b, sizeof(a));
}

std::string print_words(const __u64 (&words)[CORBEL_IRQ_WORDS])
{
	std::string text;

	for (unsigned vector = 0; vector < CORBEL_IRQ_VECTORS; vector++)
		if (test_vector(words, vector))
			text += fmt::format("{}{:#x}", text.empty() ? "" : " ", vector);
	return "{" + text + "}";
}

status_page::status_page(int irq)
{
	void *page = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, irq, 0);

	CHECK(page != MAP_FAILED, "mapping the status page: {}", error_name(errno));
	lines = static_cast<const corbel_irq_line *>(page);
}

status_page::~status_page()
{
	munmap(address(), 4096);
}

} // namespace corbel::selftest
