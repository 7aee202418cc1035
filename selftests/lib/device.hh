/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thin wrappers of the ioctl interface. The ones that return a descriptor or a
 * struct fail the case when the kernel refuses; to look at a refusal, use
 * request(), which answers 0, a descriptor or a negative error number.
 */
#pragma once

#include "file.hh"
#include "tap.hh"

#include <corbel/corbel.h>
#include <corbel/irq.h>

#include <array>
#include <vector>

namespace corbel::selftest {

template <typename Argument>
int request(int fd, unsigned long command, Argument &argument)
{
	argument.size = sizeof(argument);
	return call(fd, command, &argument);
}

/* Opened, without a handshake. */
unique_fd open_device();

int say_hello(int device, corbel_hello &hello);

/* Opened and shaken hands with. */
unique_fd connect_device();

corbel_caps query(int device);
std::vector<corbel_hook_info> list_hooks(int device);
std::vector<corbel_vm_info> list_vms(int device);

unique_fd attach(int device, int vm_fd, __u64 *vm_id = nullptr);
unique_fd open_vm(int device, __u64 vm_id);
corbel_vm_info vm_info(int vm);
int set_pin(int vm, bool pinned);
unique_fd open_irq(int vm);

corbel_irq_info irq_info(int irq);
corbel_irq_vcpu irq_vcpu(int irq, unsigned vcpu, unsigned flags = 0);
std::array<corbel_irq_vector, CORBEL_IRQ_VECTORS> irq_vectors(int irq, unsigned vcpu);
corbel_irq_hist irq_hist(int irq, unsigned vcpu, unsigned vector = CORBEL_IRQ_ALL_VECTORS);
corbel_irq_check irq_check(int irq, unsigned flags = 0);
corbel_irq_policy irq_policy(int irq);
/* The VM's, and one vector's own; all other vectors keep what they have. */
void set_irq_policy(int irq, unsigned of_vm, unsigned vector = 0,
		    unsigned of_vector = CORBEL_IRQ_POLICY_INHERIT);

/* A policy for all vectors: half a millisecond a boost, 5 % of a CPU. */
corbel_irq_boost make_boost(uint32_t sources);
corbel_irq_boost get_boost(int irq);
void set_boost(int irq, corbel_irq_boost boost);
void set_boost_off(int irq);

__u64 sum_paths(const __u64 (&accepted)[CORBEL_IRQ_PATHS]);
bool test_vector(const __u64 (&words)[CORBEL_IRQ_WORDS], unsigned vector);
unsigned count_vectors(const __u64 (&words)[CORBEL_IRQ_WORDS]);
bool same_words(const __u64 (&a)[CORBEL_IRQ_WORDS], const __u64 (&b)[CORBEL_IRQ_WORDS]);
std::string print_words(const __u64 (&words)[CORBEL_IRQ_WORDS]);

/* Read-only shared mapping of the status page. */
class status_page {
public:
	explicit status_page(int irq);
	~status_page();
	status_page(const status_page &) = delete;

	const volatile corbel_irq_line *line(unsigned index) const { return lines + index; }
	void *address() const { return const_cast<corbel_irq_line *>(lines); }

private:
	const corbel_irq_line *lines;
};

} // namespace corbel::selftest
