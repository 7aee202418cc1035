// SPDX-License-Identifier: GPL-2.0-or-later
#include "launcher.hh"

#include <libcorbel/text_file.hh>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

/* As /proc/PID/comm has it until exec(2) changes it. */
constexpr const char *waiting_name = "corbel-waits";

std::unexpected<Error> trouble(const std::string &what)
{
	return failure(errno,
		       fmt::format("QEMU cannot be started: {}: {}.", what, describe_errno(errno)));
}

struct Pipe {
	ScopedFd out, in;

	static Result<Pipe> make()
	{
		int ends[2];

		if (::pipe2(ends, O_CLOEXEC) != 0)
			return trouble("pipe");
		return Pipe{ScopedFd(ends[0]), ScopedFd(ends[1])};
	}
};

/* What the new process has, in the order of the numbers they get from 0 on. */
enum Number { null_number, output_number, error_number, go_number, report_number, alive_number };
using Descriptors = std::array<int, alive_number + 1>;

/* Descriptors of other launches would keep their locks and pipes; they end here. */
bool take_descriptors(Descriptors descriptors)
{
	constexpr int above = 64;

	for (int &fd : descriptors)
		fd = ::fcntl(fd, F_DUPFD, above);
	for (std::size_t i = 0; i < descriptors.size(); i++)
		if (descriptors[i] < 0 || ::dup2(descriptors[i], static_cast<int>(i)) < 0)
			return false;
	for (const int fd : {go_number, report_number})
		if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			return false;
	return ::syscall(SYS_close_range, alive_number + 1, ~0U, 0) == 0;
}

/* The daemon ignores and blocks signals that QEMU ends by. */
void restore_signals()
{
	sigset_t none;

	sigemptyset(&none);
	for (int number = 1; number < 32; number++)
		(void)std::signal(number, SIG_DFL);
	::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/* Only what is allowed after a fork of one thread of many. */
void become(const Descriptors &descriptors, const char *path, char *const *arguments)
{
	const auto self = ::getpid();
	char go = 0;

	restore_signals();
	if (!take_descriptors(descriptors) || ::chdir("/") != 0 ||
	    ::prctl(PR_SET_NAME, waiting_name) != 0 ||
	    ::write(report_number, &self, sizeof(self)) != sizeof(self))
		return;
	if (::read(go_number, &go, 1) != 1)
		return;
	::execv(path, arguments);
	const int number = errno;
	(void)!::write(report_number, &number, sizeof(number));
}

/* One number from the new process. False: it ended, or became QEMU. */
bool read_number(const ScopedFd &report, int &number)
{
	ssize_t got = 0;

	do
		got = ::read(report.get(), &number, sizeof(number));
	while (got < 0 && errno == EINTR);
	return got == sizeof(number);
}

} /* namespace */

Result<std::string> find_program(const std::string &name)
{
	const char *path = std::getenv("PATH");
	std::istringstream folders(path ? path : "/usr/local/bin:/usr/bin:/bin");

	if (name.find('/') != name.npos)
		return name;
	for (std::string folder; std::getline(folders, folder, ':');)
		if (auto file = fmt::format("{}/{}", folder, name);
		    folder.starts_with('/') && ::access(file.c_str(), X_OK) == 0)
			return file;
	return failure(ENOENT, fmt::format("'{}' is looked for in PATH, and is not there: install "
					   "QEMU.",
					   name));
}

Result<void> launch(const Runtime &runtime, ScopedFd alive, const Program &program,
		    const std::function<Result<void>(pid_t)> &prepare)
{
	auto go = CORBEL_EXPECT(Pipe::make());
	auto report = CORBEL_EXPECT(Pipe::make());
	const ScopedFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
	const auto log_path = runtime.file("qemu.log");
	const ScopedFd log(::open(log_path.c_str(),
				  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
	std::vector<char *> arguments;
	int number = 0;

	if (!null || !log)
		return trouble(log_path);
	arguments.reserve(program.arguments.size() + 1);
	for (const auto &argument : program.arguments)
		arguments.push_back(const_cast<char *>(argument.c_str()));
	arguments.push_back(nullptr);
	const Descriptors descriptors{null.get(),   log.get(),	     log.get(),
				      go.out.get(), report.in.get(), alive.get()};

	const auto child = ::fork();
	if (child == 0) {
		/* Its parent ends at once: it is nobody's child whom the daemon must wait for. */
		if (::setsid() >= 0 && ::fork() == 0)
			become(descriptors, program.path.c_str(), arguments.data());
		::_exit(0);
	}
	if (child < 0)
		return trouble("fork");
	while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR)
		;
	go.out.reset();
	report.in.reset();
	alive.reset();
	if (!read_number(report.out, number))
		return failure(ECHILD, "QEMU cannot be started: its process ended before it was "
				       "told to go.");
	CORBEL_EXPECT(prepare(number));
	if (::write(go.in.get(), "g", 1) != 1)
		return trouble("pipe");
	if (read_number(report.out, number)) {
		errno = number;
		return trouble(program.path);
	}
	return {};
}

bool waits_for_launcher(pid_t pid)
{
	return first_line_of(fmt::format("/proc/{}/comm", pid)) == waiting_name;
}

} /* namespace corbel::qemu */
