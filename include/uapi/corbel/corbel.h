/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * corbel.h - the ioctl interface of corbel.ko. This header is the manual.
 *
 * Ownership tree. Every indented line is a file descriptor made by an ioctl on
 * the line above it; closing a descriptor releases what it owns and nothing
 * else.
 *
 *   /dev/corbel                  open(2), then CORBEL_HELLO before all else
 *    |- CORBEL_VM_ATTACH         -> VM fd      one attachment per VM, shared
 *    |- CORBEL_VM_OPEN           -> VM fd      the same attachment, by id
 *         |- CORBEL_VM_IRQ       -> IRQ fd     see <corbel/irq.h>
 *              |- CORBEL_IRQ_RING -> ring fd   see <corbel/ring.h>
 *              |- CORBEL_IRQ_STATS -> stats fd see <corbel/stats.h>
 *              |- CORBEL_IRQ_DIST_NEW -> distributor fd   see <corbel/dist.h>
 *                   |- CORBEL_DIST_STATS -> stats fd
 *    |- CORBEL_MEMORY_CREATE     -> memory fd  see <corbel/memory.h>
 *    |- CORBEL_QOS_STATS         -> stats fd   see <corbel/qos.h>
 *    |- CORBEL_REPLAY_ENROL      -> recorder fd  see <corbel/replay.h>
 *
 * An attachment is shared: attaching to a VM that is attached already gives one
 * more descriptor of the same object. It ends when its last descriptor is
 * closed and it is not pinned (CORBEL_VM_PIN), when the VM ends, or when the
 * module is unloaded. After the VM has ended every descriptor of it stays
 * readable (the last counts can still be read) and changes answer ESTALE.
 *
 * Rules that hold for every ioctl here:
 *  - Each argument is a struct whose first member is `size`, set by the caller
 *    to sizeof(struct). A size other than the one compiled into the module
 *    answers EINVAL; the ABI version negotiated by CORBEL_HELLO says which.
 *  - Unknown flags, non-zero padding and non-zero reserved members: EINVAL.
 *  - A bad pointer: EFAULT. An ioctl number unknown to the descriptor: ENOTTY.
 *  - A descriptor made by an ioctl is close-on-exec.
 *  - Numbers are append-only; integers are little-endian like the machine.
 *
 * Privilege: opening /dev/corbel takes CAP_SYS_ADMIN (EPERM). Descriptors can
 * then be handed to a less privileged process; no ioctl on them asks again.
 *
 * Context: all ioctls may sleep and may be called from any thread.
 */
#ifndef _UAPI_CORBEL_CORBEL_H
#define _UAPI_CORBEL_CORBEL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define CORBEL_DEVICE "/dev/corbel"

/*
 * ABI version. Major: the tool and the module must agree. Minor: grows with
 * additions; a tool may be older than the module, never newer.
 */
#define CORBEL_ABI_MAJOR 2
#define CORBEL_ABI_MINOR 3

#define CORBEL_IOC_MAGIC 0xCB

#define CORBEL_VERSION_LEN 32
#define CORBEL_RELEASE_LEN 65
#define CORBEL_NAME_LEN 48
#define CORBEL_DETAIL_LEN 160

/* The largest vCPU index + 1 that an attachment can carry (as KVM's own). */
#define CORBEL_MAX_VCPUS 1024

/**
 * struct corbel_hello - version handshake, first ioctl on /dev/corbel
 * @size: sizeof(struct corbel_hello)
 * @flags: 0
 * @abi_major: in: the caller's CORBEL_ABI_MAJOR; out: the module's
 * @abi_minor: in: the caller's CORBEL_ABI_MINOR; out: the module's
 * @version: in: the caller's release, NUL-terminated; out: the module's
 * @release: out: the kernel release that the module was built for
 * @srcversion: out: the module's srcversion, as in modinfo
 * @pad: 0
 *
 * Errors: EPROTO when the versions do not fit; the struct is filled in all the
 * same so that the caller can name both. Until a handshake has succeeded every
 * other ioctl on the descriptor answers EPROTO.
 */
struct corbel_hello {
	__u32 size;
	__u32 flags;
	__u32 abi_major;
	__u32 abi_minor;
	char version[CORBEL_VERSION_LEN];
	char release[CORBEL_RELEASE_LEN];
	char srcversion[CORBEL_VERSION_LEN];
	__u8 pad[7];
};

