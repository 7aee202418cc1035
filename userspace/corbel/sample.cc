// SPDX-License-Identifier: GPL-2.0-or-later
#include "sample.hh"

#include <algorithm>
#include <cerrno>
#include <tuple>

namespace corbel::cli {

namespace {

std::uint64_t growth(std::uint64_t before, std::uint64_t after)
{
	return after > before ? after - before : 0;
}

Result<Latencies> read_latencies(const Irq &irq, std::uint32_t vcpu, std::uint32_t vector)
{
	return Latencies(CORBEL_EXPECT(irq.histogram(vcpu, vector)));
}

Result<VcpuSample> sample_vcpu(const Irq &irq, std::uint32_t index, const VcpuSample *previous)
{
	VcpuSample sample{.state = CORBEL_EXPECT(irq.vcpu(index)),
			  .vectors = CORBEL_EXPECT(irq.vectors(index)),
			  .latencies =
				  CORBEL_EXPECT(read_latencies(irq, index, CORBEL_IRQ_ALL_VECTORS)),
			  .by_vector = {}};

	for (unsigned vector = 0; vector < sample.vectors.size(); vector++) {
		auto injected = sample.vectors[vector].injected;

		if (injected == 0)
			continue;
		if (previous && previous->vectors[vector].injected == injected &&
		    previous->by_vector.contains(vector))
			sample.by_vector[vector] = previous->by_vector.at(vector);
		else
			sample.by_vector[vector] =
				CORBEL_EXPECT(read_latencies(irq, index, vector));
	}
	return sample;
}

Flow flow_of(const corbel_irq_vector &before, const corbel_irq_vector &after)
{
	Flow flow;

	for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
		flow.accepted[path] = growth(before.accepted[path], after.accepted[path]);
	flow.injected = growth(before.injected, after.injected);
	flow.coalesced = growth(before.coalesced, after.coalesced);
	flow.dropped = growth(before.dropped, after.dropped);
	return flow;
}

Flow flow_of(const corbel_irq_vcpu &before, const corbel_irq_vcpu &after)
{
	Flow flow;

	for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
		flow.accepted[path] = growth(before.accepted[path], after.accepted[path]);
	flow.injected = growth(before.injected, after.injected);
	flow.coalesced = growth(before.coalesced, after.coalesced);
	flow.dropped = growth(before.dropped, after.dropped);
	return flow;
}

void add(Flow &sum, const Flow &flow)
{
	for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
		sum.accepted[path] += flow.accepted[path];
	sum.injected += flow.injected;
	sum.coalesced += flow.coalesced;
	sum.dropped += flow.dropped;
	sum.latencies.add(flow.latencies);
}

void add_vcpu(Activity &activity, std::uint32_t index, const VcpuSample &before,
	      const VcpuSample &after)
{
	VcpuFlow vcpu{after.state, flow_of(before.state, after.state)};

	vcpu.flow.latencies = after.latencies.since(before.latencies);
	add(activity.total, vcpu.flow);
	activity.vcpus.push_back(vcpu);

	for (unsigned vector = 0; vector < after.vectors.size(); vector++) {
		auto flow = flow_of(before.vectors[vector], after.vectors[vector]);

		if (flow.idle())
			continue;
		if (auto now = after.by_vector.find(vector); now != after.by_vector.end()) {
			auto earlier = before.by_vector.find(vector);

			flow.latencies = now->second.since(
				earlier == before.by_vector.end() ? Latencies() : earlier->second);
		}
		activity.vectors.push_back({index, vector, flow});
	}
}

Activity compare(const Sample *earlier, const Sample &later)
{
	static const VcpuSample nothing{};
	Activity activity;

	activity.info = later.info;
	if (earlier)
		activity.interval = later.at - earlier->at;
	for (const auto &[index, after] : later.vcpus) {
		const VcpuSample *before = &nothing;

		if (earlier && earlier->vcpus.contains(index))
			before = &earlier->vcpus.at(index);
		add_vcpu(activity, index, *before, after);
	}
	std::ranges::sort(activity.vectors, {}, [](const VectorFlow &row) {
		auto busy = std::max(row.flow.accepted_by_all(), row.flow.injected);

		return std::tuple(~busy, row.vector, row.vcpu);
	});
	return activity;
}

} /* namespace */

Result<Sample> take_sample(const Irq &irq, const StatusPage &status, const Sample *previous)
{
	Sample sample{std::chrono::steady_clock::now(), CORBEL_EXPECT(irq.info()), {}};

	for (std::uint32_t index : status.present(sample.info.nr_lines)) {
		const VcpuSample *before = nullptr;

		if (previous && previous->vcpus.contains(index))
			before = &previous->vcpus.at(index);
		auto vcpu = sample_vcpu(irq, index, before);
		if (vcpu)
			sample.vcpus.emplace(index, std::move(*vcpu));
		else if (vcpu.error().number != ENOENT)
			return std::unexpected(vcpu.error());
	}
	return sample;
}

std::uint64_t Flow::accepted_by_all() const
{
	std::uint64_t sum = 0;

	for (auto count : accepted)
		sum += count;
	return sum;
}

bool Flow::idle() const
{
	return accepted_by_all() == 0 && injected == 0 && coalesced == 0 && dropped == 0;
}

double Activity::per_second(std::uint64_t count) const
{
	auto seconds = std::chrono::duration<double>(interval).count();

	return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

Activity totals_of(const Sample &sample)
{
	return compare(nullptr, sample);
}

Activity between(const Sample &earlier, const Sample &later)
{
	return compare(&earlier, later);
}

std::vector<unsigned> vectors_in(const __u64 (&words)[CORBEL_IRQ_WORDS])
{
	std::vector<unsigned> vectors;

	for (unsigned vector = 0; vector < CORBEL_IRQ_VECTORS; vector++)
		if (words[vector / 64] >> vector % 64 & 1)
			vectors.push_back(vector);
	return vectors;
}

const char *name_of_path(unsigned path)
{
	switch (path) {
	case CORBEL_IRQ_PATH_DEVICE:
		return "device";
	case CORBEL_IRQ_PATH_IPI:
		return "ipi";
	case CORBEL_IRQ_PATH_LOCAL:
		return "local";
	default:
		return "unknown";
	}
}

const char *name_of_residency(std::uint32_t residency)
{
	switch (residency) {
	case CORBEL_RES_USER:
		return "user";
	case CORBEL_RES_RESIDENT:
		return "resident";
	case CORBEL_RES_PREEMPTED:
		return "preempted";
	case CORBEL_RES_HALTED:
		return "halted";
	default:
		return "unknown";
	}
}

const char *name_of_exactness(std::uint32_t exactness)
{
	switch (exactness) {
	case CORBEL_IRQ_EXACT:
		return "exact";
	case CORBEL_IRQ_SAMPLED:
		return "sampled";
	default:
		return "unknown";
	}
}

} /* namespace corbel::cli */
