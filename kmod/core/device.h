/* SPDX-License-Identifier: GPL-2.0 */
/*
 * device.h - what module.c calls: start, stop, and the ioctls of /dev/corbel.
 */
#ifndef CORBEL_CORE_DEVICE_H
#define CORBEL_CORE_DEVICE_H

#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

struct module;

/* Who we are, for the handshake; strings live as long as the module. */
struct corbel_identity {
	const char *version;
	const char *release;
	const char *srcversion;
	const char *without; /* hooks not to be used, or NULL */
	struct module *module;
};

/* Task. 0 or a negated errno, and then nothing is left behind. */
int corbel_core_start(const struct corbel_identity *identity);
void corbel_core_stop(void);

/* @ready: of this descriptor; set by a handshake that succeeded. Task. */
long corbel_device_ioctl(bool *ready, u32 command, u64 argument);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_CORE_DEVICE_H */
