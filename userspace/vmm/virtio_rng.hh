/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio_rng.hh - random numbers for the guest: the host's, which the recording has. */
#pragma once

#include "journal.hh"
#include "virtio_pci.hh"

#include <cstdint>

namespace corbel::vmm {

[[nodiscard]] VirtioPci::Model entropy_model();
/* How many bytes of the chain were written. */
[[nodiscard]] Result<std::uint32_t> serve_entropy(const Chain &chain, Journal &journal);

} /* namespace corbel::vmm */