/* Bits of corbel_caps.features, and of corbel_vm_info.features. */
#define CORBEL_FEATURE_IRQ (1ULL << 0) /* corbel_irq.ko is loaded */
#define CORBEL_FEATURE_MEMORY (1ULL << 1) /* corbel_postcopy.ko is loaded */
#define CORBEL_FEATURE_BLOCK (1ULL << 2) /* dm-corbel.ko is loaded */
#define CORBEL_FEATURE_REPLAY (1ULL << 3) /* corbel_replay.ko is loaded */

/* corbel_caps.vendor: which KVM vendor module is loaded. */
#define CORBEL_VENDOR_NONE 0
#define CORBEL_VENDOR_AMD 1
#define CORBEL_VENDOR_INTEL 2

/**
 * struct corbel_caps - what this module can do on this host
 * @size: sizeof(struct corbel_caps)
 * @flags: 0
 * @features: out: CORBEL_FEATURE_* bits
 * @vendor: out: CORBEL_VENDOR_*
 * @tsc_khz: out: ticks per millisecond of all time stamps of this interface
 * @nr_hooks: out: entries that CORBEL_HOOK_INFO can be asked for
 * @nr_vms: out: attachments now alive
 * @max_vcpus: out: CORBEL_MAX_VCPUS
 * @btf: out: 1 if the kernel's type information was read at load, else 0
 * @pad: 0
 */
struct corbel_caps {
	__u32 size;
	__u32 flags;
	__u64 features;
	__u32 vendor;
	__u32 tsc_khz;
	__u32 nr_hooks;
	__u32 nr_vms;
	__u32 max_vcpus;
	__u32 btf;
	__u32 pad[4];
};

/* corbel_hook_info.kind */
#define CORBEL_HOOK_TRACEPOINT 1 /* tracepoint probe */
#define CORBEL_HOOK_DIRECT 2 /* ftrace direct call around a function */
#define CORBEL_HOOK_OFFSET 3 /* member offset in a private struct, from BTF */
#define CORBEL_HOOK_NOTIFIER 4 /* exported notifier */
#define CORBEL_HOOK_SYMBOL 5 /* address range of a function, not hooked */

/* corbel_hook_info.state */
#define CORBEL_HOOK_MISSING 1 /* not found or of another shape: degraded */
#define CORBEL_HOOK_READY 2 /* found and verified, not installed now */
#define CORBEL_HOOK_ACTIVE 3 /* installed, or in use */
#define CORBEL_HOOK_FAILED 4 /* found, but installing it was refused */

/**
 * struct corbel_hook_info - one entry of the hook inventory
 * @size: sizeof(struct corbel_hook_info)
 * @flags: 0
 * @index: in: 0 .. nr_hooks - 1; ENOENT past the end
 * @kind: out: CORBEL_HOOK_TRACEPOINT ...
 * @state: out: CORBEL_HOOK_MISSING ...
 * @users: out: how many users hold it installed now
 * @value: out: the offset in bytes for CORBEL_HOOK_OFFSET, the size in bytes for
 *         CORBEL_HOOK_SYMBOL, else 0
 * @name: out: function, tracepoint or struct member
 * @detail: out: what was verified, or what is missing and what degrades
 */
struct corbel_hook_info {
	__u32 size;
	__u32 flags;
	__u32 index;
	__u32 kind;
	__u32 state;
	__u32 users;
	__u64 value;
	char name[CORBEL_NAME_LEN];
	char detail[CORBEL_DETAIL_LEN];
};

/* corbel_vm_info.state */
#define CORBEL_VM_LIVE 1
#define CORBEL_VM_ENDED 2

/**
 * struct corbel_vm_info - one attachment
 * @size: sizeof(struct corbel_vm_info)
 * @flags: 0
 * @vm_id: out: number of the attachment, never reused while the module is loaded
 * @pid: out: the process that created the VM, in the caller's pid namespace,
 *       0 if it is not visible there or has ended
 * @state: out: CORBEL_VM_LIVE or CORBEL_VM_ENDED
 * @nr_vcpus: out: vCPUs known to the attachment
 * @pinned: out: 1 if the attachment stays without a descriptor
 * @nr_fds: out: VM descriptors open now
 * @lapic: out: 1 if the VM's local APICs are in the kernel
 * @features: out: CORBEL_FEATURE_* enabled on this VM
 */
