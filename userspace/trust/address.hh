/* SPDX-License-Identifier: GPL-2.0-or-later */
/* address.hh - where a host listens, and TCP connections to and from there. */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace corbel::trust {

struct Address {
	std::string host; /* an IPv4 or IPv6 address without brackets, or a name */
	std::uint16_t port = 0;

	bool operator==(const Address &) const = default;
};

/* "10.0.0.1:7464", "[fe80::1]:7464", "host-b.example:7464" */
[[nodiscard]] std::string text_of(const Address &address);
/* EINVAL: @text is not like one of those. */
[[nodiscard]] Result<Address> address_of(std::string_view text);

/*
 * Connected and non-blocking. Blocks for at most @limit, and on the resolver's own limits
 * for a name. The errno of the last try, and a sentence with the address.
 */
[[nodiscard]] Result<ScopedFd> connect_to(const Address &address, std::chrono::milliseconds limit);
/* Non-blocking; port 0: any that is free. EADDRINUSE, EADDRNOTAVAIL, EACCES. */
[[nodiscard]] Result<ScopedFd> listen_at(const Address &address);

/* Of this end. */
[[nodiscard]] Result<Address> address_here(int fd);
/* Of the other end; host "?" if it is gone already. */
[[nodiscard]] Address address_there(int fd);

/* What connections between hosts need: no waiting for more bytes, notice of dead ones. */
void tune(int fd);

} /* namespace corbel::trust */
