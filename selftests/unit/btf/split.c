/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What would be the module's: continues the numbering and strings of base.c.
 */
#include <stdbool.h>

#include "sample.h"

struct sample_module {
	long before;
	struct sample_plain plain; /* of the base */
	struct sample_private {
		int number;
		struct sample_module *owner;
	} private;
};

typedef void (*btf_trace_sample_module_event)(void *, struct sample_module *, bool);

struct sample_module module;
btf_trace_sample_module_event traced_module;

bool sample_module_check(struct sample_module *module, struct sample_nested *nested)
{
	return module && nested;
}