struct corbel_vm_info {
	__u32 size;
	__u32 flags;
	__u64 vm_id;
	__u32 pid;
	__u32 state;
	__u32 nr_vcpus;
	__u32 pinned;
	__u32 nr_fds;
	__u32 lapic;
	__u64 features;
};

/**
 * struct corbel_vm_list - all attachments
 * @size: sizeof(struct corbel_vm_list)
 * @flags: 0
 * @count: in: entries @vms has room for; out: attachments there are. If it is
 *         larger than what was passed in, only the first ones were written.
 * @pad: 0
 * @vms: user pointer to struct corbel_vm_info[@count]; may be 0 if @count is 0
 */
struct corbel_vm_list {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 pad;
	__u64 vms;
};

/**
 * struct corbel_vm_attach - attach to a VM
 * @size: sizeof(struct corbel_vm_attach)
 * @flags: 0
 * @vm_fd: in: a kvm-vm descriptor in the caller's table (from pidfd_getfd(2));
 *         it can be closed as soon as the call returns
 * @pad: 0
 * @vm_id: out: number of the attachment
 *
 * Returns a VM fd. Errors: EBADF (@vm_fd is not open), EINVAL (not a kvm-vm
 * descriptor), ESTALE (the VM is being torn down), EMFILE, ENOMEM.
 */
struct corbel_vm_attach {
	__u32 size;
	__u32 flags;
	__s32 vm_fd;
	__u32 pad;
	__u64 vm_id;
};

/**
 * struct corbel_vm_open - one more descriptor of an attachment
 * @size: sizeof(struct corbel_vm_open)
 * @flags: 0
 * @vm_id: in: number of the attachment
 *
 * Returns a VM fd. Errors: ENOENT (no such attachment), EMFILE, ENOMEM.
 */
struct corbel_vm_open {
	__u32 size;
	__u32 flags;
	__u64 vm_id;
};

/* corbel_vm_pin.flags */
#define CORBEL_PIN_SET (1U << 0) /* set: pin; clear: unpin */

/**
 * struct corbel_vm_pin - keep the attachment when its descriptors are closed
 * @size: sizeof(struct corbel_vm_pin)
 * @flags: CORBEL_PIN_SET or 0
 *
 * A pinned attachment ends with the VM, at unpin or at module unload. What was
 * enabled on it (CORBEL_VM_IRQ) stays enabled. Pinning twice is pinning once.
 * Errors: ESTALE (pinning a VM that has ended).
 */
struct corbel_vm_pin {
	__u32 size;
	__u32 flags;
};

/**
 * struct corbel_vm_irq - open the interrupt observer of a VM
 * @size: sizeof(struct corbel_vm_irq)
 * @flags: 0
 *
 * Returns an IRQ fd. The first call enables the observer; it stays enabled
 * until the attachment ends. Errors: EOPNOTSUPP (corbel_irq.ko is not loaded),
 * ENODEV (the VM has no local APIC in the kernel), ESTALE (the VM has ended
 * and was never observed), ENOMEM, EMFILE.
 */
struct corbel_vm_irq {
	__u32 size;
	__u32 flags;
};

/* On /dev/corbel */
#define CORBEL_HELLO _IOWR(CORBEL_IOC_MAGIC, 0x00, struct corbel_hello)
#define CORBEL_QUERY _IOWR(CORBEL_IOC_MAGIC, 0x01, struct corbel_caps)
#define CORBEL_HOOK_INFO _IOWR(CORBEL_IOC_MAGIC, 0x02, struct corbel_hook_info)
#define CORBEL_VM_LIST _IOWR(CORBEL_IOC_MAGIC, 0x03, struct corbel_vm_list)
#define CORBEL_VM_ATTACH _IOWR(CORBEL_IOC_MAGIC, 0x10, struct corbel_vm_attach)
#define CORBEL_VM_OPEN _IOWR(CORBEL_IOC_MAGIC, 0x11, struct corbel_vm_open)

/* On a VM fd */
#define CORBEL_VM_INFO _IOWR(CORBEL_IOC_MAGIC, 0x20, struct corbel_vm_info)
#define CORBEL_VM_PIN _IOWR(CORBEL_IOC_MAGIC, 0x21, struct corbel_vm_pin)
#define CORBEL_VM_IRQ _IOWR(CORBEL_IOC_MAGIC, 0x22, struct corbel_vm_irq)

#endif /* _UAPI_CORBEL_CORBEL_H */
