// SPDX-License-Identifier: GPL-2.0-or-later
#include "page_server.hh"

#include "page_supply.hh"

#include "../qemu/process.hh"

#include <libcorbel/text_file.hh>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr int look_every = 100; /* ms */
/* What CRIU says when it has no more to do; else the number of a process. */
constexpr std::int32_t restore_is_done = 0x52535446;

std::unexpected<Error> trouble(const fs::path &file)
{
	return failure(errno, fmt::format("The page server in {} cannot do its work: {}.",
					  file.string(), describe_errno(errno)));
}

/* ---- who takes over ---------------------------------------------------------------- */

/*
 * Of a process that has the descriptors of the serving one, and none of its threads: nothing
 * here allocates.
 */
class Keeper {
public:
	Keeper(const PageServer &server, const Journal &journal, int reserve, int lock)
		: journal_(journal),
		  reserve_(reserve),
		  lock_(lock),
		  over_(server.folder / over_mark),
		  went_(server.folder / went_mark),
		  stalled_(server.folder / stalled_mark),
		  freeze_(server.group / "cgroup.freeze"),
		  folder_(server.folder),
		  group_(server.group),
		  memory_(fmt::format("{}", server.memory)),
		  journal_fd_(fmt::format("{}", journal.fd())),
		  reserve_fd_(fmt::format("{}", reserve))
	{}

	/* For when the process of @pidfd has ended; its number, or -1. */
	[[nodiscard]] pid_t begin(int pidfd) const
	{
		const auto made = ::syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

		if (made == 0)
			watch(pidfd);
		return static_cast<pid_t>(made);
	}

private:
	[[noreturn]] void watch(int pidfd) const
	{
		pollfd gone{.fd = pidfd, .events = POLLIN, .revents = 0};

		while (::poll(&gone, 1, look_every) <= 0)
			end_if_over();
		end_if_over();
		if (journal_.is(Journal::done))
			::_exit(0);
		if (::access(went_.c_str(), F_OK) == 0)
			freeze();
		/* What is not known cannot be served: whoever touches it waits. */
		while (!journal_.is(Journal::restored) || journal_.is(Journal::full)) {
			end_if_over();
			::poll(nullptr, 0, look_every);
		}
		take_over();
	}

	void end_if_over() const
	{
		if (::access(over_.c_str(), F_OK) == 0)
			::_exit(0);
	}

	void freeze() const
	{
		const int mark = ::open(stalled_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		const int fd = ::open(freeze_.c_str(), O_WRONLY | O_CLOEXEC);

		if (fd >= 0 && ::write(fd, "1", 1) == 1)
			::close(fd);
		if (mark >= 0)
			::close(mark);
	}

	[[noreturn]] void take_over() const
	{
		const char *arguments[] = {
			"corbeld",	"--serve-container", folder_.c_str(),	  memory_.c_str(),
			group_.c_str(), journal_fd_.c_str(), reserve_fd_.c_str(), nullptr};

		for (const auto &entry : journal_.entries()) {
			(void)::fcntl(entry.fd, F_SETFD, 0);
			if (entry.process == 0 && entry.message.event == UFFD_EVENT_FORK)
				(void)::fcntl(static_cast<int>(entry.message.arg.fork.ufd), F_SETFD,
					      0);
		}
		(void)::fcntl(journal_.fd(), F_SETFD, 0);
		(void)::fcntl(reserve_, F_SETFD, 0);
		(void)::fcntl(lock_, F_SETFD, 0);
		::execv("/proc/self/exe", const_cast<char *const *>(arguments));
		/* It stays frozen. */
		for (;;) {
			end_if_over();
			::poll(nullptr, 0, look_every);
		}
	}

	const Journal &journal_;
	int reserve_, lock_;
	std::string over_, went_, stalled_, freeze_, folder_, group_, memory_, journal_fd_,
		reserve_fd_;
};

/* ---- what CRIU and the kernel tell ------------------------------------------------- */

class Serving {
public:
	Serving(const PageServer &server, Memory memory, Journal journal, Reserve reserve,
		ScopedFd lock)
		: server_(server),
		  journal_(std::move(journal)),
		  lock_(std::move(lock)),
		  keeper_(server_, journal_, reserve.fd(), lock_.get()),
		  supply_(server_, std::move(memory), journal_, std::move(reserve))
	{}

