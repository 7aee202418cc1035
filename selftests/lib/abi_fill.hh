/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each fills in the argument of an ioctl, of zeros but for its size, such that it succeeds.
 */
#pragma once

#include "abi_table.hh"

namespace corbel::selftest {

void fill_nothing(void *argument, fd_set_of_vm &fds);
void fill_hello(void *argument, fd_set_of_vm &fds);
void fill_list(void *argument, fd_set_of_vm &fds);
void fill_attach(void *argument, fd_set_of_vm &fds);
void fill_open(void *argument, fd_set_of_vm &fds);
void fill_vectors(void *argument, fd_set_of_vm &fds);
void fill_hist(void *argument, fd_set_of_vm &fds);
void fill_policy(void *argument, fd_set_of_vm &fds);
void fill_ring(void *argument, fd_set_of_vm &fds);
void fill_dist(void *argument, fd_set_of_vm &fds);
void fill_qos_stats(void *argument, fd_set_of_vm &fds);
void fill_enrol(void *argument, fd_set_of_vm &fds);
void fill_map(void *argument, fd_set_of_vm &fds);
void fill_read(void *argument, fd_set_of_vm &fds);
void fill_ledger(void *argument, fd_set_of_vm &fds);
void fill_raise_many(void *argument, fd_set_of_vm &fds);
void fill_mask(void *argument, fd_set_of_vm &fds);
void fill_bind(void *argument, fd_set_of_vm &fds);
void fill_doorbell(void *argument, fd_set_of_vm &fds);
void fill_memory(void *argument, fd_set_of_vm &fds);
void fill_install(void *argument, fd_set_of_vm &fds);
void fill_track(void *argument, fd_set_of_vm &fds);
void fill_dirty(void *argument, fd_set_of_vm &fds);
void fill_absent(void *argument, fd_set_of_vm &fds);
void fill_seal(void *argument, fd_set_of_vm &fds);
void fill_join(void *argument, fd_set_of_vm &fds);
void fill_pager(void *argument, fd_set_of_vm &fds);
void fill_round(void *argument, fd_set_of_vm &fds);
void fill_go(void *argument, fd_set_of_vm &fds);
void fill_stats(void *argument, fd_set_of_vm &fds);
void fill_dist_ring(void *argument, fd_set_of_vm &fds);
void fill_kick(void *argument, fd_set_of_vm &fds);

} // namespace corbel::selftest
