// SPDX-License-Identifier: GPL-2.0
/*
 * module.c - dm-corbel.ko: the module's start and end.
 */
#include <linux/module.h>

#include <corbel/version.h>

#include "meter/meter.h"
#include "pool_shim.h"

static struct target_type *const targets[] = {
	&corbel_pool_target,
	&corbel_volume_target,
	&corbel_qos_target,
};

static void unregister(unsigned int count)
{
	while (count)
		dm_unregister_target(targets[--count]);
}

static int __init dm_corbel_init(void)
{
	unsigned int i;
	int error;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		error = dm_register_target(targets[i]);
		if (error) {
			unregister(i);
			return error;
		}
	}
	error = corbel_meter_stats_start(THIS_MODULE);
	if (error)
		unregister(ARRAY_SIZE(targets));
	return error;
}

static void __exit dm_corbel_exit(void)
{
	corbel_meter_stats_stop();
	unregister(ARRAY_SIZE(targets));
}

module_init(dm_corbel_init);
module_exit(dm_corbel_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION(
	"KVM host extensions: a block store whose blocks can be moved, and QoS below the LUN");
MODULE_VERSION(CORBEL_VERSION);
MODULE_AUTHOR("The Corbel project");
/* What device-mapper asks for when a table names a target that it does not know. */
MODULE_ALIAS("dm-corbel-pool");
MODULE_ALIAS("dm-corbel-volume");
MODULE_ALIAS("dm-corbel-qos");
MODULE_IMPORT_NS(CORBEL);