	[[nodiscard]] Result<void> begin(bool again)
	{
		self_ = ScopedFd(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
		if (!self_)
			return trouble(server_.folder);
		CORBEL_EXPECT(keep_keeper());
		CORBEL_EXPECT(supply_.map());
		if (again)
			return supply_.replay();
		return listen();
	}

	[[nodiscard]] int run()
	{
		supply_.begin();
		while (!has_mark(server_.folder, over_mark)) {
			if (supply_.is_done()) {
				(void)set_mark(server_.folder, served_mark);
				journal_.set(Journal::done);
				supply_.let_go();
				return 0;
			}
			if (const auto kept = keep_keeper(); !kept)
				return 1;
			turn();
			supply_.look_at_stalls();
		}
		return 0;
	}

private:
	[[nodiscard]] Result<void> keep_keeper()
	{
		if (keeper_pid_ > 0 && ::waitpid(keeper_pid_, nullptr, WNOHANG) == 0)
			return {};
		keeper_pid_ = keeper_.begin(self_.get());
		if (keeper_pid_ < 0)
			return trouble(server_.folder);
		return {};
	}

	[[nodiscard]] Result<void> listen()
	{
		sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
		const auto path = (server_.folder / "images" / "lazy-pages.socket").string();

		if (path.size() >= sizeof(address.sun_path))
			return failure(ENAMETOOLONG,
				       fmt::format("{} is too long for a socket.", path));
		std::memcpy(address.sun_path, path.c_str(), path.size());
		listener_ = ScopedFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		if (!listener_ ||
		    ::bind(listener_.get(), reinterpret_cast<const sockaddr *>(&address),
			   sizeof(address)) != 0 ||
		    ::listen(listener_.get(), 1) != 0)
			return trouble(path);
		return {};
	}

	void turn()
	{
		std::vector<pollfd> fds;

		for (const int fd : {client_ ? client_.get() : listener_.get()})
			if (fd >= 0)
				fds.push_back({.fd = fd, .events = POLLIN, .revents = 0});
		const auto own = fds.size();
		for (const int fd : supply_.descriptors())
			fds.push_back({.fd = fd, .events = POLLIN, .revents = 0});
		if (::poll(fds.data(), fds.size(), look_every) <= 0)
			return;
		for (std::size_t i = own; i < fds.size(); i++)
			if (fds[i].revents)
				supply_.hear(fds[i].fd);
		if (own == 0 || !fds.front().revents)
			return;
		if (client_)
			hear_criu();
		else
			client_ = ScopedFd(
				::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
	}

	void hear_criu()
	{
		std::int32_t process = 0;

		if (::recv(client_.get(), &process, sizeof(process), MSG_WAITALL) !=
		    sizeof(process)) {
			client_.reset();
			listener_.reset();
			return;
		}
		if (process == restore_is_done)
			journal_.set(Journal::restored);
		/* One that has ended and was not waited for has no memory. */
		else if (process > 0)
			supply_.add(take_descriptor(), process);
	}

	/* -1: none came. */
	[[nodiscard]] int take_descriptor()
	{
		char byte = 0;
		iovec vector{.iov_base = &byte, .iov_len = 1};
		alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
		msghdr message{};
		int fd = -1;

		message.msg_iov = &vector;
		message.msg_iovlen = 1;
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		if (::recvmsg(client_.get(), &message, MSG_CMSG_CLOEXEC) < 0)
			return -1;
		for (auto *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head))
			if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
				std::memcpy(&fd, CMSG_DATA(head), sizeof(fd));
		return fd;
	}

	PageServer server_;
	Journal journal_;
	ScopedFd lock_, self_, listener_, client_;
	Keeper keeper_;
	pid_t keeper_pid_ = -1;
	PageSupply supply_;
};

void prepare_process()
{
	rlimit limit{};
	const ScopedFd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));

	/* Each process of the container has a descriptor here. */
	if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)::setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (score && ::write(score.get(), "-1000", 5) < 0)
		return;
}

ScopedFd open_lock(const fs::path &folder)
{
	return ScopedFd(::open((folder / server_lock).c_str(),
			       O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
}

} /* namespace */

bool has_mark(const fs::path &folder, const char *mark)
{
	return ::access((folder / mark).c_str(), F_OK) == 0;
}

/* All of it is there as soon as anything is. */
Result<void> set_mark(const fs::path &folder, const char *mark, const std::string &text)
{
	const auto path = (folder / mark).string(), unfinished = path + ".new";
	const ScopedFd fd(::open(unfinished.c_str(),
				 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));

	if (!fd ||
	    ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
	    ::rename(unfinished.c_str(), path.c_str()) != 0)
		return trouble(folder / mark);
	return {};
}

Result<void> PageServer::start(const std::string &program) const
{
	const auto socket = folder / "images" / "lazy-pages.socket";
	/* All of its reserve is allocated. */
	const auto deadline = std::chrono::steady_clock::now() + 90s;

	CORBEL_EXPECT(qemu::start_apart(program,
					{"corbeld", "--serve-container", folder.string(),
					 fmt::format("{}", memory), group.string(), "-1", "-1"}));
	while (::access(socket.c_str(), F_OK) != 0) {
		if (has_mark(folder, refused_mark))
			return failure(ENOMEM, first_line_of(folder / refused_mark).value_or(""));
		if (std::chrono::steady_clock::now() > deadline)
			return failure(ETIMEDOUT,
				       fmt::format("The page server in {} does not begin.",
						   folder.string()));
		::poll(nullptr, 0, 5);
	}
	return {};
}

bool PageServer::is_alive() const
{
	const auto lock = open_lock(folder);

	return lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0;
}

Result<void> PageServer::end() const
{
	const auto deadline = std::chrono::steady_clock::now() + 10s;

	CORBEL_EXPECT(set_mark(folder, over_mark));
	while (is_alive()) {
		if (std::chrono::steady_clock::now() > deadline)
			return failure(ETIMEDOUT, fmt::format("The page server in {} does not end.",
							      folder.string()));
		::poll(nullptr, 0, 10);
	}
	return {};
}

int serve_container(const PageServer &server, int journal, int reserve)
{
	/* Whoever looks whether there is a server has it for a moment. */
	auto lock = open_lock(server.folder);
	for (int i = 0; lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && journal < 0; i++) {
		if (i == 100)
			return 1;
		::poll(nullptr, 0, 10);
	}
	auto memory = Memory::open(server.memory);
	auto written = journal < 0 ? Journal::make() : Journal::of(journal);

	if (!lock || !memory || !written)
		return 1;
	prepare_process();
	auto held = reserve < 0 ? Reserve::make(memory->bytes()) : Reserve::of(reserve);
	if (!held) {
		(void)set_mark(server.folder, refused_mark, held.error().sentence);
		return 1;
	}
	Serving serving(server, *std::move(memory), *std::move(written), *std::move(held),
			std::move(lock));
	if (!serving.begin(journal >= 0))
		return 1;
	/* Threads that wait for a page may do so for ever. */
	::_exit(serving.run());
}

} /* namespace corbel::containers */
