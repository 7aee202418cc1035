/* SPDX-License-Identifier: GPL-2.0-or-later */
/* privileges.hh - what the agent gives up once it has what it needs. */
#pragma once

#include <libcorbel/error.hh>

namespace corbel::agent {

/*
 * No capabilities, none to be had any more, no other program and no other process.
 * What stays is the owner's right to write to the files of /proc/irq.
 */
[[nodiscard]] Result<void> drop_privileges();

} /* namespace corbel::agent */
