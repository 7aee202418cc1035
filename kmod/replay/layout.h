/* SPDX-License-Identifier: GPL-2.0 */
/*
 * layout.h - what hooks.S and C++ must agree on.
 */
#ifndef CORBEL_REPLAY_LAYOUT_H
#define CORBEL_REPLAY_LAYOUT_H

/* A vCPU's bucket: the low half of its address, times the factor, the upper bits. */
#define CORBEL_BUCKET_FACTOR 0x9e3779b1
#define CORBEL_BUCKET_SHIFT 24
#define CORBEL_BUCKETS 256

/* Of KVM's enum exit_fastpath_completion: not EXIT_FASTPATH_NONE. */
#define CORBEL_EXIT_HANDLED 2

#endif /* CORBEL_REPLAY_LAYOUT_H */
