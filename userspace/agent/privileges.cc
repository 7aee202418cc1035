// SPDX-License-Identifier: GPL-2.0-or-later
#include <agent/privileges.hh>

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

namespace corbel::agent {

namespace {

/* Much more than it ever uses: a list of 4096 interrupts and its text. */
constexpr rlim_t memory_limit = rlim_t{256} << 20;

/*
 * The calls that would make it more than it is fail. Those of another architecture,
 * which have other numbers, end the process.
 */
Result<void> refuse_calls()
{
	constexpr int refused[] = {
		SYS_execve,
		SYS_execveat,
		SYS_fork,
		SYS_vfork,
		SYS_clone,
		SYS_clone3,
		SYS_ptrace,
		SYS_mount,
		SYS_umount2,
		SYS_chroot,
		SYS_pivot_root,
		SYS_init_module,
		SYS_finit_module,
		SYS_bpf,
		SYS_unlink,
		SYS_unlinkat,
		SYS_rename,
		SYS_renameat2,
		SYS_mknod,
		SYS_mknodat,
		SYS_kill,
		SYS_socket,
		SYS_connect,
		SYS_setns,
		SYS_unshare,
		SYS_io_uring_setup,
		SYS_process_vm_writev,
	};
	std::vector<sock_filter> filter{
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* x32 */
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};

	for (int call : refused) {
		filter.push_back(
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<__u32>(call), 0, 1));
		filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
	}
	filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));

	const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
	/* EINVAL: a kernel without filters, on which it has to do without. */
	if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0 && errno != EINVAL)
		return failure(errno,
			       "System calls cannot be given up: " + describe_errno(errno) + ".");
	return {};
}

} /* namespace */

Result<void> drop_privileges()
{
	const rlimit memory{memory_limit, memory_limit};
	const rlimit no_core{0, 0};
	__user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
	const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};

	::setrlimit(RLIMIT_AS, &memory);
	::setrlimit(RLIMIT_CORE, &no_core);
	/* Only who has CAP_SETPCAP can; the others have less to lose. */
	for (unsigned long capability = 0; capability <= CAP_LAST_CAP; capability++)
		::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    ::syscall(SYS_capset, &header, none) != 0)
		return failure(errno,
			       "Privileges cannot be given up: " + describe_errno(errno) + ".");
	return refuse_calls();
}

} /* namespace corbel::agent */
