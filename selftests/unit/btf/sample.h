/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Types whose BTF the tests read. C and C++ lay them out alike, so the test takes
 * the truth from its own compiler's offsetof.
 */
#pragma once

typedef unsigned long sample_word;
typedef const volatile struct sample_plain sample_plain_cv;

struct sample_plain {
	char first;
	int second;
	sample_word third;
	double fourth;
};

/* The second union is anonymous twice over; the padding moves what is behind. */
struct sample_nested {
	char before;
	union {
		int number;
		struct {
			short low;
			union {
				short high;
				unsigned char bytes[2];
			};
		};
	};
	struct sample_plain inner;
	struct {
		long a;
		struct {
			char b;
			long c;
		} deep;
	} named;
	struct sample_plain array[3];
	void (*call)(struct sample_nested *, int);
	struct sample_nested *next;
	const sample_plain_cv *qualified;
};

struct sample_bits {
	unsigned one : 1;
	unsigned seven : 7;
	unsigned : 4;
	unsigned after_padding : 4;
	unsigned short whole;
	union {
		unsigned long flags : 3;
		unsigned long word;
	};
};

enum sample_enum { SAMPLE_A, SAMPLE_B = 5 };

struct sample_other; /* never defined: a forward declaration */
