/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checkpoint.hh - all that a replay is at a place, but for memory: put back, it goes on from
 * there as one that came all the way.
 */
#pragma once

#include "journal.hh"
#include "monitor.hh"
#include "vcpu_state.hh"

#include <libcorbel/error.hh>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::vmm {

struct SavedDevice {
	std::string name, bytes;

	[[nodiscard]] bool operator==(const SavedDevice &) const = default;
};

struct Checkpoint {
	Journal::Position position;
	MonitorState monitor{};
	VcpuState vcpu{};
	std::vector<kvm_msr_entry> msrs; /* Machine::other_msrs() */
	std::vector<SavedDevice> devices;
};

/* What of @here is not as in @there; empty: nothing. */
[[nodiscard]] std::string difference_of(const Checkpoint &there, const Checkpoint &here);

/* Where a page's bytes are in a file of checkpoints. */
struct PageVersion {
	std::uint32_t page = 0;
	std::uint32_t bytes = 0; /* 0: it is all zeros; that of a page: as it is; else compressed */
	std::uint64_t at = 0;
	std::uint64_t digest = 0; /* XXH3-64 of the page */
};

/* One of them, as it lies in the file before it is compressed. */
[[nodiscard]] std::string encode(const Checkpoint &checkpoint,
				 const std::vector<PageVersion> &changed);

struct DecodedCheckpoint {
	Checkpoint checkpoint;
	std::vector<PageVersion> changed;
};

/* @text is not trusted. Nothing: it is none. */
[[nodiscard]] std::optional<DecodedCheckpoint> decode_checkpoint(std::string_view text);

} /* namespace corbel::vmm */
