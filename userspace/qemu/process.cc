// SPDX-License-Identifier: GPL-2.0-or-later
#include "process.hh"

#include <libcorbel/scoped_fd.hh>
#include <libcorbel/text_file.hh>

#include <csignal>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include <fmt/format.h>

namespace corbel::qemu {

/* The name of the process, in brackets, may have spaces and brackets. */
std::optional<std::uint64_t> start_of(pid_t pid)
{
	const auto text = text_of_file(fmt::format("/proc/{}/stat", pid));
	const auto end = text ? text->rfind(')') : std::string::npos;
	constexpr int fields_between = 18; /* state is field 3, the start field 22 */
	std::string state, skipped;
	std::uint64_t start = 0;

	if (!text || end == text->npos)
		return std::nullopt;
	std::istringstream rest(text->substr(end + 1));
	rest >> state;
	for (int i = 0; i < fields_between; i++)
		rest >> skipped;
	if (!(rest >> start) || state == "Z" || state == "X")
		return std::nullopt;
	return start;
}

/* A descriptor first: what it means does not change while we look who it is. */
Result<void> kill_process(pid_t pid, std::uint64_t started)
{
	const ScopedFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));

	if (!process && errno == ESRCH)
		return {};
	if (!process)
		return failure(errno, fmt::format("Process {} cannot be ended: {}.", pid,
						  describe_errno(errno)));
	if (!is_alive(pid, started))
		return {};
	if (::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) != 0 &&
	    errno != ESRCH)
		return failure(errno, fmt::format("Process {} cannot be ended: {}.", pid,
						  describe_errno(errno)));
	return {};
}

Result<void> start_apart(const std::string &program, const std::vector<std::string> &arguments)
{
	std::vector<const char *> texts;

	texts.reserve(arguments.size() + 1);
	for (const auto &argument : arguments)
		texts.push_back(argument.c_str());
	texts.push_back(nullptr);
	const auto child = ::fork();
	if (child == 0) {
		/* Its parent ends at once. */
		if (::setsid() >= 0 && ::fork() == 0)
			::execv(program.c_str(), const_cast<char *const *>(texts.data()));
		::_exit(0);
	}
	if (child < 0)
		return failure(errno, fmt::format("{} cannot be started: {}.", program,
						  describe_errno(errno)));
	while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR)
		;
	return {};
}

} /* namespace corbel::qemu */
