// SPDX-License-Identifier: GPL-2.0-or-later
#include "criu.hh"

#include "images.hh"

#include "../qemu/cgroup.hh"

#include <libcorbel/memory.hh>
#include <libcorbel/text_file.hh>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr const char *no_criu = "CRIU is not installed here (Debian: apt install criu): it is what "
				"takes a container apart and puts it together.";

std::string find_criu()
{
	std::istringstream folders(
		fmt::format("{}:/usr/sbin:/usr/bin", ::getenv("PATH") ? ::getenv("PATH") : ""));

	for (std::string folder; std::getline(folders, folder, ':');)
		if (const auto file = folder + "/criu";
		    folder.starts_with('/') && ::access(file.c_str(), X_OK) == 0)
			return file;
	return {};
}

/* Others are done here. EBUSY: they are not, for long. */
Result<ScopedFd> take(const fs::path &folder)
{
	ScopedFd busy(
		::open((folder / "busy").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	const auto deadline = std::chrono::steady_clock::now() + 60s;

	if (!busy)
		return failure(errno, fmt::format("{} cannot be used: {}.", folder.string(),
						  describe_errno(errno)));
	while (::flock(busy.get(), LOCK_EX | LOCK_NB) != 0) {
		if (std::chrono::steady_clock::now() > deadline)
			return failure(EBUSY, fmt::format("CRIU is still at work in {}.",
							  folder.string()));
		::poll(nullptr, 0, 20);
	}
	return busy;
}

/* How it ended, as of waitpid(2); it keeps @busy. ETIMEDOUT: it was killed. */
Result<int> run(const std::string &program, const std::vector<std::string> &arguments,
		const fs::path &output, const ScopedFd &busy,
		std::optional<std::chrono::milliseconds> limit)
{
	const ScopedFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
	const ScopedFd words(::open(output.c_str(),
				    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
	std::vector<const char *> texts;
	int status = 0;

	texts.reserve(arguments.size() + 1);
	for (const auto &argument : arguments)
		texts.push_back(argument.c_str());
	texts.push_back(nullptr);
	const auto child = null && words ? ::fork() : -1;
	if (child == 0) {
		(void)::setsid();
		(void)::dup2(null.get(), 0);
		(void)::dup2(words.get(), 1);
		(void)::dup2(words.get(), 2);
		if (busy)
			(void)::fcntl(busy.get(), F_SETFD, 0);
		::execv(program.c_str(), const_cast<char *const *>(texts.data()));
		::_exit(127);
	}
	if (child < 0)
		return failure(errno, fmt::format("{} cannot be started: {}.", program,
						  describe_errno(errno)));
	const ScopedFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
	pollfd gone{.fd = process.get(), .events = POLLIN, .revents = 0};
	const bool late =
		limit && process && ::poll(&gone, 1, static_cast<int>(limit->count())) == 0;
	if (late)
		(void)::kill(child, SIGKILL);
	while (::waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (late)
		return failure(ETIMEDOUT, fmt::format("{} takes too long.", arguments.front()));
	return status;
}

/* The first error in CRIU's log that says something of the container. */
std::string reason_in(const fs::path &log)
{
	std::istringstream lines(text_of_file(log).value_or(""));
	std::string found = "it does not say why";

	for (std::string line; std::getline(lines, line);) {
		const auto at = line.find("Error (");
		const auto colon = at == line.npos ? line.npos : line.find("): ", at);

		if (colon == line.npos || line.contains("criu/util.c") ||
		    line.contains("criu/tun.c") || line.contains("FAILED"))
			continue;
		found = line.substr(colon + 3);
		break;
	}
	return found;
}

/* Pages that CRIU reads itself get their places in the files that it reads. */
Result<void> write_eager_pages(const fs::path &images, const Memory &memory)
{
	const auto layout = CORBEL_EXPECT(layout_of(images));
	void *at = ::mmap(nullptr, memory.bytes(), PROT_READ, MAP_SHARED, memory.fd(), 0);

	if (at == MAP_FAILED || layout.pages > memory.bytes() / page_size)
		return failure(EINVAL,
			       fmt::format("The images have {} pages, and the memory object "
					   "does not.",
					   layout.pages));
	for (const auto &[number, pages] : layout.files) {
		const auto path = images / pages_file(number);
		const ScopedFd file(
			::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
		bool good =
			file && ::ftruncate(file.get(), static_cast<off_t>(pages * page_size)) == 0;

		for (const auto &placed : layout.runs) {
			if (placed.file != number || (placed.run.lazy && placed.process != 0))
				continue;
			const auto bytes = placed.run.pages * page_size;
			for (std::uint64_t done = 0; good && done < bytes;) {
				const auto count = ::pwrite(
					file.get(),
					static_cast<const char *>(at) + placed.page * page_size +
						done,
					bytes - done,
					static_cast<off_t>(placed.file_page * page_size + done));
				good = count > 0;
				done += count > 0 ? static_cast<std::uint64_t>(count) : 0;
			}
		}
		if (!good)
			return failure(errno, fmt::format("{} cannot be written: {}.",
							  path.string(), describe_errno(errno)));
	}
	return {};
}

/*
 * What CRIU runs just before it lets go of the processes: itself leaves their cgroup, which is
 * then frozen, so that none of them does a single step.
 */
Result<void> write_hold(const fs::path &folder, const fs::path &group)
{
	const auto own = first_line_of("/proc/self/cgroup").value_or("0::/");
	const auto outside =
		qemu::cgroup_mount() / own.substr(std::min(own.size(), own.find('/') + 1));
	const auto path = folder / "hold";

	std::ofstream(path) << fmt::format(
		"#!/bin/sh\n"
		"[ \"$CRTOOLS_SCRIPT_ACTION\" = pre-resume ] || exit 0\n"
		"read -r criu <'{0}/criu.pid' || exit 1\n"
		"for pid in $criu $PPID $$; do echo $pid >'{1}/cgroup.procs' || exit 1; done\n"
		"echo 1 >'{2}/cgroup.freeze'\n",
		folder.string(), outside.string(), group.string());
	if (::chmod(path.c_str(), 0700) != 0)
		return failure(errno, fmt::format("{} cannot be written: {}.", path.string(),
						  describe_errno(errno)));
	return {};
}

} /* namespace */

Result<std::string> criu_version()
{
	const auto program = find_criu();
	char name[] = "/tmp/corbel-criu-XXXXXX";
	std::string version, word;

	if (program.empty())
		return failure(ENOENT, no_criu);
	const ScopedFd file(::mkstemp(name));
	const auto status = run(program, {"criu", "--version"}, name, {}, 10s);
	std::istringstream words(text_of_file(name).value_or(""));
	(void)::unlink(name);
	if (!status || *status != 0 || !(words >> word >> version) || word != "Version:")
		return failure(EIO, fmt::format("{} does not say which version it is.", program));
	return version;
}

Result<void> dump(const Group &group, pid_t first, const fs::path &folder)
{
	const auto images = folder / "images";
	const auto program = find_criu();
	const auto busy = CORBEL_EXPECT(take(folder));
	std::error_code error;

	if (program.empty())
		return failure(ENOENT, no_criu);
	/* Of one that did not come to its end. */
	fs::remove_all(images, error);
	fs::create_directories(images, error);
	const auto status =
		CORBEL_EXPECT(run(program,
				  {"criu", "dump", "--tree", fmt::format("{}", first),
				   "--images-dir", images.string(), "--log-file", "dump.log",
				   "--freeze-cgroup", group.folder().string(), "--leave-running",
				   "--manage-cgroups=ignore", "--file-locks", "--link-remap"},
				  folder / "criu.out", busy, std::nullopt));
	if (status == 0)
		return {};
	return failure(EBUSY, fmt::format("CRIU cannot take {} apart: {}.", group.name(),
					  reason_in(images / "dump.log")));
}

Result<void> restore(const Group &group, const fs::path &folder, std::uint32_t memory,
		     const std::string &program, std::chrono::milliseconds limit)
{
	const auto busy = CORBEL_EXPECT(take(folder));
	const auto status = run(program,
				{"corbeld", "--restore-container", folder.string(),
				 fmt::format("{}", memory), group.folder().string()},
				folder / "criu.out", busy, limit);

	if (status && *status == 0)
		return {};
	const auto said = first_line_of(folder / "criu.out").value_or("");
	return failure(status ? EIO : status.error().number,
		       fmt::format("CRIU cannot put it together there: {}.",
				   !status ? "it takes too long"
				   : WIFEXITED(*status) && WEXITSTATUS(*status) == 126
					   ? said
					   : reason_in(folder / "images" / "restore.log")));
}

int restore_container(const fs::path &folder, std::uint32_t memory, const fs::path &group)
{
	const auto images = folder / "images";
	const auto program = find_criu();
	const auto number = fmt::format("{}", ::getpid());
	const auto fail = [](const Error &error) {
		fmt::print("{}\n", error.sentence);
		return 126;
	};

	if (program.empty())
		return fail({ENOENT, no_criu});
	const auto object = Memory::open(memory);
	if (!object)
		return fail(object.error());
	for (const auto &done : {write_eager_pages(images, *object), write_hold(folder, group)})
		if (!done)
			return fail(done.error());
	std::ofstream(folder / "criu.pid") << number << '\n';
	if (const auto done = qemu::put_into_cgroup(group / "cgroup.procs", number); !done)
		return fail(done.error());
	const auto hold = (folder / "hold").string();
	::execl(program.c_str(), "criu", "restore", "--lazy-pages", "--images-dir", images.c_str(),
		"--log-file", "restore.log", "--restore-detached", "--manage-cgroups=ignore",
		"--file-locks", "--link-remap", "--action-script", hold.c_str(), nullptr);
	return fail({errno, no_criu});
}

} /* namespace corbel::containers */
