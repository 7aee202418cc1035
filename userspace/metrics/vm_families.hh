/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vm_families.hh - VMs as series. */
#pragma once

#include "gatherer.hh"

namespace corbel::metrics {

void add_vms(Families &families, const View &view);

} /* namespace corbel::metrics */
