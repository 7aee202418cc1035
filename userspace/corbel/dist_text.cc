// SPDX-License-Identifier: GPL-2.0-or-later
#include "dist_text.hh"

#include <fmt/format.h>

namespace corbel::cli {

std::int64_t balance_of(const corbel_dist_counts &counts)
{
	return static_cast<std::int64_t>(counts.raised + counts.restored - counts.delivered -
					 counts.coalesced - counts.refused - counts.withdrawn -
					 counts.pending);
}

std::string show_counts(const corbel_dist_counts &counts)
{
	return fmt::format("posted {}, restored {}, delivered {}, coalesced {}, refused {}, "
			   "withdrawn {}, "
			   "pending {}, balance {}",
			   counts.raised, counts.restored, counts.delivered, counts.coalesced,
			   counts.refused, counts.withdrawn, counts.pending, balance_of(counts));
}

Json json_of(const corbel_dist_counts &counts)
{
	return {{"posted", counts.raised},
		{"restored", counts.restored},
		{"delivered", counts.delivered},
		{"coalesced", counts.coalesced},
		{"dropped", {{"refused", counts.refused}, {"withdrawn", counts.withdrawn}}},
		{"pending", counts.pending},
		{"balance", balance_of(counts)}};
}

Json json_of(const corbel_irq_dist_get &dist)
{
	Json json{{"slot", dist.slot},
		  {"ids", dist.ids},
		  {"vcpus", dist.vcpus},
		  {"doorbells", dist.doorbells}};

	json.update(json_of(dist.counts));
	return json;
}

Table table_of(std::span<const corbel_irq_dist_get> distributors)
{
	Table table({{"DISTRIBUTOR"},
		     {"IDS"},
		     {"VCPUS"},
		     {"DOORBELLS"},
		     {"POSTED"},
		     {"RESTORED"},
		     {"DELIVERED"},
		     {"COALESCED"},
		     {"REFUSED"},
		     {"WITHDRAWN"},
		     {"PENDING"},
		     {"BALANCE"}});

	for (const auto &dist : distributors) {
		const auto &of = dist.counts;
		std::vector<std::string> cells;

		for (__u64 count : {__u64{dist.slot}, __u64{dist.ids}, __u64{dist.vcpus},
				    dist.doorbells, of.raised, of.restored, of.delivered,
				    of.coalesced, of.refused, of.withdrawn, of.pending})
			cells.push_back(fmt::format("{}", count));
		cells.push_back(fmt::format("{}", balance_of(of)));
		table.add(std::move(cells));
	}
	return table;
}

const char *name_of_outcome(unsigned outcome)
{
	switch (outcome) {
	case CORBEL_DIST_WAS_REFUSED:
		return "refused";
	case CORBEL_DIST_WAS_DELIVERED:
		return "delivered";
	case CORBEL_DIST_WAS_RECORDED:
		return "recorded";
	case CORBEL_DIST_WAS_COALESCED:
		return "coalesced";
	default:
		return "unknown";
	}
}

} /* namespace corbel::cli */
