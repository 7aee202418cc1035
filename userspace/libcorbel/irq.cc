// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/irq.hh>

#include <libcorbel/ioctl_table.hh>

#include <unistd.h>

#include <fmt/format.h>

namespace corbel {

namespace {

std::unexpected<Error> read_failure(const char *what, int number)
{
	return failure(number, fmt::format("The interrupt observer does not give {}: {}.", what,
					   describe_errno(number)));
}

} /* namespace */

corbel_irq_line StatusPage::line(std::uint32_t index) const
{
	const auto *lines = static_cast<const corbel_irq_line *>(mapping_.data());
	corbel_irq_line copy{};

	if (index >= mapping_.size() / sizeof(*lines))
		return copy;
	/* The kernel writes each word atomically; the line as a whole it does not. */
	copy.pending = __atomic_load_n(&lines[index].pending, __ATOMIC_ACQUIRE);
	copy.sampled = __atomic_load_n(&lines[index].sampled, __ATOMIC_ACQUIRE);
	copy.present = __atomic_load_n(&lines[index].present, __ATOMIC_ACQUIRE);
	return copy;
}

std::vector<std::uint32_t> StatusPage::present(std::uint32_t lines) const
{
	std::vector<std::uint32_t> indices;

	for (std::uint32_t i = 0; i < lines; i++) {
		auto bits = line(i).present;

		for (std::uint32_t bit = 0; bit < CORBEL_IRQ_LINE_VCPUS; bit++)
			if (bits >> bit & 1)
				indices.push_back(i * CORBEL_IRQ_LINE_VCPUS + bit);
	}
	return indices;
}

Result<corbel_irq_info> Irq::info() const
{
	corbel_irq_info info{};

	if (int ret = call(fd_.get(), request::irq_info, info); ret < 0)
		return read_failure("its state", -ret);
	return info;
}

Result<StatusPage> Irq::status_page() const
{
	auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
	auto mapping = Mapping::read_only(fd_.get(), 0, page);

	if (!mapping)
		return read_failure("its status page", mapping.error().number);
	return StatusPage(std::move(*mapping));
}

Result<corbel_irq_vcpu> Irq::vcpu(std::uint32_t index, std::uint32_t flags) const
{
	corbel_irq_vcpu vcpu{};

	vcpu.vcpu = index;
	vcpu.flags = flags;
	if (int ret = call(fd_.get(), request::irq_vcpu, vcpu); ret < 0)
		return read_failure(fmt::format("the state of vCPU {}", index).c_str(), -ret);
	return vcpu;
}

Result<VectorCounts> Irq::vectors(std::uint32_t index) const
{
	VectorCounts counts{};
	corbel_irq_vectors vectors{};

	vectors.vcpu = index;
	vectors.count = CORBEL_IRQ_VECTORS;
	vectors.vectors = reinterpret_cast<std::uintptr_t>(counts.data());
	if (int ret = call(fd_.get(), request::irq_vectors, vectors); ret < 0)
		return read_failure(fmt::format("the vectors of vCPU {}", index).c_str(), -ret);
	return counts;
}

Result<corbel_irq_hist> Irq::histogram(std::uint32_t index, std::uint32_t vector) const
{
	corbel_irq_hist hist{};

	hist.vcpu = index;
	hist.vector = vector;
	if (int ret = call(fd_.get(), request::irq_hist, hist); ret < 0)
		return read_failure(fmt::format("the latencies of vCPU {}", index).c_str(), -ret);
	return hist;
}

Result<corbel_irq_check> Irq::check(std::uint32_t flags) const
{
	corbel_irq_check check{};

	check.flags = flags;
	int ret = call(fd_.get(), request::irq_check, check);
	if (ret == -EOPNOTSUPP)
		return failure(EOPNOTSUPP, "The record cannot be compared at VM entry because a "
					   "hook or an offset is missing: `corbel doctor` says "
					   "which.");
	if (ret < 0)
		return read_failure("its comparison counts", -ret);
	return check;
}

Result<corbel_irq_policy> Irq::policy() const
{
	corbel_irq_policy policy{};

	if (int ret = call(fd_.get(), request::irq_policy, policy); ret < 0)
		return read_failure("its policy", -ret);
	return policy;
}

Result<corbel_irq_policy> Irq::set_policy(corbel_irq_policy wanted) const
{
	wanted.flags = CORBEL_IRQ_F_SET;
	int ret = call(fd_.get(), request::irq_policy, wanted);
	switch (ret < 0 ? -ret : 0) {
	case 0:
		return wanted;
	case EOPNOTSUPP:
		return failure(EOPNOTSUPP, "The policy cannot be put in force because a hook is "
					   "missing: `corbel doctor` says which.");
	case EBUSY:
		return failure(EBUSY, "The policy cannot be put in force: another program has "
				      "hooked kvm_irq_delivery_to_apic_fast() (a BPF program, or a "
				      "tracer). End that first.");
	case ESTALE:
		return failure(ESTALE, "The virtual machine has ended, so there is nothing left to "
				       "choose.");
	default:
		return failure(-ret, fmt::format("The policy cannot be put in force: {}.",
						 describe_errno(-ret)));
	}
}

Result<corbel_irq_boost> Irq::boost() const
{
	corbel_irq_boost boost{};

	if (int ret = call(fd_.get(), request::irq_boost, boost); ret < 0)
		return read_failure("how it is boosted", -ret);
	return boost;
}

Result<corbel_irq_boost> Irq::set_boost(corbel_irq_boost wanted) const
{
	wanted.flags = CORBEL_IRQ_F_SET;
	int ret = call(fd_.get(), request::irq_boost, wanted);
	switch (ret < 0 ? -ret : 0) {
	case 0:
		return wanted;
	case EOPNOTSUPP:
		return failure(EOPNOTSUPP, "It cannot be boosted because a hook is missing: "
					   "`corbel doctor` says which.");
	case ESTALE:
		return failure(ESTALE, "The virtual machine has ended, so there is nothing left to "
				       "boost.");
	default:
		return failure(-ret, fmt::format("Boosting cannot be put in force: {}.",
						 describe_errno(-ret)));
	}
}

Result<Stats> Irq::stats(std::uint32_t vcpu, std::uint32_t vector) const
{
	corbel_irq_stats stats{};

	stats.vcpu = vcpu;
	stats.vector = vector;
	int ret = call(fd_.get(), request::irq_stats, stats);
	if (ret < 0)
		return read_failure("its ledger", -ret);
	return Stats::open(ScopedFd(ret));
}

Result<Distributor> Irq::new_distributor(std::uint32_t ids, std::uint32_t vcpus) const
{
	corbel_irq_dist dist{};

	dist.ids = ids;
	dist.vcpus = vcpus;
	int ret = call(fd_.get(), request::irq_dist_new, dist);
	switch (ret < 0 ? -ret : 0) {
	case 0:
		return Distributor::over(ScopedFd(ret), ids, vcpus);
	case EOPNOTSUPP:
		return failure(EOPNOTSUPP,
			       "A distributor cannot be made because a hook is missing: "
			       "`corbel doctor` says which.");
	case EBUSY:
		return failure(EBUSY,
			       fmt::format("A distributor cannot be made: the virtual machine "
					   "has {} already, or another program has hooked "
					   "kvm_arch_vcpu_load() (a BPF program, or a "
					   "tracer). End one of these first.",
					   CORBEL_DIST_MAX));
	case ESTALE:
		return failure(ESTALE, "The virtual machine has ended, so there is nobody to give "
				       "interrupts to.");
	case ENOMEM:
		return failure(ENOMEM,
			       fmt::format("There is not enough memory for a distributor of "
					   "{} ids and {} vCPUs.",
					   ids, vcpus));
	default:
		return failure(-ret, fmt::format("A distributor cannot be made: {}.",
						 describe_errno(-ret)));
	}
}

Result<std::vector<corbel_irq_dist_get>> Irq::distributors() const
{
	std::vector<corbel_irq_dist_get> all;

	for (std::uint32_t slot = 0; slot < CORBEL_DIST_MAX; slot++) {
		corbel_irq_dist_get get{};

		get.slot = slot;
		int ret = call(fd_.get(), request::irq_dist_get, get);
		if (ret == -ENOENT)
			continue;
		if (ret < 0)
			return read_failure("its distributors", -ret);
		all.push_back(get);
	}
	return all;
}

Result<Ring> Irq::ring(std::uint32_t order, std::uint32_t events) const
{
	corbel_irq_ring ring{};

	ring.order = order;
	ring.events = events;
	int ret = call(fd_.get(), request::irq_ring, ring);
	switch (ret < 0 ? -ret : 0) {
	case 0:
		return Ring::map(ScopedFd(ret), order);
	case EBUSY:
		return failure(EBUSY, fmt::format("All {} event rings of this virtual machine are "
						  "in use: end another `corbel irq record` first.",
						  CORBEL_IRQ_MAX_RINGS));
	case ESTALE:
		return failure(ESTALE, "The virtual machine has ended, so no events will come.");
	case ENOMEM:
		return failure(ENOMEM, fmt::format("There is not enough memory for an event ring "
						   "of 2^{} records: ask for a smaller order.",
						   order));
	default:
		return failure(-ret, fmt::format("An event ring of 2^{} records cannot be made: "
						 "{}.",
						 order, describe_errno(-ret)));
	}
}

} /* namespace corbel */
