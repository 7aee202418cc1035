// SPDX-License-Identifier: GPL-2.0
/*
 * node_shim.c - nodes /dev/corbel-ram<number>, and descriptors of memory objects.
 */
#include <linux/anon_inodes.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/poll.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>

#include <corbel/memory.h>

#include "spaces.h"

static dev_t corbel_first_device;
static struct class *corbel_class;
static struct cdev corbel_device;

/* Above all that a put frees; nothing else is taken while it is held. */
static DEFINE_MUTEX(corbel_nodes_lock);
static DEFINE_IDR(corbel_nodes);

/*
 * Each object has an address space of its own, whatever it was opened by, so that all
 * mappings of it are found. It is that of an inode without a name.
 */
static struct vfsmount *corbel_mount;
static int corbel_mount_users;

static int corbel_init_context(struct fs_context *context)
{
	return init_pseudo(context, 0x436f7262) ? 0 : -ENOMEM;
}

static struct file_system_type corbel_inodes = {
	.name = "corbel-ram",
	.owner = THIS_MODULE,
	.init_fs_context = corbel_init_context,
	.kill_sb = kill_anon_super,
};

static struct inode *corbel_new_inode(void)
{
	struct inode *inode;
	int error = simple_pin_fs(&corbel_inodes, &corbel_mount, &corbel_mount_users);

	if (error)
		return ERR_PTR(error);
	inode = alloc_anon_inode(corbel_mount->mnt_sb);
	if (IS_ERR(inode))
		simple_release_fs(&corbel_mount, &corbel_mount_users);
	return inode;
}

static void corbel_put_inode(struct inode *inode)
{
	iput(inode);
	simple_release_fs(&corbel_mount, &corbel_mount_users);
}

static int corbel_node_open(struct inode *inode, struct file *file)
{
	struct corbel_node *node;

	mutex_lock(&corbel_nodes_lock);
	node = idr_find(&corbel_nodes, iminor(inode) - MINOR(corbel_first_device));
	if (node)
		node->references++;
	mutex_unlock(&corbel_nodes_lock);
	if (!node)
		return -ENXIO;
	file->private_data = node;
	file->f_mapping = node->inode->i_mapping;
	return 0;
}

void corbel_node_get(struct corbel_node *node)
{
	mutex_lock(&corbel_nodes_lock);
	node->references++;
	mutex_unlock(&corbel_nodes_lock);
}

void corbel_node_put(struct corbel_node *node)
{
	bool last;

	mutex_lock(&corbel_nodes_lock);
	last = !--node->references;
	if (last) {
		device_destroy(corbel_class, corbel_first_device + node->number);
		idr_remove(&corbel_nodes, node->number);
	}
	mutex_unlock(&corbel_nodes_lock);
	if (!last)
		return;
	corbel_refuse_end(node);
	corbel_spaces_free(node);
	corbel_region_destroy(node->region);
	corbel_store_free(node->store);
	corbel_put_inode(node->inode);
	kfree(node);
}

static int corbel_node_release(struct inode *inode, struct file *file)
{
	corbel_node_put(file->private_data);
	return 0;
}

static loff_t corbel_node_llseek(struct file *file, loff_t offset, int whence)
{
	const struct corbel_node *node = file->private_data;

	return fixed_size_llseek(file, offset, whence, (loff_t)node->pages << PAGE_SHIFT);
}

static int corbel_node_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct corbel_node *node = file->private_data;
	int error;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	/* Before looking at how it is to be. */
	error = corbel_space_add(node, vma->vm_mm);
	if (error)
		return error;
	vma->vm_flags |= VM_MIXEDMAP | VM_DONTDUMP | VM_DONTCOPY | VM_DONTEXPAND;
	vma->vm_private_data = node;
	vma->vm_ops = corbel_operations(READ_ONCE(node->watched));
	return 0;
}

static long corbel_node_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	const struct corbel_node *node = file->private_data;

	return corbel_region_ioctl(node->region, node->number, command, argument);
}

