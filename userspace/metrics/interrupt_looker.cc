// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_looker.hh"

#include "../corbel/sample.hh"

#include <corbel/latency_buckets.hh>
#include <libcorbel/device.hh>
#include <libcorbel/latency.hh>

#include <cerrno>

namespace corbel::metrics {

namespace {

double seconds(std::uint64_t ticks, std::uint32_t tsc_khz)
{
	return static_cast<double>(ticks_to_ns(ticks, tsc_khz)) / 1e9;
}

void add(const corbel_irq_hist &hist, std::uint32_t tsc_khz, Distribution &latency)
{
	for (unsigned bucket = 0; bucket < irq::hist_buckets; bucket++)
		if (hist.buckets[bucket])
			latency.add(seconds(irq::upper_bound(bucket), tsc_khz),
				    hist.buckets[bucket]);
	latency.sum += seconds(hist.sum, tsc_khz);
}

Result<void> add_latencies(const Irq &irq, InterruptNumbers &numbers)
{
	const auto info = CORBEL_EXPECT(irq.info());
	const auto page = CORBEL_EXPECT(irq.status_page());

	for (const auto index : page.present(info.nr_lines)) {
		const auto hist = irq.histogram(index, CORBEL_IRQ_ALL_VECTORS);

		if (hist)
			add(*hist, info.tsc_khz, numbers.latency);
		else if (hist.error().number != ENOENT) /* a vCPU that has gone meanwhile */
			return std::unexpected(hist.error());
	}
	return {};
}

Result<void> add_ledger(const Irq &irq, InterruptNumbers &numbers)
{
	constexpr std::string_view posted = "posted_";

	for (const auto &[name, value] : CORBEL_EXPECT(CORBEL_EXPECT(irq.stats()).read())) {
		if (name.starts_with(posted))
			numbers.posted[name.substr(posted.size())] += value;
		else if (name == "pending")
			numbers.pending += value;
		else if (name == "resyncs")
			numbers.resyncs += value;
		else if (name == "sampled_vcpus")
			numbers.sampled_vcpus += value;
		else if (name != "vcpus")
			numbers.became[name] += value;
	}
	return {};
}

/* Only of what was put to use: a hook that is missing for it is then no error. */
Result<void> add_boosts(const Irq &irq, InterruptNumbers &numbers)
{
	const auto boost = CORBEL_EXPECT(irq.boost());

	if (!boost.sources && !boost.asked)
		return {};
	numbers.boosts["boosted"] += boost.boosted;
	numbers.boosts["needless"] += boost.needless;
	numbers.boosts["over_budget"] += boost.over_budget;
	numbers.boosts["refused"] += boost.refused;
	numbers.boosts["foreign"] += boost.foreign;
	numbers.boost_ns += boost.used_ns;
	return {};
}

Result<void> add_choices(const Irq &irq, InterruptNumbers &numbers)
{
	const auto policy = CORBEL_EXPECT(irq.policy());

	if (policy.policy == CORBEL_IRQ_POLICY_OFF && !policy.offered)
		return {};
	numbers.offered = numbers.offered.value_or(0) + policy.offered;
	for (std::uint32_t i = 0; i < CORBEL_RES_COUNT; i++)
		numbers.chosen[cli::name_of_residency(i + 1)] += policy.chosen[i];
	return {};
}

Result<void> add_distributors(const Irq &irq, InterruptNumbers &numbers)
{
	for (const auto &each : CORBEL_EXPECT(irq.distributors())) {
		numbers.raises["delivered"] += each.counts.delivered;
		numbers.raises["coalesced"] += each.counts.coalesced;
		numbers.raises["refused"] += each.counts.refused;
		numbers.raises["withdrawn"] += each.counts.withdrawn;
		numbers.distributor_pending += each.counts.pending;
	}
	return {};
}

Result<void> add_all(const Device &device, std::uint64_t vm_id, InterruptNumbers &numbers)
{
	const auto irq = CORBEL_EXPECT(CORBEL_EXPECT(device.open_vm(vm_id)).irq());

	CORBEL_EXPECT(add_ledger(irq, numbers));
	CORBEL_EXPECT(add_latencies(irq, numbers));
	CORBEL_EXPECT(add_boosts(irq, numbers));
	CORBEL_EXPECT(add_choices(irq, numbers));
	return add_distributors(irq, numbers);
}

} /* namespace */

Result<void> look_at_interrupts(const std::filesystem::path &path, pid_t pid, VmNumbers &numbers)
{
	std::error_code error;

	if (!std::filesystem::exists(path, error))
		return {};
	const auto device = CORBEL_EXPECT(Device::open(path.c_str()));
	InterruptNumbers interrupts;
	bool observed = false;

	numbers.attached = 0;
	for (const auto &attachment : CORBEL_EXPECT(device.attachments())) {
		if (static_cast<pid_t>(attachment.pid) != pid || attachment.state != CORBEL_VM_LIVE)
			continue;
		++*numbers.attached;
		/* To ask one that is not observed would have it observed from then on. */
		if (!(attachment.features & CORBEL_FEATURE_IRQ))
			continue;
		const auto added = add_all(device, attachment.vm_id, interrupts);
		/* It may have ended or been detached since it was listed. */
		if (!added && added.error().number != ENOENT && added.error().number != ESTALE)
			return added;
		observed = observed || added.has_value();
	}
	if (observed)
		numbers.interrupts = std::move(interrupts);
	return {};
}

} /* namespace corbel::metrics */
