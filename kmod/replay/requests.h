/* SPDX-License-Identifier: GPL-2.0 */
/*
 * requests.h - what module.c calls.
 */
#ifndef CORBEL_REPLAY_REQUESTS_H
#define CORBEL_REPLAY_REQUESTS_H

#include "../rt/shim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Task. 0 or a negated errno, and then nothing is left behind. */
int corbel_replay_start(struct module *module);
void corbel_replay_stop(void);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_REPLAY_REQUESTS_H */
