// SPDX-License-Identifier: GPL-2.0
/*
 * module.c - dm-corbel.ko: the module's start and end.
 */
#include <linux/module.h>

#include <corbel/version.h>

#include "pool_shim.h"

static int __init dm_corbel_init(void)
{
	int error = dm_register_target(&corbel_pool_target);

	if (error)
		return error;
	error = dm_register_target(&corbel_volume_target);
	if (error)
		dm_unregister_target(&corbel_pool_target);
	return error;
}

static void __exit dm_corbel_exit(void)
{
	dm_unregister_target(&corbel_volume_target);
	dm_unregister_target(&corbel_pool_target);
}

module_init(dm_corbel_init);
module_exit(dm_corbel_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KVM host extensions: a block store whose blocks can be moved");
MODULE_VERSION(CORBEL_VERSION);
MODULE_AUTHOR("The Corbel project");
/* What device-mapper asks for when a table names a target that it does not know. */
MODULE_ALIAS("dm-corbel-pool");
MODULE_ALIAS("dm-corbel-volume");
MODULE_IMPORT_NS(CORBEL);
