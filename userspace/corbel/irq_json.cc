// SPDX-License-Identifier: GPL-2.0-or-later
#include "irq_json.hh"

namespace corbel::cli {

namespace {

Json json_of_latencies(const Latencies &latencies, std::uint32_t tsc_khz)
{
	auto summary = latencies.summary(tsc_khz);

	if (!summary)
		return nullptr;
	return {
		{"samples", summary->samples}, {"mean_ns", summary->mean_ns},
		{"p50_ns", summary->p50_ns},   {"p99_ns", summary->p99_ns},
		{"max_ns", summary->max_ns},
	};
}

/* Adds the counts of @flow, and its rates if there is an interval. */
void put_flow(Json &json, const Flow &flow, const Activity &activity)
{
	auto &accepted = json["accepted"] = Json::object();

	for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
		accepted[name_of_path(path)] = flow.accepted[path];
	json["injected"] = flow.injected;
	json["coalesced"] = flow.coalesced;
	json["dropped"] = flow.dropped;
	if (activity.interval.count() > 0) {
		json["accepted_per_s"] = activity.per_second(flow.accepted_by_all());
		json["injected_per_s"] = activity.per_second(flow.injected);
		json["coalesced_per_s"] = activity.per_second(flow.coalesced);
		json["dropped_per_s"] = activity.per_second(flow.dropped);
	}
	json["latency"] = json_of_latencies(flow.latencies, activity.info.tsc_khz);
}

Json json_of_vcpu(const VcpuFlow &vcpu, const Activity &activity)
{
	const auto &state = vcpu.state;
	Json json{
		{"vcpu", state.vcpu},
		{"vcpu_id", state.vcpu_id},
		{"exactness", name_of_exactness(state.exactness)},
		{"residency", name_of_residency(state.residency)},
		{"pending", state.pending != 0},
		{"quiet", state.quiet != 0},
		{"record_vectors", vectors_in(state.record)},
		{"irr_vectors", vectors_in(state.irr)},
	};

	put_flow(json, vcpu.flow, activity);
	/* These are of no vector, and so not part of a flow: totals always. */
	json["reinjected_total"] = state.reinjected;
	json["extint_total"] = state.extint;
	json["nmi_total"] = state.nmi;
	return json;
}

} /* namespace */

Json json_of(const corbel_vm_info &info)
{
	Json features = Json::array();

	if (info.features & CORBEL_FEATURE_IRQ)
		features.push_back("irq");
	return {
		{"vm_id", info.vm_id},
		{"pid", info.pid ? Json(info.pid) : Json(nullptr)},
		{"state", info.state == CORBEL_VM_LIVE ? "live" : "ended"},
		{"nr_vcpus", info.nr_vcpus},
		{"pinned", info.pinned != 0},
		{"nr_fds", info.nr_fds},
		{"lapic", info.lapic != 0},
		{"features", features},
	};
}

Json json_of(const Activity &activity)
{
	Json json{
		{"interval_ns",
		 activity.interval.count() > 0 ? Json(activity.interval.count()) : Json(nullptr)},
		{"vm_ended", activity.info.ended != 0},
		{"nr_vcpus", activity.info.nr_vcpus},
		{"resyncs", activity.info.resyncs},
		{"total", Json::object()},
		{"vcpus", Json::array()},
		{"vectors", Json::array()},
	};

	put_flow(json["total"], activity.total, activity);
	for (const auto &vcpu : activity.vcpus)
		json["vcpus"].push_back(json_of_vcpu(vcpu, activity));
	for (const auto &row : activity.vectors) {
		Json entry{{"vcpu", row.vcpu}, {"vector", row.vector}};

		put_flow(entry, row.flow, activity);
		json["vectors"].push_back(std::move(entry));
	}
	return json;
}

std::string dump(const Json &json, int indent)
{
	return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

} /* namespace corbel::cli */
