/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guest_source.hh - which processes are guests, and how each of them is to be looked at. */
#pragma once

#include "facts.hh"

#include <libcorbel/guest.hh>

#include <functional>

namespace corbel::qemu {

struct FoundGuest {
	pid_t pid = 0;
	std::uint64_t started = 0;
	std::string process;
	std::string name;
	std::uint64_t vcpus = 0;
	std::string command_line;
	Manager manager = Manager::nobody;
	/* Of those that Corbel started: the socket that is for it alone. */
	std::filesystem::path own_monitor{};
	/* Where its sockets are listed, and the name of what is listed there. */
	std::filesystem::path socket_table = "/proc/net/unix";
	std::string network{};
	bool same_files = true; /* a path means the same to it as to us */
	pid_t peer = 0; /* who must answer at its sockets; 0: anybody */
};

class GuestSource {
public:
	GuestSource() = default;
	GuestSource(const GuestSource &) = delete;
	virtual ~GuestSource() = default;

	/* Called by one thread at a time. */
	[[nodiscard]] virtual Result<std::vector<FoundGuest>> find() = 0;
};

/* A guest that Corbel started, which need not be one of KVM's. */
struct OwnGuest {
	pid_t pid;
	std::string name;
	std::filesystem::path monitor;
};

/* Those of this host. */
class HostGuests final : public GuestSource {
public:
	/* @own: those that Corbel started; empty: none. */
	explicit HostGuests(std::function<std::vector<OwnGuest>()> own = {},
			    GuestFinder finder = GuestFinder(),
			    std::filesystem::path libvirt = "/run/libvirt/qemu")
		: own_(std::move(own)), finder_(std::move(finder)), libvirt_(std::move(libvirt))
	{}

	[[nodiscard]] Result<std::vector<FoundGuest>> find() override;

private:
	[[nodiscard]] bool is_libvirts(const FoundGuest &guest) const;

	std::function<std::vector<OwnGuest>()> own_;
	GuestFinder finder_;
	std::filesystem::path libvirt_;
};

} /* namespace corbel::qemu */
