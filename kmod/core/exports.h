/* SPDX-License-Identifier: GPL-2.0 */
/*
 * exports.h - what C++ of the core offers to the other modules. EXPORT_SYMBOL
 * needs a C file, so module.c includes this once.
 */
#include <linux/export.h>

#include "../compat/hooks.h"
#include "feature.h"

#define CORBEL_EXPORT(symbol) EXPORT_SYMBOL_NS_GPL(symbol, CORBEL)

CORBEL_EXPORT(corbel_hook_usable);
CORBEL_EXPORT(corbel_hook_value);
CORBEL_EXPORT(corbel_hook_length);
CORBEL_EXPORT(corbel_hook_install);
CORBEL_EXPORT(corbel_hook_remove);
CORBEL_EXPORT(corbel_hooks_follow_vendor);

CORBEL_EXPORT(corbel_feature_register);
CORBEL_EXPORT(corbel_feature_unregister);
CORBEL_EXPORT(corbel_vm_get);
CORBEL_EXPORT(corbel_vm_put);
CORBEL_EXPORT(corbel_vm_id);

CORBEL_EXPORT(corbel_ring_new);
CORBEL_EXPORT(corbel_ring_free);
CORBEL_EXPORT(corbel_ring_produce);
CORBEL_EXPORT(corbel_ring_end);
CORBEL_EXPORT(corbel_ring_mmap);
CORBEL_EXPORT(corbel_ring_poll);
