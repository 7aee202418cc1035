/* SPDX-License-Identifier: GPL-2.0 */
/*
 * inventory.hh - the table behind hooks.h, for the core alone.
 */
#pragma once

#include <corbel/corbel.h>

#include "hooks.h"

extern "C" {

/* Task. Never fails for what is missing; only for no memory. */
int corbel_inventory_init(void);
void corbel_inventory_exit(void);
bool corbel_inventory_has_btf(void);
/* Fills @info but for size, flags and index. -ENOENT past the end. Task. */
int corbel_inventory_describe(u32 index, struct corbel_hook_info *info);
/* How many VMs are watched by the entry that is installed per VM. Atomic. */
void corbel_inventory_count_owner_exit(s32 change);

} /* extern "C" */
