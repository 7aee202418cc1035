// SPDX-License-Identifier: GPL-2.0
/*
 * module.c - corbel_replay.ko: the module's start and end.
 */
#include <linux/module.h>

#include <corbel/version.h>

#include "requests.h"

static int __init corbel_replay_init(void)
{
	return corbel_replay_start(THIS_MODULE);
}

static void __exit corbel_replay_exit_module(void)
{
	corbel_replay_stop();
}

module_init(corbel_replay_init);
module_exit(corbel_replay_exit_module);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KVM host extensions: recording and replaying vCPUs");
MODULE_VERSION(CORBEL_VERSION);
MODULE_AUTHOR("The Corbel project");
MODULE_IMPORT_NS(CORBEL);
