// SPDX-License-Identifier: GPL-2.0
/*
 * module.c - corbel.ko: /dev/corbel and the module's start and end.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/version.h>
#include <generated/utsrelease.h>

#include <corbel/version.h>

#include "../compat/kvm.h"
#include "device.h"
#include "exports.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0) || LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#error "Corbel's modules are for the Linux 6.1 packages of Debian 12 only."
#endif

struct corbel_client {
	bool ready; /* the handshake has succeeded */
};

static int corbel_open(struct inode *inode, struct file *file)
{
	struct corbel_client *client;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return -ENOMEM;
	file->private_data = client;
	return 0;
}

static int corbel_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static long corbel_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct corbel_client *client = file->private_data;

	return corbel_device_ioctl(&client->ready, command, argument);
}

static const struct file_operations corbel_device_operations = {
	.owner = THIS_MODULE,
	.open = corbel_open,
	.release = corbel_release,
	.unlocked_ioctl = corbel_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice corbel_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "corbel",
	.fops = &corbel_device_operations,
	.mode = 0600,
};

static char *without;
module_param(without, charp, 0444);
MODULE_PARM_DESC(without, "hooks that must not be used, by name, separated by commas");

static int __init corbel_init(void)
{
	const struct corbel_identity identity = {
		.version = CORBEL_VERSION,
		.release = UTS_RELEASE,
		.srcversion = THIS_MODULE->srcversion,
		.without = without,
		.module = THIS_MODULE,
	};
	int error = corbel_core_start(&identity);

	if (error)
		return error;
	error = misc_register(&corbel_device);
	if (error)
		corbel_core_stop();
	return error;
}

static void __exit corbel_exit(void)
{
	misc_deregister(&corbel_device);
	corbel_core_stop();
}

module_init(corbel_init);
module_exit(corbel_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KVM host extensions: VM attachments, event rings, hooks");
MODULE_VERSION(CORBEL_VERSION);
MODULE_AUTHOR("The Corbel project");
