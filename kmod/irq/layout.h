/* SPDX-License-Identifier: GPL-2.0 */
/*
 * layout.h - what hooks.S and C++ must agree on; C++ asserts each of them.
 */
#ifndef CORBEL_IRQ_LAYOUT_H
#define CORBEL_IRQ_LAYOUT_H

/* VcpuTable: a 32-bit mask, then at CORBEL_TABLE_SLOTS pairs of lapic and vCPU. */
#define CORBEL_TABLE_SHIFT 8
#define CORBEL_TABLE_SLOTS 8
#define CORBEL_TABLE_SLOT_SHIFT 4

/* Token: address of a vCPU's record, vector in bits 0-7. */
#define CORBEL_TOKEN_LOW_BITS 0xfff

/* The gate is the first word of a vCPU's record. */
#define CORBEL_GATE_SUSPECT 0x40000000

#endif /* CORBEL_IRQ_LAYOUT_H */
