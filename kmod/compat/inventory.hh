/* SPDX-License-Identifier: GPL-2.0 */
/*
 * inventory.hh - the table behind hooks.h, for the core alone.
 */
#pragma once

#include <corbel/corbel.h>

#include "hooks.h"

extern "C" {

/*
 * @without: names of entries to be treated as missing, separated by commas, or
 * NULL. Task. Never fails for what is missing; -ENOMEM, or -EINVAL for a name in
 * @without that no entry has.
 */
int corbel_inventory_init(const char *without);
void corbel_inventory_exit(void);
bool corbel_inventory_has_btf(void);
/* Fills @info but for size, flags and index. -ENOENT past the end. Task. */
int corbel_inventory_describe(u32 index, struct corbel_hook_info *info);
/* How many VMs are watched by the entry that is installed per VM. Atomic. */
void corbel_inventory_count_owner_exit(s32 change);

} /* extern "C" */
