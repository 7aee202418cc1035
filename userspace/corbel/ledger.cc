// SPDX-License-Identifier: GPL-2.0-or-later
#include "ledger.hh"

#include <algorithm>

namespace corbel::cli {

namespace {

Ledger ledger_of(const corbel_irq_vector &counts, bool pending)
{
	Ledger ledger;

	std::ranges::copy(counts.accepted, ledger.posted.begin());
	ledger.restored = counts.restored;
	ledger.delivered = counts.injected - counts.extint;
	ledger.coalesced = counts.coalesced;
	/* Told apart later, where there are any. */
	ledger.refused = counts.dropped;
	ledger.pending = pending;
	return ledger;
}

std::uint64_t value_of(const Values &values, const char *name)
{
	auto at = values.find(name);

	return at == values.end() ? 0 : at->second;
}

} /* namespace */

std::uint64_t Ledger::posted_by_all() const
{
	std::uint64_t sum = 0;

	for (auto count : posted)
		sum += count;
	return sum;
}

std::int64_t Ledger::balance() const
{
	return static_cast<std::int64_t>(posted_by_all() + restored - delivered - coalesced -
					 refused - vanished - pending);
}

Ledger &Ledger::operator+=(const Ledger &other)
{
	for (unsigned path = 0; path < CORBEL_IRQ_PATHS; path++)
		posted[path] += other.posted[path];
	restored += other.restored;
	delivered += other.delivered;
	coalesced += other.coalesced;
	refused += other.refused;
	vanished += other.vanished;
	pending += other.pending;
	return *this;
}

Ledger ledger_of(const Values &values)
{
	Ledger ledger;

	ledger.posted = {value_of(values, "posted_device"), value_of(values, "posted_ipi"),
			 value_of(values, "posted_local")};
	ledger.restored = value_of(values, "restored");
	ledger.delivered = value_of(values, "delivered");
	ledger.coalesced = value_of(values, "coalesced");
	ledger.refused = value_of(values, "dropped_refused");
	ledger.vanished = value_of(values, "dropped_vanished");
	ledger.pending = value_of(values, "pending");
	return ledger;
}

Result<VcpuLook> look_at_vcpu(const Irq &irq, std::uint32_t index)
{
	const auto state = CORBEL_EXPECT(irq.vcpu(index));
	const auto vectors = CORBEL_EXPECT(irq.vectors(index));
	const auto stats = CORBEL_EXPECT(irq.stats(index));
	VcpuLook look;

	look.sampled = state.exactness == CORBEL_IRQ_SAMPLED;
	look.settled = !state.quiet || std::ranges::equal(state.record, state.irr);
	look.total = ledger_of(CORBEL_EXPECT(stats.read()));
	for (unsigned vector = 0; vector < CORBEL_IRQ_VECTORS; vector++) {
		auto &ledger = look.vectors[vector];

		ledger = ledger_of(vectors[vector], state.record[vector / 64] >> vector % 64 & 1);
		if (ledger.refused == 0)
			continue;
		const auto of_vector = CORBEL_EXPECT(irq.stats(index, vector));
		ledger = ledger_of(CORBEL_EXPECT(of_vector.read()));
	}
	return look;
}

const char *name_of(Verdict verdict)
{
	switch (verdict) {
	case Verdict::balanced:
		return "balanced";
	case Verdict::unknown:
		return "unknown";
	case Verdict::moving:
		return "moving";
	case Verdict::unbalanced:
		return "unbalanced";
	}
	return "unknown";
}

void VcpuJudge::see(const VcpuLook &look)
{
	auto count = [](unsigned &seen, bool same) { seen = same ? seen + 1 : 1; };

	count(same_total_,
	      same_total_ && look.total == last_.total && look.sampled == last_.sampled);
	for (unsigned vector = 0; vector < CORBEL_IRQ_VECTORS; vector++)
		count(same_[vector],
		      same_[vector] && look.vectors[vector] == last_.vectors[vector]);
	last_ = look;
}

Verdict VcpuJudge::judge(unsigned seen, bool good) const
{
	if (last_.sampled)
		return Verdict::unknown;
	if (good)
		return seen >= 2 ? Verdict::balanced : Verdict::moving;
	return seen >= looks_to_condemn ? Verdict::unbalanced : Verdict::moving;
}

bool VcpuJudge::adds_up() const
{
	Ledger sum;

	for (const auto &of_vector : last_.vectors)
		sum += of_vector;
	return sum == last_.total;
}

Verdict VcpuJudge::vector(unsigned vector) const
{
	return judge(same_[vector], last_.vectors[vector].balance() == 0);
}

Verdict VcpuJudge::total() const
{
	return judge(same_total_, last_.total.balance() == 0 && last_.settled && adds_up());
}

bool VcpuJudge::decided() const
{
	if (same_total_ == 0 || total() == Verdict::moving)
		return false;
	for (unsigned i = 0; i < CORBEL_IRQ_VECTORS; i++)
		if (vector(i) == Verdict::moving)
			return false;
	return true;
}

std::vector<LedgerRow> rows_of(const std::vector<std::uint32_t> &indices,
			       const std::vector<VcpuJudge> &judges, WantedVectors wanted,
			       unsigned vector)
{
	LedgerRow vm{.vcpu = {}, .vector = {}, .ledger = {}, .verdict = Verdict::balanced};
	std::vector<LedgerRow> rows, vectors;

	for (std::size_t i = 0; i < judges.size(); i++) {
		const auto &judge = judges[i];

		vm.ledger += judge.last().total;
		vm.verdict = std::max(vm.verdict, judge.total());
		rows.push_back({indices[i], {}, judge.last().total, judge.total()});
		for (unsigned v = 0; v < CORBEL_IRQ_VECTORS; v++) {
			const auto &ledger = judge.last().vectors[v];

			if (wanted == WantedVectors::one
				    ? v == vector
				    : wanted == WantedVectors::used && !ledger.idle())
				vectors.push_back({indices[i], v, ledger, judge.vector(v)});
		}
	}
	rows.insert(rows.begin(), vm);
	rows.insert(rows.end(), vectors.begin(), vectors.end());
	return rows;
}

} /* namespace corbel::cli */
