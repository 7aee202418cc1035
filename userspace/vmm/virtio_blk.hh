/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio_blk.hh - a disk of the guest's. A request is done at once, at the exit that tells of
 * it, and is an entry of the recording: how it ended, and a digest of its data, which a replay
 * takes from the same image again. Only that the image could not be read is repeated as it was.
 */
#pragma once

#include "disk.hh"
#include "journal.hh"
#include "virtio_pci.hh"

#include <linux/virtio_blk.h>

#include <cstdint>
#include <vector>

namespace corbel::vmm {

class BlockDevice {
public:
	explicit BlockDevice(Disk disk);

	/* Valid for as long as this is. */
	[[nodiscard]] VirtioPci::Model model() const;
	/* How many bytes of the chain were written. */
	[[nodiscard]] Result<std::uint32_t> serve(const Chain &chain, Journal &journal);

	[[nodiscard]] const Disk &disk() const { return disk_; }
	[[nodiscard]] Disk &disk() { return disk_; }
	[[nodiscard]] std::uint64_t requests() const { return counts_.requests; }
	[[nodiscard]] std::uint64_t failed() const { return counts_.failed; }
	/* What it knows of its guest beside what is on the disk. */
	[[nodiscard]] std::span<std::byte> state()
	{
		return std::as_writable_bytes(std::span(&counts_, 1));
	}

private:
	struct Outcome {
		std::uint8_t status;
		std::uint64_t digest = 0;
		std::uint64_t data = 0; /* bytes for the guest, in buffer_ */
	};

	[[nodiscard]] Result<Outcome> perform(const virtio_blk_outhdr &header, const Chain &chain,
					      Journal &journal);
	[[nodiscard]] Result<Outcome> zero(const Chain &chain, Journal &journal);
	[[nodiscard]] bool has(std::uint64_t sector, std::uint64_t bytes) const;
	/* Whether it went well: now, or in a replay then. */
	template <typename Attempt>
	[[nodiscard]] static Result<bool> attempt(Journal &journal, Attempt &&attempt);

	Disk disk_;
	virtio_blk_config config_{};
	std::vector<std::byte> buffer_;
	struct {
		std::uint64_t requests = 0, failed = 0;
	} counts_;
};

} /* namespace corbel::vmm */
