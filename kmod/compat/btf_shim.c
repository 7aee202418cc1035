// SPDX-License-Identifier: GPL-2.0
/*
 * btf_shim.c - reads the type information that the running kernel publishes.
 */
#include <linux/kernel_read_file.h>
#include <linux/module.h>

#include "hook.h"

#define CORBEL_BTF_LIMIT (64UL << 20)

int corbel_btf_read(const char *path, void **data, size_t *bytes)
{
	void *buffer = NULL;
	size_t size = 0;
	ssize_t got;

	/* The initial root and mounts: whoever loads us may live in a chroot. */
	got = kernel_read_file_from_path_initns(path, 0, &buffer, CORBEL_BTF_LIMIT, &size,
						READING_UNKNOWN);
	if (got < 0)
		return (int)got;
	*data = buffer;
	*bytes = got;
	return 0;
}
