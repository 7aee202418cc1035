/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ledger.hh - does all that was posted to a VM balance?
 *
 * The counts of a vCPU are read by several ioctls while it may be at work, so one look
 * proves nothing. What two looks find the same did not move between them, and is held
 * against the balance. What does not balance has to stay so for several looks: an
 * injection is counted a moment before its vector leaves the record.
 */
#pragma once

#include <libcorbel/irq.hh>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace corbel::cli {

/* posted + restored = delivered + coalesced + refused + vanished + pending */
struct Ledger {
	std::array<std::uint64_t, CORBEL_IRQ_PATHS> posted{};
	std::uint64_t restored = 0;
	std::uint64_t delivered = 0;
	std::uint64_t coalesced = 0;
	std::uint64_t refused = 0; /* dropped: the local APIC was disabled */
	std::uint64_t vanished = 0; /* dropped: its state was set, or it was reset */
	std::uint64_t pending = 0;

	[[nodiscard]] std::uint64_t posted_by_all() const;
	/* What was posted or restored and is not accounted for; 0 if all is. */
	[[nodiscard]] std::int64_t balance() const;
	[[nodiscard]] bool idle() const { return *this == Ledger(); }

	Ledger &operator+=(const Ledger &other);
	bool operator==(const Ledger &) const = default;
};

/* Of a stats descriptor of an observer. */
[[nodiscard]] Ledger ledger_of(const Values &values);

struct VcpuLook {
	bool sampled = false; /* hardware posts: what was coalesced is not known */
	bool settled = true; /* record and IRR are the same, as far as that can be told */
	Ledger total;
	std::array<Ledger, CORBEL_IRQ_VECTORS> vectors{};
};

/* Why vectors were dropped is asked where any was. */
[[nodiscard]] Result<VcpuLook> look_at_vcpu(const Irq &irq, std::uint32_t index);

enum class Verdict {
	balanced,
	unknown, /* sampled */
	moving, /* it did not stay the same for long enough to be judged */
	unbalanced,
};

/* Also what JSON says. */
[[nodiscard]] const char *name_of(Verdict verdict);

/* One vCPU over several looks. */
class VcpuJudge {
public:
	void see(const VcpuLook &look);

	/* Nothing would change by looking once more while all stays as it is. */
	[[nodiscard]] bool decided() const;

	[[nodiscard]] const VcpuLook &last() const { return last_; }
	[[nodiscard]] Verdict vector(unsigned vector) const;
	/* Of the vCPU as a whole; its vectors have to add up to it. */
	[[nodiscard]] Verdict total() const;

private:
	/* How often in a row what does not balance has to be seen. */
	static constexpr unsigned looks_to_condemn = 20;

	[[nodiscard]] Verdict judge(unsigned seen, bool good) const;
	[[nodiscard]] bool adds_up() const;

	VcpuLook last_;
	/* Looks in a row, the last included, that found the same. */
	unsigned same_total_ = 0;
	std::array<unsigned, CORBEL_IRQ_VECTORS> same_{};
};

struct LedgerRow {
	std::optional<std::uint32_t> vcpu; /* none: all */
	std::optional<unsigned> vector; /* none: all */
	Ledger ledger;
	Verdict verdict;
};

/* The VM, each vCPU, and the vectors wanted: all in use, one, or none. */
enum class WantedVectors { none, one, used };
[[nodiscard]] std::vector<LedgerRow> rows_of(const std::vector<std::uint32_t> &indices,
					     const std::vector<VcpuJudge> &judges,
					     WantedVectors wanted, unsigned vector);

} /* namespace corbel::cli */
