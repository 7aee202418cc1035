/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * pager.h - pagers of corbel_postcopy.ko: pages of a memory object go from one host to
 * another. See <corbel/corbel.h> for the rules of all ioctls, <corbel/memory.h> for memory
 * objects.
 *
 *   memory fd
 *    |- CORBEL_PAGER_NEW  -> pager fd: one end of a transfer
 *
 * A transfer has two ends. The *serving* one has the pages, the *fetching* one misses them;
 * both objects are of the same size. Between them are two connected TCP sockets, of which the
 * pager takes hold: on the *demand* stream go requests one way and the pages that answer them
 * the other, on the *push* stream all other pages, in the order in which they are likely to be
 * missed. Nothing else may read or write the sockets meanwhile. Whoever makes a pager sets up
 * kernel TLS on them before; without it CORBEL_PAGER_PLAIN is needed, and says that whoever
 * can see or change what goes over that network may see and change the guest.
 *
 * The serving end sends nothing until CORBEL_PAGER_GO, which needs a sealed object; before,
 * CORBEL_PAGER_ROUND may send what was written since the last one, as often as it is worth it.
 * Such pages are *staged* at the fetching end: they become present when GO says that they
 * have not been written since. Each page goes over the wire once after GO.
 *
 * If the connection is lost, whoever misses pages goes on waiting: close the pagers of both
 * ends, make new ones on new sockets, GO again; the fetching end tells what it has, and asks
 * for what is still waited for. The serving object must have stayed sealed.
 *
 * Every page has a checksum, besides what TLS has: a page that does not match is asked for
 * again. Pages that are zero or compress well are sent so.
 *
 * poll(2): POLLIN once the state is not CORBEL_PAGER_RUNNING; POLLHUP once it has failed.
 * Closing the descriptor ends the pager and shuts the sockets down; what is present stays, what
 * is missing stays missing.
 */
#ifndef _UAPI_CORBEL_PAGER_H
#define _UAPI_CORBEL_PAGER_H

#include <corbel/corbel.h>

#define CORBEL_PAGER_VERSION 1 /* of what goes over the wire */
#define CORBEL_PAGER_MAX_WINDOW 65536U /* pages */

/* corbel_pager_new.role */
#define CORBEL_PAGER_FETCH 1
#define CORBEL_PAGER_SERVE 2

/* corbel_pager_new.flags */
#define CORBEL_PAGER_PLAIN (1U << 0) /* the sockets may be without kernel TLS */
#define CORBEL_PAGER_NO_COMPRESSION (1U << 1) /* serve: pages are zero or sent as they are */

/**
 * struct corbel_pager_new - ioctl on a memory fd; answers a pager fd
 * @size: sizeof(struct corbel_pager_new)
 * @flags: CORBEL_PAGER_PLAIN, CORBEL_PAGER_NO_COMPRESSION
 * @role: CORBEL_PAGER_FETCH or CORBEL_PAGER_SERVE
 * @window: fetch: pages of the push stream that may be under way, at most
 *	CORBEL_PAGER_MAX_WINDOW; 0: 64. What is demanded waits behind no more than these.
 *	Serve: 0
 * @demand: in: a connected TCP socket
 * @push: in: another one
 * @session: which transfer this is; the other end must have been told the same
 *
 * Errors: EINVAL: no such role, a window that is too large, not two different connected TCP
 * sockets. EBADF, ENOTSOCK. ENOKEY: no kernel TLS on one of the sockets, and no
 * CORBEL_PAGER_PLAIN. EBUSY: the object has a pager. ENOMEM. EOPNOTSUPP: fetch, and the object
 * was not made with CORBEL_MEMORY_MISSING; serve, and it misses pages.
 */
struct corbel_pager_new {
	__u32 size;
	__u32 flags;
	__u32 role;
	__u32 window;
	__s32 demand;
	__s32 push;
	__u8 session[16];
};

