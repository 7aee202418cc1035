// SPDX-License-Identifier: GPL-2.0-or-later
#include "process.hh"
#include "load.hh"
#include "tap.hh"
#include "wait.hh"

#include <csignal>
#include <fcntl.h>
#include <optional>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace corbel::selftest {

namespace {

std::atomic<bool> told_to_close;

/* The child's body: a VM that lives until SIGTERM, then the process until it is killed. */
void run_vm(child_process &self, unsigned vcpus, bool load)
{
	struct sigaction action = {};

	action.sa_handler = [](int) { told_to_close = true; };
	sigaction(SIGTERM, &action, nullptr);

	std::optional<guest_vm> vm(std::in_place, vcpus);
	vm->start();
	for (unsigned i = 1; i < vcpus; i += 2)
		vm->set_mode(i, guest_mode::halt);
	std::optional<interrupt_load> sender;
	if (load)
		sender.emplace(*vm).start();
	self.tell(vm->fd());
	while (!told_to_close)
		std::this_thread::sleep_for(std::chrono::milliseconds(5));
	sender.reset();
	vm.reset();
	self.tell(0);
	for (;;)
		pause();
}

} // namespace

child_process::child_process(std::function<void(child_process &)> body)
{
	int ends[2];

	CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe: {}", error_name(errno));
	std::fflush(stdout);
	child = fork();
	CHECK(child >= 0, "fork: {}", error_name(errno));
	if (child) {
		close(ends[1]);
		pipe_end.reset(ends[0]);
		return;
	}

	/* Keeps nothing of the parent's: a descriptor more would hold its objects. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(ends[1], 3);
	close_range(4, ~0u, 0);
	pipe_end.reset(3);
	try {
		body(*this);
	} catch (const std::exception &error) {
		comment("child: {}", error.what());
		_exit(1);
	}
	_exit(0);
}

child_process::~child_process()
{
	if (child > 0) {
		::kill(child, SIGKILL);
		waitpid(child, nullptr, 0);
	}
}

void child_process::tell(long number)
{
	if (write(pipe_end.get(), &number, sizeof(number)) != sizeof(number))
		_exit(1);
}

long child_process::hear()
{
	long number;
	ssize_t length;

	do {
		length = read(pipe_end.get(), &number, sizeof(number));
	} while (length < 0 && errno == EINTR);
	CHECK(length == sizeof(number), "the child process ended before it answered");
	return number;
}

void child_process::kill(int signal)
{
	CHECK(::kill(child, signal) == 0, "kill: {}", error_name(errno));
}

int child_process::reap()
{
	int status = 0;

	waitpid(std::exchange(child, -1), &status, 0);
	return status;
}

unique_fd child_process::take_fd(int number) const
{
	unique_fd process(syscall(SYS_pidfd_open, child, 0));
	CHECK(process, "pidfd_open: {}", error_name(errno));
	unique_fd copy(syscall(SYS_pidfd_getfd, process.get(), number, 0));
	CHECK(copy, "pidfd_getfd: {}", error_name(errno));
	return copy;
}

vm_process::vm_process(unsigned vcpus, bool load)
	: process([=](child_process &self) { run_vm(self, vcpus, load); }),
	  vm_number(process.hear())
{}

void vm_process::kill()
{
	process.kill(SIGKILL);
	process.reap();
	gone = true;
}

void vm_process::close_vm()
{
	process.kill(SIGTERM);
	process.hear();
}

void vm_process::finish()
{
	close_vm();
	kill();
}

} // namespace corbel::selftest
