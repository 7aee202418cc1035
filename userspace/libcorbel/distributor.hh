/* SPDX-License-Identifier: GPL-2.0-or-later */
/* distributor.hh - a distributor device, see <corbel/dist.h>. */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/mapping.hh>
#include <libcorbel/scoped_fd.hh>
#include <libcorbel/stats.hh>

#include <corbel/dist.h>

#include <cstdint>
#include <span>
#include <vector>

namespace corbel {

class Distributor {
public:
	/* @fd: a distributor fd of @ids ids and @vcpus vCPUs. */
	[[nodiscard]] static Result<Distributor> over(ScopedFd fd, std::uint32_t ids,
						      std::uint32_t vcpus);

	[[nodiscard]] std::uint32_t ids() const { return ids_; }
	[[nodiscard]] std::uint32_t vcpus() const { return vcpus_; }
	[[nodiscard]] Result<corbel_dist_info> info() const;

	/* @restore: entries say what is pending, too. All are put in force, or none. */
	[[nodiscard]] Result<void> map(std::span<const corbel_dist_entry> entries,
				       bool restore = false) const;
	[[nodiscard]] Result<std::vector<corbel_dist_entry>> read(std::uint32_t first,
								  std::uint32_t count) const;
	/* CORBEL_DIST_WAS_*. */
	[[nodiscard]] Result<unsigned> raise(std::uint32_t id) const;
	/* How many changed. */
	[[nodiscard]] Result<unsigned> set_masked(std::uint32_t first, std::uint32_t count,
						  bool masked) const;
	[[nodiscard]] Result<std::vector<corbel_dist_counts>> ledger(std::uint32_t first,
								     std::uint32_t count) const;
	[[nodiscard]] Result<void> reset() const;
	/* Signals @eventfd when a vCPU that has nothing pending gets something. */
	[[nodiscard]] Result<void> set_doorbell(int eventfd) const;
	[[nodiscard]] Result<Stats> stats() const;

	/* vCPUs for which something unmasked is pending now. */
	[[nodiscard]] std::vector<std::uint32_t> waiting() const;

private:
	Distributor(ScopedFd fd, Mapping status, std::uint32_t ids, std::uint32_t vcpus)
		: fd_(std::move(fd)), status_(std::move(status)), ids_(ids), vcpus_(vcpus)
	{}

	ScopedFd fd_;
	Mapping status_;
	std::uint32_t ids_;
	std::uint32_t vcpus_;
};

} /* namespace corbel */
