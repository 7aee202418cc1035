// SPDX-License-Identifier: GPL-2.0-or-later
#include "terminal.hh"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <string_view>

namespace corbel::cli {

namespace {

constexpr std::string_view take_screen = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr std::string_view give_screen = "\x1b[0m\x1b[?25h\x1b[?1049l";

constexpr std::array faults{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

/* What the fault handler needs; a handler has no object to look at. */
constinit bool screen_taken = false;
constinit bool input_changed = false;
constinit termios input_before{};

bool write_all(std::string_view text)
{
	while (!text.empty()) {
		auto written = ::write(STDOUT_FILENO, text.data(), text.size());

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return false;
		text.remove_prefix(static_cast<std::size_t>(written));
	}
	return true;
}

/* Only what is allowed in a signal handler. */
void give_back()
{
	if (screen_taken)
		(void)write_all(give_screen);
	screen_taken = false;
	if (input_changed)
		::tcsetattr(STDIN_FILENO, TCSANOW, &input_before);
	input_changed = false;
}

/* The handler is gone by then (SA_RESETHAND), so the fault happens for good. */
void on_fault(int number)
{
	give_back();
	::raise(number);
}

void catch_faults()
{
	struct sigaction action{};

	action.sa_handler = on_fault;
	action.sa_flags = static_cast<int>(SA_RESETHAND);
	for (int fault : faults)
		::sigaction(fault, &action, nullptr);
}

} /* namespace */

Terminal::Terminal()
{
	catch_faults();
	enter();
}

Terminal::~Terminal()
{
	leave();
}

/* Keys come one by one and are not shown; Ctrl-C and Ctrl-Z stay signals. */
void Terminal::enter()
{
	if (::tcgetattr(STDIN_FILENO, &input_before) == 0) {
		termios raw = input_before;

		raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		input_changed = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	}
	screen_taken = true;
	(void)write_all(take_screen);
}

void Terminal::leave()
{
	give_back();
}

Room Terminal::size()
{
	winsize size{};

	if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
		return {80, 24};
	return {size.ws_col, size.ws_row};
}

bool Terminal::draw(std::span<const Line> lines)
{
	auto height = size().height;
	std::string frame = "\x1b[H";

	/* No line end after the last line: on the last row it would scroll. */
	for (std::size_t i = 0; i < lines.size() && i < height; i++) {
		if (i > 0)
			frame += "\r\n";
		if (lines[i].title)
			frame += "\x1b[7m";
		frame += lines[i].text;
		frame += lines[i].title ? "\x1b[0m\x1b[K" : "\x1b[K";
	}
	frame += "\x1b[J";
	return write_all(frame);
}

void Terminal::stop_here()
{
	leave();
	::raise(SIGSTOP);
	enter();
}

} /* namespace corbel::cli */
