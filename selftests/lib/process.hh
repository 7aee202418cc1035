/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM in a process of its own, as QEMU's is: found by its pid and the number of
 * its kvm-vm descriptor, attached to through pidfd_getfd(2), and killed at will.
 */
#pragma once

#include "vm.hh"

#include <functional>

namespace corbel::selftest {

class child_process {
public:
	/* Forks; the child runs `body`, which can tell() the parent a number, and exits. */
	explicit child_process(std::function<void(child_process &)> body);
	~child_process();
	child_process(const child_process &) = delete;

	pid_t pid() const { return child; }
	void tell(long number);
	/* What the child told; fails the case if it died first. */
	long hear();
	void kill(int signal);
	/* Waits for its end; answers the wait status. */
	int reap();
	/* A copy of its descriptor `number`. */
	unique_fd take_fd(int number) const;

private:
	pid_t child = -1;
	unique_fd pipe_end;
};

class vm_process {
public:
	/* With `load`, interrupts are sent to it all the time. */
	explicit vm_process(unsigned vcpus = 2, bool load = true);

	unique_fd vm_fd() const { return process.take_fd(vm_number); }
	pid_t pid() const { return process.pid(); }
	/* Kills it and waits until it is gone. */
	void kill();
	/* Has it close every descriptor and mapping of the VM and live on. */
	void close_vm();
	/* As close_vm(), then exit(). */
	void finish();

private:
	child_process process;
	int vm_number;
	bool gone = false;
};

} // namespace corbel::selftest
