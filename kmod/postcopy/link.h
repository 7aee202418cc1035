/* SPDX-License-Identifier: GPL-2.0 */
/*
 * link.h - what a pager needs besides memory: sockets, threads and those who wait.
 */
#ifndef CORBEL_POSTCOPY_LINK_H
#define CORBEL_POSTCOPY_LINK_H

#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a connected TCP socket, of which we have hold -------------------------------- */

struct corbel_link;

/*
 * With a reference to the socket behind @fd. Task. -EBADF, -ENOTSOCK; -EINVAL: not TCP, or not
 * connected; -ENOKEY: no kernel TLS on it, and not @plain; -ENOMEM.
 */
int corbel_link_new(s32 fd, bool plain, struct corbel_link **link);
/* Nobody is in a call below. Task. NULL is fine. */
void corbel_link_free(struct corbel_link *link);
bool corbel_link_same(const struct corbel_link *a, const struct corbel_link *b);
bool corbel_link_is_plain(const struct corbel_link *link);
/* Both ways: whoever waits in a call below comes back, and the other end is told. Task. */
void corbel_link_shut(struct corbel_link *link);

/* As struct kvec. */
struct corbel_part {
	const void *at;
	u64 bytes;
};
/*
 * All parts, in order; @wait: however long that takes. How many bytes, which without @wait
 * may be fewer than there are; or a negated errno, never -EAGAIN. Task, one at a time.
 */
s64 corbel_link_send(struct corbel_link *link, struct corbel_part *parts, u32 count, bool wait);
/* At least one byte; 0: the other end has closed. Task, one at a time. */
s64 corbel_link_receive(struct corbel_link *link, void *to, u32 bytes);

/*
 * From now on what comes is taken as it comes, by @take, in a softirq or in task context with
 * softirqs off, one call at a time; of plain sockets only. It takes all @bytes at @from or
 * answers a negated errno. @ended: that, or the other end has closed, or the connection is
 * gone; same context, maybe more than once. Task.
 */
void corbel_link_attend(struct corbel_link *link, int (*take)(void *, const void *from, u32 bytes),
			void (*ended)(void *), void *argument);
/* None of them is running or will be called. Task. */
void corbel_link_ignore(struct corbel_link *link);

/* ---- threads and those who wait ---------------------------------------------------- */

struct corbel_thread;
/* Task. NULL: no memory. */
struct corbel_thread *corbel_thread_new(const char *name, void (*function)(void *), void *argument);
/* Once its function has returned. Task. NULL is fine. */
void corbel_thread_join(struct corbel_thread *thread);

struct corbel_gate;
/* Task. NULL: no memory. */
struct corbel_gate *corbel_gate_new(void);
void corbel_gate_free(struct corbel_gate *gate);
/* Any context but NMI. */
void corbel_gate_wake(struct corbel_gate *gate);
/* Until @ready(@argument). With @signals -EINTR is possible. Task. */
int corbel_gate_wait(struct corbel_gate *gate, bool (*ready)(void *), void *argument, bool signals);
/* The same for @ms at most; false: it is not. */
bool corbel_gate_wait_for(struct corbel_gate *gate, bool (*ready)(void *), void *argument, u32 ms);

/* ---- contents of pages ---------------------------------------------------------------- */

/* Any context. */
u32 corbel_checksum(const void *at, size_t bytes);
bool corbel_is_zero_page(const void *at);
/* For corbel_compress(), or NULL: this kernel has no LZ4 to compress with. Task. */
void *corbel_compressor_new(void);
void corbel_compressor_free(void *compressor);
/* A page, into @room bytes: how many it takes, or 0: more. */
u32 corbel_compress(void *compressor, const void *page, void *to, u32 room);
/* Into a page, which holds anything if false is answered. Any context but NMI. */
bool corbel_decompress(const void *from, u32 bytes, void *page);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_POSTCOPY_LINK_H */
