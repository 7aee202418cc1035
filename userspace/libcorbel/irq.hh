/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * irq.hh - the interrupt observer of a VM, see <corbel/irq.h>.
 *
 * It stays readable after the VM has ended: the last counts are still there.
 */
#pragma once

#include <libcorbel/distributor.hh>
#include <libcorbel/error.hh>
#include <libcorbel/mapping.hh>
#include <libcorbel/ring.hh>
#include <libcorbel/scoped_fd.hh>
#include <libcorbel/stats.hh>

#include <corbel/irq.h>

#include <array>
#include <cstdint>
#include <vector>

namespace corbel {

using VectorCounts = std::array<corbel_irq_vector, CORBEL_IRQ_VECTORS>;

/* The status page: one cache line tells of 64 vCPUs. */
class StatusPage {
public:
	explicit StatusPage(Mapping mapping) : mapping_(std::move(mapping)) {}

	[[nodiscard]] corbel_irq_line line(std::uint32_t index) const;

	/* Indices of the vCPUs observed now, in @lines lines. */
	[[nodiscard]] std::vector<std::uint32_t> present(std::uint32_t lines) const;

private:
	Mapping mapping_;
};

class Irq {
public:
	explicit Irq(ScopedFd fd) : fd_(std::move(fd)) {}

	[[nodiscard]] Result<corbel_irq_info> info() const;
	[[nodiscard]] Result<StatusPage> status_page() const;

	[[nodiscard]] Result<corbel_irq_vcpu> vcpu(std::uint32_t index,
						   std::uint32_t flags = 0) const;
	[[nodiscard]] Result<VectorCounts> vectors(std::uint32_t index) const;

	/* @vector may be CORBEL_IRQ_ALL_VECTORS. */
	[[nodiscard]] Result<corbel_irq_hist> histogram(std::uint32_t index,
							std::uint32_t vector) const;

	[[nodiscard]] Result<corbel_irq_check> check(std::uint32_t flags = 0) const;

	[[nodiscard]] Result<corbel_irq_policy> policy() const;
	/* Puts @wanted in force; what is then in force. */
	[[nodiscard]] Result<corbel_irq_policy> set_policy(corbel_irq_policy wanted) const;

	[[nodiscard]] Result<corbel_irq_boost> boost() const;
	[[nodiscard]] Result<corbel_irq_boost> set_boost(corbel_irq_boost wanted) const;

	/* Of one or CORBEL_IRQ_ALL_VCPUS, of one or CORBEL_IRQ_ALL_VECTORS. */
	[[nodiscard]] Result<Stats> stats(std::uint32_t vcpu = CORBEL_IRQ_ALL_VCPUS,
					  std::uint32_t vector = CORBEL_IRQ_ALL_VECTORS) const;

	[[nodiscard]] Result<Distributor> new_distributor(std::uint32_t ids,
							  std::uint32_t vcpus) const;
	/* Those that the VM has, whoever made them. */
	[[nodiscard]] Result<std::vector<corbel_irq_dist_get>> distributors() const;

	[[nodiscard]] Result<Ring> ring(std::uint32_t order, std::uint32_t events) const;

private:
	ScopedFd fd_;
};

} /* namespace corbel */
