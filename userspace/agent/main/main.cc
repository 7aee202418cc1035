// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * corbel-agent - in a Linux guest: lets the host see and move the interrupts of this
 * guest, and nothing else.
 *
 * It takes one connection at a time, from the host alone, and has no configuration.
 */
#include <agent/privileges.hh>
#include <agent/server.hh>

#include <corbel/version.h>

#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

using namespace corbel;
using namespace corbel::agent;

Result<ScopedFd> listen_to_host()
{
	ScopedFd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
	sockaddr_vm address{};

	address.svm_family = AF_VSOCK;
	address.svm_cid = VMADDR_CID_ANY;
	address.svm_port = agent_port;
	if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 ||
	    ::listen(fd.get(), 4) != 0)
		return failure(errno, "vsock port " + std::to_string(agent_port) +
					      " cannot be listened to: " + describe_errno(errno) +
					      "; the module vmw_vsock_virtio_transport and the "
					      "device vhost-vsock-pci make it.");
	return fd;
}

/* Nothing: somebody else called, or hung up again. */
ScopedFd next_caller(const ScopedFd &listener)
{
	sockaddr_vm peer{};
	socklen_t size = sizeof(peer);
	ScopedFd caller(::accept4(listener.get(), reinterpret_cast<sockaddr *>(&peer), &size,
				  SOCK_CLOEXEC));

	if (caller && peer.svm_cid != host_cid)
		caller.reset();
	else if (!caller && errno != EINTR && errno != ECONNABORTED)
		::sleep(1);
	return caller;
}

Result<void> run()
{
	const auto irqs = CORBEL_EXPECT(GuestIrqs::open());
	const auto listener = CORBEL_EXPECT(listen_to_host());

	CORBEL_EXPECT(drop_privileges());
	for (;;) {
		if (auto caller = next_caller(listener)) {
			Channel channel(std::move(caller));
			Server server(irqs);

			server.serve(channel);
		}
	}
}

} /* namespace */

int main(int argc, char **argv)
{
	if (argc > 1) {
		const bool version = std::strcmp(argv[1], "--version") == 0;

		std::fprintf(version ? stdout : stderr,
			     version ? "corbel-agent " CORBEL_VERSION "\n"
				     : "corbel-agent takes no arguments but --version.\n");
		return version ? 0 : 2;
	}
	const auto ended = run();

	std::fprintf(stderr, "corbel-agent: %s\n", ended.error().sentence.c_str());
	return 1;
}
