// SPDX-License-Identifier: GPL-2.0-or-later
/* guest_cid.cc - the vsock address of a guest, and the way there. */
#include <agent/client.hh>

#include <libcorbel/text_file.hh>

#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <charconv>
#include <system_error>

#include <fmt/format.h>

namespace corbel::agent {

namespace {

std::string_view take_until(std::string_view &rest, char end)
{
	const auto at = rest.find(end);
	const auto taken = rest.substr(0, at);

	rest.remove_prefix(at == rest.npos ? rest.size() : at + 1);
	return taken;
}

/* Of a device "vhost-vsock-pci,...,guest-cid=N"; 0 to 2 are nobody's. */
std::optional<std::uint32_t> cid_of_device(std::string_view device)
{
	constexpr std::string_view key = "guest-cid=";

	if (!take_until(device, ',').starts_with("vhost-vsock-"))
		return std::nullopt;
	while (!device.empty()) {
		auto parameter = take_until(device, ',');
		std::uint32_t cid = 0;

		if (!parameter.starts_with(key))
			continue;
		parameter.remove_prefix(key.size());
		const auto [end, error] =
			std::from_chars(parameter.data(), parameter.data() + parameter.size(), cid);
		if (error == std::errc() && end == parameter.data() + parameter.size() &&
		    cid > host_cid)
			return cid;
	}
	return std::nullopt;
}

/* Of itself the kernel gives a guest two seconds, which a starved one may not keep. */
bool limit_connecting(int fd, std::chrono::milliseconds limit)
{
	const auto seconds = std::chrono::ceil<std::chrono::seconds>(limit);
	const timeval time{.tv_sec = seconds.count(), .tv_usec = 0};

	return ::setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &time, sizeof(time)) == 0;
}

/* Readable and writable in a moment, or not until then. */
bool wait_connected(int fd, std::chrono::milliseconds limit)
{
	pollfd polled{fd, POLLOUT, 0};

	return ::poll(&polled, 1, static_cast<int>(limit.count())) == 1;
}

std::unexpected<Error> no_agent(int number, std::uint32_t cid)
{
	return failure(number, fmt::format("No agent answers in the guest (vsock {}:{}: {}): start "
					   "corbel-agent in it, as Documentation/agent.md says.",
					   cid, agent_port, describe_errno(number)));
}

} /* namespace */

std::optional<std::uint32_t> guest_cid(std::string_view command_line)
{
	std::optional<std::uint32_t> cid;

	while (!command_line.empty()) {
		const auto argument = take_until(command_line, '\0');

		if (argument == "-device" || argument == "--device")
			if (auto found = cid_of_device(take_until(command_line, '\0')))
				cid = found;
	}
	return cid;
}

Result<std::uint32_t> guest_cid_of(pid_t process)
{
	const auto command_line = text_of_file(fmt::format("/proc/{}/cmdline", process));

	if (!command_line)
		return failure(ESRCH,
			       fmt::format("The command line of process {} cannot be read: it has "
					   "ended, or is not visible here.",
					   process));
	if (const auto cid = guest_cid(*command_line))
		return *cid;
	return failure(ENODEV, fmt::format("The guest of process {} has no vsock device, by which "
					   "its agent is reached: add `-device "
					   "vhost-vsock-pci,guest-cid=N` to QEMU's command line, "
					   "with an N above 2 that no other guest has.",
					   process));
}

Result<ScopedFd> connect_to_guest(std::uint32_t cid, std::chrono::milliseconds limit)
{
	ScopedFd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	sockaddr_vm address{};
	int error = 0;
	socklen_t size = sizeof(error);

	address.svm_family = AF_VSOCK;
	address.svm_cid = cid;
	address.svm_port = agent_port;
	if (!fd)
		return failure(errno, fmt::format("This host has no vsock ({}): `modprobe "
						  "vhost_vsock` first.",
						  describe_errno(errno)));
	if (!limit_connecting(fd.get(), limit))
		return no_agent(errno, cid);
	if (::connect(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0)
		return fd;
	if (errno != EINPROGRESS)
		return no_agent(errno, cid);
	if (!wait_connected(fd.get(), limit))
		return no_agent(ETIMEDOUT, cid);
	if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
		return no_agent(error, cid);
	return fd;
}

} /* namespace corbel::agent */
