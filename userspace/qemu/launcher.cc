// SPDX-License-Identifier: GPL-2.0-or-later
#include "launcher.hh"

#include <libcorbel/text_file.hh>

#include <corbel/corbel.h>
#include <corbel/memory.h>
#include <corbel/version.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
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

/* What the new process says; of what it says next, its launcher knows what it is. */
struct Word {
	std::int64_t number = 0; /* or -errno */
	std::uint64_t available = 0; /* with ENOMEM */
};

bool say(Word word)
{
	return ::write(report_number, &word, sizeof(word)) == sizeof(word);
}

bool is_told_to_go()
{
	char go = 0;

	return ::read(go_number, &go, 1) == 1;
}

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

/* The first descriptor that is free is the one that QEMU inherits. */
Word make_memory(const MemoryWish &wish)
{
	corbel_hello hello{};
	corbel_memory_create create{};
	const int device = ::open(CORBEL_DEVICE, O_RDWR | O_CLOEXEC);

	if (device < 0)
		return {-errno, 0};
	hello.size = sizeof(hello);
	hello.abi_major = CORBEL_ABI_MAJOR;
	hello.abi_minor = CORBEL_ABI_MINOR;
	std::strncpy(hello.version, CORBEL_VERSION, sizeof(hello.version) - 1);
	if (::ioctl(device, CORBEL_HELLO, &hello) < 0)
		return {-errno, 0};
	create.size = sizeof(create);
	create.flags = wish.flags;
	create.bytes = wish.bytes;
	const int memory = ::ioctl(device, CORBEL_MEMORY_CREATE, &create);
	if (memory < 0)
		return {-errno, create.available};
	if (::fcntl(memory, F_SETFD, 0) != 0)
		return {-errno, 0};
	::close(device);
	return {create.number, 0};
}

/* As the last of the argument at @place. */
void put_number(char *place, std::uint64_t number)
{
	char digits[20];
	unsigned count = 0;

	do
		digits[count++] = static_cast<char>('0' + number % 10);
	while (number /= 10);
	while (count > 0)
		*place++ = digits[--count];
	*place = 0;
}

struct Plan {
	Descriptors descriptors;
	const char *path;
	char *const *arguments;
	char *node; /* where its number goes; null: no memory object */
	const MemoryWish &memory;
};

/* Only what is allowed after a fork of one thread of many. */
void become(const Plan &plan)
{
	restore_signals();
	if (!take_descriptors(plan.descriptors) || ::chdir("/") != 0 ||
	    ::prctl(PR_SET_NAME, waiting_name) != 0 || !say({::getpid(), 0}) || !is_told_to_go())
		return;
	if (plan.node) {
		const auto made = make_memory(plan.memory);

		if (!say(made) || made.number < 0 || !is_told_to_go())
			return;
		put_number(plan.node, static_cast<std::uint64_t>(made.number));
	}
	::execv(plan.path, plan.arguments);
	(void)!say({-errno, 0});
}

/* False: it ended, or became QEMU. */
bool hear(const ScopedFd &report, Word &word)
{
	ssize_t got = 0;

	do
		got = ::read(report.get(), &word, sizeof(word));
	while (got < 0 && errno == EINTR);
	return got == sizeof(word);
}

bool tell_to_go(const ScopedFd &go)
{
	return ::write(go.get(), "g", 1) == 1;
}

std::unexpected<Error> no_memory(const MemoryWish &wish, const Word &word)
{
	const auto number = static_cast<int>(-word.number);

	switch (number) {
	case ENOMEM:
		return failure(
			ENOMEM,
			fmt::format("The VM needs {} MiB of memory, and the host can give {} "
				    "MiB, or its cgroup less: it is not started.",
				    wish.bytes >> 20, word.available >> 20));
	case ENOENT:
	case ENXIO:
	case ENODEV:
	case EOPNOTSUPP:
		return failure(EOPNOTSUPP, "corbel_postcopy.ko is not loaded, so there are no "
					   "memory objects.");
	case EPROTO:
		return failure(EPROTO,
			       "The VM's memory cannot be made: corbeld and the modules that "
			       "are loaded do not fit; see `corbel doctor`.");
	default:
		return failure(number, fmt::format("The VM's memory cannot be made: {}.",
						   describe_errno(number)));
	}
}

/* Where the number of the node is to be put; null: it is nowhere. */
char *place_of_number(const std::vector<char *> &arguments)
{
	for (char *argument : arguments)
		if (char *node = argument ? std::strstr(argument, node_to_come) : nullptr)
			return std::strchr(node, '#');
	return nullptr;
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
		    const std::function<Result<void>(pid_t)> &prepare, const MemoryWish &memory)
{
	auto go = CORBEL_EXPECT(Pipe::make());
	auto report = CORBEL_EXPECT(Pipe::make());
	const ScopedFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
	const auto log_path = runtime.file("qemu.log");
	const ScopedFd log(::open(log_path.c_str(),
				  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
	auto texts = program.arguments;
	std::vector<char *> arguments;
	Word word;

	if (!null || !log)
		return trouble(log_path);
	arguments.reserve(texts.size() + 1);
	for (auto &text : texts)
		arguments.push_back(text.data());
	arguments.push_back(nullptr);
	const Plan plan{.descriptors = {null.get(), log.get(), log.get(), go.out.get(),
					report.in.get(), alive.get()},
			.path = program.path.c_str(),
			.arguments = arguments.data(),
			.node = memory.bytes ? place_of_number(arguments) : nullptr,
			.memory = memory};

	const auto child = ::fork();
	if (child == 0) {
		/* Its parent ends at once: it is nobody's child whom the daemon must wait for. */
		if (::setsid() >= 0 && ::fork() == 0)
			become(plan);
		::_exit(0);
	}
	if (child < 0)
		return trouble("fork");
	while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR)
		;
	go.out.reset();
	report.in.reset();
	alive.reset();
	if (!hear(report.out, word))
		return failure(ECHILD, "QEMU cannot be started: its process ended before it was "
				       "told to go.");
	CORBEL_EXPECT(prepare(static_cast<pid_t>(word.number)));
	if (!tell_to_go(go.in))
		return trouble("pipe");
	if (plan.node) {
		if (!hear(report.out, word))
			return failure(ECHILD, "QEMU cannot be started: its process ended before "
					       "its memory was there.");
		if (word.number < 0)
			return no_memory(memory, word);
		CORBEL_EXPECT(memory.made(static_cast<std::uint32_t>(word.number)));
		if (!tell_to_go(go.in))
			return trouble("pipe");
	}
	if (hear(report.out, word)) {
		errno = static_cast<int>(-word.number);
		return trouble(program.path);
	}
	return {};
}

bool waits_for_launcher(pid_t pid)
{
	return first_line_of(fmt::format("/proc/{}/comm", pid)) == waiting_name;
}

} /* namespace corbel::qemu */
