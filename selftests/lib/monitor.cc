// SPDX-License-Identifier: GPL-2.0-or-later
#include "monitor.hh"
#include "tap.hh"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace corbel::selftest {

monitor::monitor(const std::string &path) : socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))
{
	sockaddr_un address = {};

	address.sun_family = AF_UNIX;
	std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
	CHECK(connect(socket.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0,
	      "{}: {}", path, error_name(errno));
	read_line();
	run("qmp_capabilities");
}

void monitor::tell(const std::string &command)
{
	const std::string text = "{\"execute\": \"" + command + "\"}\n";

	CHECK_EQ(write(socket.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()),
		 "telling QEMU {}: {}", command, error_name(errno));
}

/* Events come between. */
void monitor::wait_answer()
{
	for (;;) {
		const std::string line = read_line();

		CHECK(line.find("\"error\"") == std::string::npos, "QEMU answers {}", line);
		if (line.find("\"return\"") != std::string::npos)
			return;
	}
}

std::string monitor::read_line()
{
	char bytes[4096];

	while (pending.find('\n') == std::string::npos) {
		const ssize_t length = read(socket.get(), bytes, sizeof(bytes));

		CHECK(length > 0, "QEMU's monitor: {}", error_name(errno));
		pending.append(bytes, length);
	}
	const size_t end = pending.find('\n');
	std::string line = pending.substr(0, end);
	pending.erase(0, end + 1);
	return line;
}

} // namespace corbel::selftest
