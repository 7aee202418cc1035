// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vsock-peer - in a guest, for tests: `vsock-peer PORT` sends standard input to the host's port, and
 * prints what comes from there; `vsock-peer --echo PORT` gives the one that connects what it sent,
 * once it has sent all of it.
 */
#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

[[noreturn]] void fail(const char *what)
{
	std::perror(what);
	std::exit(1);
}

std::string all_of(int fd)
{
	std::array<char, 65536> bytes;
	std::string all;

	for (;;) {
		const auto got = ::read(fd, bytes.data(), bytes.size());

		if (got < 0)
			fail("read");
		if (got == 0)
			return all;
		all.append(bytes.data(), static_cast<std::size_t>(got));
	}
}

void write_all(int fd, std::string_view bytes)
{
	while (!bytes.empty()) {
		const auto done = ::write(fd, bytes.data(), bytes.size());

		if (done <= 0)
			fail("write");
		bytes.remove_prefix(static_cast<std::size_t>(done));
	}
}

} /* namespace */

int main(int argc, char **argv)
{
	const bool echoes = argc == 3 && std::string_view(argv[1]) == "--echo";
	const int fd = ::socket(AF_VSOCK, SOCK_STREAM, 0);
	sockaddr_vm address{};

	if (argc != 2 && !echoes) {
		std::fputs("usage: vsock-peer [--echo] PORT\n", stderr);
		return 2;
	}
	address.svm_family = AF_VSOCK;
	address.svm_cid = echoes ? VMADDR_CID_ANY : VMADDR_CID_HOST;
	address.svm_port = static_cast<unsigned>(std::strtoul(argv[argc - 1], nullptr, 10));
	if (fd < 0)
		fail("socket");
	if (echoes) {
		if (::bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) !=
			    0 ||
		    ::listen(fd, 1) != 0)
			fail("listen");
		const int peer = ::accept(fd, nullptr, nullptr);

		if (peer < 0)
			fail("accept");
		write_all(peer, all_of(peer));
		::shutdown(peer, SHUT_WR);
		/* Until what was sent has been taken. */
		(void)all_of(peer);
		return 0;
	}
	if (::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0)
		fail("connect");
	write_all(fd, all_of(STDIN_FILENO));
	::shutdown(fd, SHUT_WR);
	write_all(STDOUT_FILENO, all_of(fd));
	return 0;
}
