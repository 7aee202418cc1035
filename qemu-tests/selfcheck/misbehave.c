// SPDX-License-Identifier: GPL-2.0
/*
 * misbehave.ko - does on load the one bad thing that `how` names, so that the
 * bench can show that it notices. For throw-away machines only.
 */
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/smp.h>

static char *how = "";
module_param(how, charp, 0400);
MODULE_PARM_DESC(how, "warn: a WARN; complain: a message as of a BUG; hang: every CPU spins");

static void spin(void *unused)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static int __init misbehave_init(void)
{
	if (!strcmp(how, "warn"))
		WARN(1, "asked to");
	else if (!strcmp(how, "complain"))
		pr_err("BUG: misbehave was asked to say so\n");
	else if (!strcmp(how, "hang"))
		on_each_cpu(spin, NULL, 0);
	else
		return -EINVAL;
	return 0;
}

static void __exit misbehave_exit(void) {}

module_init(misbehave_init);
module_exit(misbehave_exit);
MODULE_DESCRIPTION("Shows that the bench notices");
MODULE_LICENSE("GPL");
