/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the kinds that only clang's BPF target encodes: variables and their sections,
 * type tags and declaration tags.
 */
#include "sample.h"

#define __user __attribute__((btf_type_tag("user")))
#define __kind __attribute__((btf_decl_tag("kind")))

struct sample_tagged {
	int __user *pointer;
	long number __kind;
	float real;
} __kind;

struct sample_tagged tagged __attribute__((section(".data.tagged")));
static const int constant = 5;
extern int elsewhere;
enum sample_wide { SAMPLE_WIDE = 1ULL << 40 } wide;

int sample_read(struct sample_tagged *from, int __user *to __kind)
{
	return *from->pointer + *to + constant + elsewhere;
}
