// SPDX-License-Identifier: GPL-2.0
/*
 * module.c - corbel_postcopy.ko: the module's start and end.
 */
#include <linux/module.h>

#include <corbel/version.h>

#include "memory.h"

static int __init corbel_postcopy_init(void)
{
	int error = corbel_nodes_start();

	if (error)
		return error;
	error = corbel_postcopy_start(THIS_MODULE);
	if (error)
		corbel_nodes_stop();
	return error;
}

static void __exit corbel_postcopy_exit(void)
{
	corbel_postcopy_stop();
	corbel_nodes_stop();
}

module_init(corbel_postcopy_init);
module_exit(corbel_postcopy_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KVM host extensions: guest memory for post-copy migration");
MODULE_VERSION(CORBEL_VERSION);
MODULE_AUTHOR("The Corbel project");
MODULE_IMPORT_NS(CORBEL);
