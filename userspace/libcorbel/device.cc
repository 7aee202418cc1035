// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/device.hh>

#include <libcorbel/ioctl_table.hh>

#include <corbel/version.h>

#include <fcntl.h>

#include <cstring>

#include <fmt/format.h>

namespace corbel {

namespace {

constexpr const char *how_to_load =
	"load the modules with `modprobe -a corbel corbel_irq corbel_postcopy corbel_replay`, or "
	"from a build with `insmod corbel.ko` and then those that are needed of `insmod "
	"corbel_irq.ko`, `insmod corbel_postcopy.ko` and `insmod corbel_replay.ko`";

std::unexpected<Error> open_failure(const char *path, int number)
{
	switch (number) {
	case ENOENT:
		return failure(number, fmt::format("{} does not exist, so corbel.ko is not "
						   "loaded: {}.",
						   path, how_to_load));
	case ENXIO:
	case ENODEV:
		return failure(number, fmt::format("{} exists but no module answers behind it: {}.",
						   path, how_to_load));
	case EACCES:
	case EPERM:
		return failure(number, fmt::format("{} may only be opened with CAP_SYS_ADMIN: run "
						   "this as root.",
						   path));
	default:
		return failure(number, fmt::format("{} cannot be opened: {}.", path,
						   describe_errno(number)));
	}
}

/* Every other failure of an ioctl that has no cause of its own to explain. */
std::unexpected<Error> call_failure(std::string_view name, int number)
{
	return failure(number, fmt::format("The module refused {}: {}; `corbel doctor` checks "
					   "that the tool and the module fit.",
					   name, describe_errno(number)));
}

Result<ModuleIdentity> shake_hands(int fd)
{
	corbel_hello hello{};

	hello.abi_major = CORBEL_ABI_MAJOR;
	hello.abi_minor = CORBEL_ABI_MINOR;
	std::strncpy(hello.version, CORBEL_VERSION, sizeof(hello.version) - 1);
	int ret = call(fd, request::hello, hello);

	ModuleIdentity module{hello.abi_major, hello.abi_minor, text_of(hello.version),
			      text_of(hello.release), text_of(hello.srcversion)};
	if (ret == -EPROTO)
		return failure(
			EPROTO,
			fmt::format("This tool is {} (ABI {}.{}) and the loaded module is {} "
				    "(ABI {}.{}), which do not fit: load the module that "
				    "belongs to the tool, or use the tool of the module.",
				    CORBEL_VERSION, CORBEL_ABI_MAJOR, CORBEL_ABI_MINOR,
				    module.version, module.abi_major, module.abi_minor));
	if (ret == -ENOTTY)
		return failure(ENOTTY, fmt::format("{} does not know the version handshake, so "
						   "something else than corbel.ko owns it: look "
						   "at `lsmod`.",
						   CORBEL_DEVICE));
	if (ret < 0)
		return failure(-ret, fmt::format("The version handshake of tool {} (ABI {}.{}) "
						 "with the module failed: {}; the module may be of "
						 "another build, see `corbel doctor`.",
						 CORBEL_VERSION, CORBEL_ABI_MAJOR, CORBEL_ABI_MINOR,
						 describe_errno(-ret)));
	return module;
}

} /* namespace */

std::string text_of(const char *chars, std::size_t room)
{
	return std::string(chars, ::strnlen(chars, room));
}

Result<Device> Device::open(const char *path)
{
	ScopedFd fd(::open(path, O_RDWR | O_CLOEXEC));

	if (!fd)
		return open_failure(path, errno);
	auto module = CORBEL_EXPECT(shake_hands(fd.get()));
	return Device(std::move(fd), std::move(module));
}

Result<corbel_caps> Device::capabilities() const
{
	corbel_caps caps{};

	if (int ret = call(fd_.get(), request::query, caps); ret < 0)
		return call_failure(request::query.name, -ret);
	return caps;
}

Result<std::vector<corbel_hook_info>> Device::hooks() const
{
	std::vector<corbel_hook_info> hooks;

	for (;;) {
		corbel_hook_info hook{};

		hook.index = static_cast<std::uint32_t>(hooks.size());
		int ret = call(fd_.get(), request::hook_info, hook);
		if (ret == -ENOENT)
			return hooks;
		if (ret < 0)
			return call_failure(request::hook_info.name, -ret);
		hooks.push_back(hook);
	}
}

Result<std::vector<corbel_vm_info>> Device::attachments() const
{
	std::vector<corbel_vm_info> vms(16);

	/* Others attach meanwhile, so ask until all of them had room. */
	for (;;) {
		corbel_vm_list list{};

		list.count = static_cast<std::uint32_t>(vms.size());
		list.vms = reinterpret_cast<std::uintptr_t>(vms.data());
		if (int ret = call(fd_.get(), request::vm_list, list); ret < 0)
			return call_failure(request::vm_list.name, -ret);
		bool all = list.count <= vms.size();
		vms.resize(list.count);
		if (all)
			return vms;
	}
}

Result<Vm> Device::attach(const ScopedFd &kvm_vm) const
{
	corbel_vm_attach attach{};

	attach.vm_fd = kvm_vm.get();
	int ret = call(fd_.get(), request::vm_attach, attach);
	switch (ret < 0 ? -ret : 0) {
	case 0:
		return Vm(ScopedFd(ret), attach.vm_id);
	case EINVAL:
		return failure(EINVAL, "The descriptor to attach to is not a KVM virtual machine "
				       "(anon_inode:kvm-vm): name a process that runs one, "
				       "`corbel vm list` shows them.");
	case ESTALE:
		return failure(ESTALE, "The virtual machine is being torn down, so it can no "
				       "longer be attached to.");
	default:
		return call_failure(request::vm_attach.name, -ret);
	}
}

Result<Vm> Device::open_vm(std::uint64_t vm_id) const
{
	corbel_vm_open open{};

	open.vm_id = vm_id;
	int ret = call(fd_.get(), request::vm_open, open);
	if (ret == -ENOENT)
		return failure(ENOENT, fmt::format("There is no attachment number {}: `corbel vm "
						   "list` shows those there are.",
						   vm_id));
	if (ret < 0)
		return call_failure(request::vm_open.name, -ret);
	return Vm(ScopedFd(ret), vm_id);
}

Result<Device::Recorder> Device::enrol_vcpu(int kvm_vcpu, std::uint32_t entries) const
{
	corbel_replay_enrol enrol{};

	enrol.vcpu_fd = kvm_vcpu;
	enrol.entries = entries;
	const int ret = call(fd_.get(), request::replay_enrol, enrol);
	switch (ret < 0 ? -ret : 0) {
	case 0:
		return Recorder{ScopedFd(ret), enrol.area_bytes};
	case ENOTTY:
	case EOPNOTSUPP:
		return failure(-ret, "corbel_replay.ko is not loaded, or a hook that it needs is "
				     "missing: load it with `modprobe corbel_replay`; `corbel "
				     "doctor` names the hook.");
	case EBUSY:
		return failure(EBUSY, "The vCPU is recorded or replayed already.");
	default:
		return failure(-ret, fmt::format("The vCPU cannot be recorded or replayed: {}.",
						 describe_errno(-ret)));
	}
}

Result<Memory> Device::create_memory(std::uint64_t bytes, std::uint32_t flags) const
{
	corbel_memory_create create{};

	create.flags = flags;
	create.bytes = bytes;
	int ret = call(fd_.get(), request::memory_create, create);
	switch (ret < 0 ? -ret : 0) {
	case 0:
		return Memory(ScopedFd(ret), create.number, bytes);
	case ENOMEM:
		return failure(ENOMEM, fmt::format("{} MiB of memory are needed for a guest, and "
						   "{} MiB can be had: nothing was allocated.",
						   bytes >> 20, create.available >> 20));
	case EOPNOTSUPP:
		return failure(EOPNOTSUPP, "corbel_postcopy.ko is not loaded, so there are no "
					   "memory objects: load it with `modprobe "
					   "corbel_postcopy`.");
	case ENOSPC:
		return failure(ENOSPC, fmt::format("There are {} memory objects already.",
						   CORBEL_MEMORY_OBJECTS));
	case EINVAL:
	case E2BIG:
		return failure(-ret,
			       fmt::format("A memory object has whole pages of {} bytes, up "
					   "to {} GiB: {} bytes are not that.",
					   CORBEL_MEMORY_PAGE, CORBEL_MEMORY_MAX >> 30, bytes));
	default:
		return call_failure(request::memory_create.name, -ret);
	}
}

} /* namespace corbel */
