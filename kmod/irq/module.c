// SPDX-License-Identifier: GPL-2.0
/*
 * module.c - corbel_irq.ko: the module's start and end.
 */
#include <linux/module.h>

#include <corbel/version.h>

#include "requests.h"

static int __init corbel_irq_init(void)
{
	return corbel_irq_start(THIS_MODULE);
}

static void __exit corbel_irq_exit(void)
{
	corbel_irq_stop();
}

module_init(corbel_irq_init);
module_exit(corbel_irq_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KVM host extensions: interrupt observer");
MODULE_VERSION(CORBEL_VERSION);
MODULE_AUTHOR("The Corbel project");
MODULE_IMPORT_NS(CORBEL);
