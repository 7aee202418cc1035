/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The time stamp counter of the count lane, where it counts instructions. */
#pragma once

namespace corbel::selftest {

/* Skips the case where they are not the same for each: this is no count lane then. */
double ticks_of_an_instruction();

} // namespace corbel::selftest
