/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's own ABI, made fit for C++: the macro that declares its flexible arrays
 * puts an empty struct before them, which takes no room in C and one byte in
 * C++. That would change the size of the structs and with it the ioctl numbers.
 */
#pragma once

#include <linux/stddef.h>

#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(type, name) type name[0]

#include <linux/kvm.h>

static_assert(sizeof(kvm_irq_routing) == 8 && sizeof(kvm_msrs) == 8 && sizeof(kvm_cpuid2) == 8);
