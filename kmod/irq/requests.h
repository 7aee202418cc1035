/* SPDX-License-Identifier: GPL-2.0 */
/*
 * requests.h - what module.c calls, and the feature's way to a descriptor.
 */
#ifndef CORBEL_IRQ_REQUESTS_H
#define CORBEL_IRQ_REQUESTS_H

#include "../core/feature.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Task. 0 or a negated errno, and then nothing is left behind. */
int corbel_irq_start(struct module *module);
void corbel_irq_stop(void);

#ifdef __cplusplus
}
#endif

#endif /* CORBEL_IRQ_REQUESTS_H */