static ssize_t corbel_node_read(struct file *file, char __user *to, size_t bytes, loff_t *offset)
{
	const struct corbel_node *node = file->private_data;

	return corbel_region_read(node->region, (u64)(uintptr_t)to, bytes);
}

static __poll_t corbel_node_poll(struct file *file, poll_table *table)
{
	const struct corbel_node *node = file->private_data;
	u32 is;

	poll_wait(file, &node->store->readers, table);
	is = corbel_region_poll(node->region);
	return (is & CORBEL_POLL_IN ? EPOLLIN | EPOLLRDNORM : 0) |
	       (is & CORBEL_POLL_HUP ? EPOLLHUP : 0);
}

static const struct file_operations corbel_node_operations = {
	.owner = THIS_MODULE,
	.open = corbel_node_open,
	.release = corbel_node_release,
	.llseek = corbel_node_llseek,
	.mmap = corbel_node_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.unlocked_ioctl = corbel_node_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.read = corbel_node_read,
	.poll = corbel_node_poll,
};

int corbel_node_new(struct corbel_region *region, struct corbel_store *store, u64 pages,
		    struct corbel_node **made)
{
	struct corbel_node *node = kzalloc(sizeof(*node), GFP_KERNEL_ACCOUNT);
	struct device *device;
	int number;

	if (!node)
		return -ENOMEM;
	node->inode = corbel_new_inode();
	if (IS_ERR(node->inode)) {
		number = PTR_ERR(node->inode);
		goto free;
	}
	node->region = region;
	node->store = store;
	node->pages = pages;
	node->references = 1;
	mutex_init(&node->turn);
	mutex_init(&node->spaces_lock);
	INIT_LIST_HEAD(&node->spaces);
	corbel_refuse_init(node);
	corbel_region_bind(region, node);
	mutex_lock(&corbel_nodes_lock);
	number = idr_alloc(&corbel_nodes, node, 0, CORBEL_MEMORY_OBJECTS, GFP_KERNEL_ACCOUNT);
	if (number >= 0) {
		node->number = number;
		device = device_create(corbel_class, NULL, corbel_first_device + number, NULL,
				       "corbel-ram%d", number);
		if (IS_ERR(device)) {
			idr_remove(&corbel_nodes, number);
			number = PTR_ERR(device);
		}
	}
	mutex_unlock(&corbel_nodes_lock);
	if (number < 0)
		goto put_inode;
	*made = node;
	return 0;
put_inode:
	corbel_put_inode(node->inode);
free:
	kfree(node);
	return number;
}

u32 corbel_node_number(const struct corbel_node *node)
{
	return node->number;
}

int corbel_node_descriptor(struct corbel_node *node)
{
	const int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;

	if (fd < 0)
		return fd;
	file = anon_inode_getfile("[corbel-memory]", &corbel_node_operations, node, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	file->f_mode |= FMODE_LSEEK;
	file->f_mapping = node->inode->i_mapping;
	fd_install(fd, file);
	return fd;
}

int corbel_nodes_start(void)
{
	int error =
		alloc_chrdev_region(&corbel_first_device, 0, CORBEL_MEMORY_OBJECTS, "corbel-ram");

	if (error)
		return error;
	corbel_class = class_create(THIS_MODULE, "corbel-ram");
	if (IS_ERR(corbel_class)) {
		error = PTR_ERR(corbel_class);
		goto unregister;
	}
	cdev_init(&corbel_device, &corbel_node_operations);
	corbel_device.owner = THIS_MODULE;
	error = cdev_add(&corbel_device, corbel_first_device, CORBEL_MEMORY_OBJECTS);
	if (error)
		goto destroy;
	return 0;
destroy:
	class_destroy(corbel_class);
unregister:
	unregister_chrdev_region(corbel_first_device, CORBEL_MEMORY_OBJECTS);
	return error;
}

void corbel_nodes_stop(void)
{
	cdev_del(&corbel_device);
	class_destroy(corbel_class);
	unregister_chrdev_region(corbel_first_device, CORBEL_MEMORY_OBJECTS);
	idr_destroy(&corbel_nodes);
}
