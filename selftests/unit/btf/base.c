/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What would be the kernel's: base of the split type information.
 */
#include <stdarg.h>
#include <stdbool.h>

#include "sample.h"

enum sample_wide { SAMPLE_WIDE = 1ULL << 40 };

typedef void (*btf_trace_sample_event)(void *, struct sample_plain *, bool, sample_word);
typedef int btf_trace_not_a_function;

/* Variables so that the types are used and the compiler describes them. */
struct sample_plain plain;
struct sample_nested nested;
struct sample_bits bits;
enum sample_enum small;
enum sample_wide wide;
struct sample_other *other;
union {
	int a;
	float b;
} nameless;
btf_trace_sample_event traced;
btf_trace_not_a_function untraced;
int (*(*table)[4])(const char *restrict, volatile int *);

int sample_add(int a, long b)
{
	return a + (int)b;
}

void sample_nothing(void) {}

int sample_format(const char *format, ...)
{
	return format[0];
}

struct sample_plain *sample_find(struct sample_nested *from, const struct sample_plain *like,
				 enum sample_enum how, bool strict)
{
	return from && like && how && strict ? &from->inner : 0;
}

void sample_register(void (*callback)(void *, int), struct sample_plain **out,
		     const char *const *names, sample_plain_cv *odd)
{
	callback(out, names[0][0] + odd->first);
}

int (*sample_choose(int which))(int, long)
{
	return which ? sample_add : 0;
}
