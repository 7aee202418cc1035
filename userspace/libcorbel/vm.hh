/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vm.hh - one descriptor of an attachment, see <corbel/corbel.h>. */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/irq.hh>
#include <libcorbel/scoped_fd.hh>

#include <corbel/corbel.h>

#include <cstdint>

namespace corbel {

class Vm {
public:
	Vm(ScopedFd fd, std::uint64_t vm_id) : fd_(std::move(fd)), vm_id_(vm_id) {}

	[[nodiscard]] std::uint64_t id() const { return vm_id_; }
	[[nodiscard]] Result<corbel_vm_info> info() const;

	/* A pinned attachment outlives its last descriptor. */
	[[nodiscard]] Result<void> pin() const { return set_pin(CORBEL_PIN_SET); }
	[[nodiscard]] Result<void> unpin() const { return set_pin(0); }

	/* Enables the interrupt observer if nobody has done so yet. */
	[[nodiscard]] Result<Irq> irq() const;

private:
	[[nodiscard]] Result<void> set_pin(std::uint32_t flags) const;

	ScopedFd fd_;
	std::uint64_t vm_id_;
};

} /* namespace corbel */
