/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * device.hh - /dev/corbel, the root of the ownership tree in <corbel/corbel.h>.
 *
 * A Device exists only after the version handshake has succeeded, so every
 * other call can rely on the tool and the module understanding each other.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/memory.hh>
#include <libcorbel/scoped_fd.hh>
#include <libcorbel/vm.hh>

#include <corbel/corbel.h>

#include <cstdint>
#include <string>
#include <vector>

namespace corbel {

/* Who answered the handshake. */
struct ModuleIdentity {
	std::uint32_t abi_major;
	std::uint32_t abi_minor;
	std::string version;
	std::string release; /* of the kernel that the module was built for */
	std::string srcversion;
};

class Device {
public:
	[[nodiscard]] static Result<Device> open(const char *path = CORBEL_DEVICE);

	[[nodiscard]] const ModuleIdentity &module() const { return module_; }
	[[nodiscard]] Result<corbel_caps> capabilities() const;
	[[nodiscard]] Result<std::vector<corbel_hook_info>> hooks() const;
	[[nodiscard]] Result<std::vector<corbel_vm_info>> attachments() const;

	/* @kvm_vm can be closed afterwards: the attachment does not need it. */
	[[nodiscard]] Result<Vm> attach(const ScopedFd &kvm_vm) const;
	[[nodiscard]] Result<Vm> open_vm(std::uint64_t vm_id) const;

	/*
	 * A memory object of @bytes, all of them allocated. @flags: CORBEL_MEMORY_*. ENOMEM: the
	 * host has not as much. EOPNOTSUPP: corbel_postcopy.ko is not loaded.
	 */
	[[nodiscard]] Result<Memory> create_memory(std::uint64_t bytes,
						   std::uint32_t flags = 0) const;

	/* What @kvm_vcpu reads of its counter is recorded, or replayed, by <corbel/replay.h>. */
	struct Recorder {
		ScopedFd fd;
		std::uint64_t area_bytes;
	};
	[[nodiscard]] Result<Recorder> enrol_vcpu(int kvm_vcpu, std::uint32_t entries) const;

private:
	Device(ScopedFd fd, ModuleIdentity module) : fd_(std::move(fd)), module_(std::move(module))
	{}

	ScopedFd fd_;
	ModuleIdentity module_;
};

/* A char array of the ABI, which need not end in NUL. */
[[nodiscard]] std::string text_of(const char *chars, std::size_t room);

template <std::size_t N>
[[nodiscard]] std::string text_of(const char (&chars)[N])
{
	return text_of(chars, N);
}

} /* namespace corbel */
