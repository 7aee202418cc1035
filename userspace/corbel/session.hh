/* SPDX-License-Identifier: GPL-2.0-or-later */
/* session.hh - from what the operator named to an open attachment. */
#pragma once

#include <libcorbel/device.hh>
#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>
#include <libcorbel/vm.hh>

#include <string>
#include <string_view>

namespace corbel::cli {

struct Session {
	Vm vm;
	corbel_vm_info info; /* as it was found */
	std::string name; /* of the guest; empty if its process is not visible */
	bool attached_before; /* else the attachment ends with this session */
	ScopedFd process; /* readable once the process ended; empty if not visible */

	/* Such as: VM 3 'web1' (pid 412) */
	[[nodiscard]] std::string label() const;
};

/* @text as described in target.hh. */
[[nodiscard]] Result<Session> open_session(const Device &device, std::string_view text);

} /* namespace corbel::cli */
