// SPDX-License-Identifier: GPL-2.0-or-later
#include "console.hh"

#include "wakeup.hh"

#include <array>
#include <cerrno>
#include <chrono>
#include <optional>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_pending = 64 << 10;

/* Keys as they are typed, for as long as this lives. Nothing if input is no terminal. */
class RawInput {
public:
	RawInput()
	{
		if (::tcgetattr(STDIN_FILENO, &before_) != 0)
			return;
		termios raw = before_;

		::cfmakeraw(&raw);
		changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) == 0;
	}
	~RawInput()
	{
		if (changed_)
			::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
	}
	RawInput(const RawInput &) = delete;
	RawInput &operator=(const RawInput &) = delete;

	[[nodiscard]] bool is_terminal() const { return changed_; }

private:
	termios before_{};
	bool changed_ = false;
};

Result<ScopedFd> connect_to(const std::string &path)
{
	sockaddr_un address{};
	ScopedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	if (!fd)
		return failure(errno, fmt::format("There is no socket for the console: {}.",
						  describe_errno(errno)));
	if (path.size() >= sizeof(address.sun_path))
		return failure(ENAMETOOLONG,
			       fmt::format("The path of the console is too long: {}.", path));
	address.sun_family = AF_UNIX;
	path.copy(address.sun_path, path.size());
	if (::connect(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0)
		return fd;
	if (errno == EAGAIN)
		return failure(EBUSY, fmt::format("Too many wait for the console {}.", path));
	return failure(errno, fmt::format("The console {} cannot be reached: {}. It is its "
					  "owner's, root as a rule, alone.",
					  path, describe_errno(errno)));
}

Result<void> put(std::string_view text)
{
	while (!text.empty()) {
		const auto written = ::write(STDOUT_FILENO, text.data(), text.size());

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return failure(errno, fmt::format("Standard output cannot be written: {}.",
							  describe_errno(errno)));
		text.remove_prefix(static_cast<std::size_t>(written));
	}
	return {};
}

class Console {
public:
	Console(ScopedFd socket, Waiter waiter)
		: socket_(std::move(socket)), waiter_(std::move(waiter))
	{}

	Result<void> run()
	{
		while (!ended_) {
			const bool reads =
				input_ && (raw_.is_terminal() || pending_.size() < most_pending);
			const std::array watched{socket_.get(), reads ? STDIN_FILENO : -1};
			/* The socket is watched for what comes, so to send is tried again. */
			const auto moment =
				Waiter::Clock::now() + (pending_.empty() ? 3600000ms : 20ms);
			const auto why = waiter_.wait_until(moment, watched);

			if (why == Wakeup::quit)
				break;
			if (why == Wakeup::ready && waiter_.ready(0))
				CORBEL_EXPECT(take_output());
			if (why == Wakeup::ready && waiter_.ready(1))
				take_input();
			send_pending();
		}
		return {};
	}

private:
	Result<void> take_output()
	{
		const auto got = ::read(socket_.get(), buffer_.data(), buffer_.size());

		if (got > 0)
			return put({buffer_.data(), static_cast<std::size_t>(got)});
		ended_ |= got == 0 || (errno != EAGAIN && errno != EINTR);
		return {};
	}

	void take_input()
	{
		const auto got = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());

		if (got <= 0) {
			input_ = got < 0 && (errno == EAGAIN || errno == EINTR);
			/* A terminal that hung up: nobody is there. */
			ended_ |= !input_ && raw_.is_terminal();
			return;
		}
		std::string_view keys(buffer_.data(), static_cast<std::size_t>(got));
		if (const auto leave = keys.find(leave_key);
		    raw_.is_terminal() && leave != keys.npos) {
			keys = keys.substr(0, leave);
			ended_ = true;
		}
		if (pending_.size() < most_pending)
			pending_ += keys;
	}

	void send_pending()
	{
		const auto sent = ::send(socket_.get(), pending_.data(), pending_.size(),
					 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent > 0)
			pending_.erase(0, static_cast<std::size_t>(sent));
	}

	ScopedFd socket_;
	Waiter waiter_;
	RawInput raw_;
	bool input_ = true, ended_ = false;
	std::string pending_;
	std::array<char, 4096> buffer_{};
};

} /* namespace */

Result<void> join_console(const std::string &path)
{
	auto socket = CORBEL_EXPECT(connect_to(path));
	auto waiter = CORBEL_EXPECT(Waiter::make(false));

	return Console(std::move(socket), std::move(waiter)).run();
}

std::string_view last_lines(std::string_view text, std::size_t lines)
{
	auto at = text.size();

	if (lines == 0)
		return {};
	if (text.ends_with('\n'))
		at--;
	while (lines-- > 0 && at != text.npos)
		at = at == 0 ? text.npos : text.rfind('\n', at - 1);
	return at == text.npos ? text : text.substr(at + 1);
}

} /* namespace corbel::cli */