/* corbel_pager_info.state */
#define CORBEL_PAGER_RUNNING 1
#define CORBEL_PAGER_DONE 2 /* every page has arrived, and both ends know it */
#define CORBEL_PAGER_LOST 3 /* the connection; see @error */
#define CORBEL_PAGER_FAILED 4 /* the other end does not keep to the protocol; see @error */

/**
 * struct corbel_pager_info - ioctl on a pager fd
 * @size: sizeof(struct corbel_pager_info)
 * @flags: 0
 * @role: out: as made
 * @state: out: CORBEL_PAGER_*
 * @error: out: the error number of a socket, EPROTO, EBADMSG, or 0
 * @going: out: 1 since GO was sent or has arrived
 * @pages: out: of the object
 * @demanded: out: requests sent (fetch) or received (serve)
 * @by_demand: out: pages that went over the demand stream
 * @by_push: out: pages that went over the push stream after GO, zeros included
 * @staged: out: pages that went over it before GO
 * @zeros: out: of the pages that were sent or received, those that were zero
 * @compressed: out: those that were compressed
 * @bytes: out: over both sockets, headers included, without TLS and TCP
 * @again: out: pages asked for again since their checksum was wrong
 * @duplicates: out: fetch: pages that came although they were present
 * @underway: out: serve: requests for pages that had been sent already
 * @adopted: out: fetch: staged pages that became present by GO
 *
 * Of a pager at work these are counted one after another.
 */
struct corbel_pager_info {
	__u32 size;
	__u32 flags;
	__u32 role;
	__u32 state;
	__u32 error;
	__u32 going;
	__u64 pages;
	__u64 demanded;
	__u64 by_demand;
	__u64 by_push;
	__u64 staged;
	__u64 zeros;
	__u64 compressed;
	__u64 bytes;
	__u64 again;
	__u64 duplicates;
	__u64 underway;
	__u64 adopted;
};

/**
 * struct corbel_pager_round - ioctl on a serving pager fd: send what has been written
 * @size: sizeof(struct corbel_pager_round)
 * @flags: 0
 * @pages: out: how many were sent, of what was written since the last round or, in the first
 *	one, since CORBEL_MEMORY_TRACK: all
 *
 * Returns when the other end has them. Errors: EINVAL: the object is not tracked. EBUSY: after
 * GO, or another ROUND is under way. ENOTCONN: not RUNNING. EINTR: a signal; what was not sent
 * counts as written again. If the other end takes nothing for two seconds then, the connection is
 * given up (LOST, ETIMEDOUT).
 */
struct corbel_pager_round {
	__u32 size;
	__u32 flags;
	__u64 pages;
};

/* corbel_pager_go.flags */
#define CORBEL_PAGER_GO_ASKED (1U << 0) /* only what is asked for is sent, until the next GO */

/**
 * struct corbel_pager_go - ioctl on a serving pager fd: from now on pages are final
 * @size: sizeof(struct corbel_pager_go)
 * @flags: CORBEL_PAGER_GO_ASKED
 * @missing: out: pages that are to be sent
 *
 * Returns when the other end has told what it has. With CORBEL_PAGER_GO_ASKED nothing takes time
 * from the loading of devices, which ask for few pages; a GO without it then begins with the rest.
 * Errors: EBUSY: the object is not sealed, or a ROUND is under way. EALREADY. ENOTCONN: not
 * RUNNING. EINTR: a signal.
 */
struct corbel_pager_go {
	__u32 size;
	__u32 flags;
	__u64 missing;
};

/* ioctl of a memory fd */
#define CORBEL_PAGER_NEW _IOWR(CORBEL_IOC_MAGIC, 0x70, struct corbel_pager_new)

/* ioctls of a pager fd */
#define CORBEL_PAGER_INFO _IOWR(CORBEL_IOC_MAGIC, 0x71, struct corbel_pager_info)
#define CORBEL_PAGER_ROUND _IOWR(CORBEL_IOC_MAGIC, 0x72, struct corbel_pager_round)
#define CORBEL_PAGER_GO _IOWR(CORBEL_IOC_MAGIC, 0x73, struct corbel_pager_go)

#endif /* _UAPI_CORBEL_PAGER_H */
