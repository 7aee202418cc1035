/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * version.h - the release number, for kernel modules and tools alike.
 *
 * The one place it is written. The ABI has numbers of its own, see
 * CORBEL_ABI_MAJOR in <corbel/corbel.h>.
 */
#ifndef _CORBEL_VERSION_H
#define _CORBEL_VERSION_H

#define CORBEL_VERSION "0.1.0"
#define CORBEL_VERSION_DATE "2026-11-23"

#endif /* _CORBEL_VERSION_H */
