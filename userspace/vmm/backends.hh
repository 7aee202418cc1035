/* SPDX-License-Identifier: GPL-2.0-or-later */
/* backends.hh - what the devices of the PCI bus have behind them, outside of the guest. */
#pragma once

#include "board.hh"
#include "virtio_blk.hh"
#include "virtio_rng.hh"

#include <optional>

namespace corbel::vmm {

struct Backends {
	std::optional<BlockDevice> disk;

	void plug_into(Board &board) const
	{
		board.pci().plug(Slot::entropy, entropy_model());
		if (disk)
			board.pci().plug(Slot::disk, disk->model());
	}

	/* A request of the device in the slot; how many bytes of it were written. */
	[[nodiscard]] Result<std::uint32_t> serve(Slot slot, const Chain &chain, Journal &journal)
	{
		return slot == Slot::disk ? disk->serve(chain, journal)
					  : serve_entropy(chain, journal);
	}
};

} /* namespace corbel::vmm */
