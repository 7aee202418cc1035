// SPDX-License-Identifier: GPL-2.0-or-later
#include "irq_text.hh"

#include "quantity.hh"

#include <algorithm>
#include <ranges>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

using Align = Table::Align;

std::string show_flow(const Activity &activity, std::uint64_t count)
{
	if (activity.interval.count() > 0)
		return show_rate(activity.per_second(count));
	return show_count(count);
}

void add_latency(std::vector<std::string> &cells, const Flow &flow, std::uint32_t tsc_khz)
{
	if (auto summary = flow.latencies.summary(tsc_khz)) {
		cells.push_back(show_duration(summary->p50_ns));
		cells.push_back(show_duration(summary->p99_ns));
		cells.push_back(show_duration(summary->max_ns));
	} else {
		cells.insert(cells.end(), 3, "-");
	}
}

/* 0x31 0xec +3 */
std::string show_record(const corbel_irq_vcpu &state)
{
	constexpr std::size_t most = 4;
	auto vectors = vectors_in(state.record);
	std::string text;

	for (auto vector : vectors | std::views::take(most))
		text += fmt::format("{}{}", text.empty() ? "" : " ", show_vector(vector));
	if (vectors.size() > most)
		text += fmt::format(" +{}", vectors.size() - most);
	return text.empty() ? "-" : text;
}

/* device, or device+ipi, that with the most first */
std::string show_paths(const Flow &flow)
{
	std::vector<unsigned> paths;
	std::string text;

	for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
		if (flow.accepted[path])
			paths.push_back(path);
	std::ranges::sort(paths, {},
			  [&](unsigned path) { return std::pair(~flow.accepted[path], path); });
	for (auto path : paths)
		text += fmt::format("{}{}", text.empty() ? "" : "+", name_of_path(path));
	return text.empty() ? "-" : text;
}

Table vcpu_table(const Activity &activity, std::span<const VcpuFlow> rows)
{
	Table table({{"VCPU"},
		     {"STATE", Align::left},
		     {"RECORD", Align::left, 3},
		     {"PENDING"},
		     {"VECTORS", Align::left, 2},
		     {"ACCEPTED"},
		     {"DEVICE", Align::right, 4},
		     {"IPI", Align::right, 4},
		     {"LOCAL", Align::right, 4},
		     {"INJECTED", Align::right, 1},
		     {"COALESCED", Align::right, 5},
		     {"P50"},
		     {"P99"},
		     {"MAX", Align::right, 1}});

	for (const auto &[state, flow] : rows) {
		std::vector<std::string> cells{
			fmt::format("{}", state.vcpu),
			name_of_residency(state.residency),
			name_of_exactness(state.exactness),
			fmt::format("{}", vectors_in(state.record).size()),
			show_record(state),
			show_flow(activity, flow.accepted_by_all()),
		};
		for (auto count : flow.accepted)
			cells.push_back(show_flow(activity, count));
		cells.push_back(show_flow(activity, flow.injected));
		cells.push_back(show_flow(activity, flow.coalesced));
		add_latency(cells, flow, activity.info.tsc_khz);
		table.add(std::move(cells));
	}
	return table;
}

Table vector_table(const Activity &activity, std::span<const VectorFlow> rows)
{
	Table table({{"VECTOR"},
		     {"VCPU"},
		     {"PATH", Align::left},
		     {"ACCEPTED"},
		     {"INJECTED", Align::right, 1},
		     {"COALESCED", Align::right, 2},
		     {"DROPPED", Align::right, 3},
		     {"P50"},
		     {"P99"},
		     {"MAX", Align::right, 1}});

	for (const auto &[vcpu, vector, flow] : rows) {
		std::vector<std::string> cells{
			show_vector(vector),
			fmt::format("{}", vcpu),
			show_paths(flow),
			show_flow(activity, flow.accepted_by_all()),
			show_flow(activity, flow.injected),
			show_flow(activity, flow.coalesced),
			show_flow(activity, flow.dropped),
		};
		add_latency(cells, flow, activity.info.tsc_khz);
		table.add(std::move(cells));
	}
	return table;
}

std::string show_total(const Activity &activity)
{
	const auto &total = activity.total;
	auto text = fmt::format("{} accepted (device {}, ipi {}, local {}), {} injected, "
				"{} coalesced, {} dropped",
				show_flow(activity, total.accepted_by_all()),
				show_flow(activity, total.accepted[CORBEL_IRQ_PATH_DEVICE]),
				show_flow(activity, total.accepted[CORBEL_IRQ_PATH_IPI]),
				show_flow(activity, total.accepted[CORBEL_IRQ_PATH_LOCAL]),
				show_flow(activity, total.injected),
				show_flow(activity, total.coalesced),
				show_flow(activity, total.dropped));
	return text;
}

std::string show_latency(const Activity &activity)
{
	auto summary = activity.total.latencies.summary(activity.info.tsc_khz);

	if (!summary)
		return "accept to inject: nothing was injected";
	return fmt::format("accept to inject: p50 {}, p99 {}, max {}, mean {}",
			   show_duration(summary->p50_ns), show_duration(summary->p99_ns),
			   show_duration(summary->max_ns), show_duration(summary->mean_ns));
}

void append_table(std::vector<Line> &lines, const Table &table, std::size_t width)
{
	bool title = true;

	for (auto &text : table.lines(width)) {
		lines.push_back({std::move(text), title});
		title = false;
	}
}

/* The busiest @most of the vCPUs, in the order of their index. */
std::vector<VcpuFlow> busiest(const std::vector<VcpuFlow> &all, std::size_t most)
{
	auto rows = all;

	if (rows.size() <= most)
		return rows;
	std::ranges::sort(rows, {}, [](const VcpuFlow &row) {
		return std::pair(~row.flow.accepted_by_all(), row.state.vcpu);
	});
	rows.resize(most);
	std::ranges::sort(rows, {}, [](const VcpuFlow &row) { return row.state.vcpu; });
	return rows;
}

} /* namespace */

std::vector<Line> show_activity(const Activity &activity, std::string_view headline, Room room)
{
	std::vector<Line> lines;
	const auto &vectors = activity.vectors;

	lines.push_back({fit(headline, room.width)});
	lines.push_back({fit(show_total(activity), room.width)});
	lines.push_back({fit(show_latency(activity), room.width)});
	lines.push_back({});

	/* Titles, a blank line and two lines that tell of rows left out. */
	auto used = lines.size() + 5;
	auto free = room.height > used ? room.height - used : 0;
	auto for_vectors = std::min(
		vectors.size(), std::max(free / 2, free - std::min(free, activity.vcpus.size())));
	auto vcpus = busiest(activity.vcpus, free - for_vectors);

	append_table(lines, vcpu_table(activity, vcpus), room.width);
	if (vcpus.size() < activity.vcpus.size())
		lines.push_back({fit(
			fmt::format("... {} quieter not shown",
				    show_number_of(activity.vcpus.size() - vcpus.size(), "vCPU")),
			room.width)});
	lines.push_back({});
	append_table(lines, vector_table(activity, std::span(vectors).first(for_vectors)),
		     room.width);
	if (for_vectors < vectors.size())
		lines.push_back(
			{fit(fmt::format("... {} quieter not shown",
					 show_number_of(vectors.size() - for_vectors, "vector")),
			     room.width)});
	return lines;
}

} /* namespace corbel::cli */
