/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pending record against the IRR, in every interleaving.
 *
 * The record is the one of the module, kmod/irq/record.hh, with CORBEL_MODEL_WORDS
 * words, to keep the search small. Around it stand the threads of a VM, reduced to
 * the accesses that matter:
 *
 *  - a delivery on any CPU: enter, set the IRR bit, exit; or refused by the APIC
 *  - the vCPU: takes the highest vector from the IRR, later injects it
 *  - the vCPU's state being set: the IRR rewritten by other means, then loaded
 *  - a reader that compares both sides, or asks for settling
 *
 * The counts are kept as kmod/irq/delivery.cc does, and can be held against what the
 * module cannot see: whether a delivery found its bit in the IRR set already.
 *
 * In every state: a vector that is in the IRR is in the record, and the status bit is
 * set. Whenever nothing is under way: record and IRR are equal, the status says
 * whether they are empty, the gate is open and unsuspected, the counts balance.
 */
#pragma once

#include <corbel/irq.h>
#undef CORBEL_IRQ_WORDS
#define CORBEL_IRQ_WORDS CORBEL_MODEL_WORDS

#include "interleaving.hh"
#include "irq/record.hh"

#include <gtest/gtest.h>

#include <bit>

namespace {

using namespace corbel::unit;
using corbel::irq::Change;
using corbel::rt::Order;

/* A type of this file alone, as its record differs from others in size. */
struct Policy : ModelAtomics {};
using Record = corbel::irq::PendingRecord<Policy>;
using Word = Policy::Atomic<std::uint64_t>;

constexpr unsigned words = CORBEL_IRQ_WORDS;
constexpr unsigned status_bit = 3;
/* Of other vCPUs, in the same line; nobody here may touch them. */
constexpr std::uint64_t others = 0x8000000000000005;

/* The vectors that occur: in different words if there are several. */
constexpr unsigned vectors[] = {1, words == 1 ? 2 : 65};
constexpr unsigned vector_count = 2;

unsigned number_of(unsigned vector)
{
	return vector == vectors[0] ? 0 : 1;
}

/* Registers of a thread: the counts of each vector, then what it works on. */
enum Count { accepted, injected, coalesced, dropped, restored, counts };
constexpr unsigned work = counts * vector_count;
enum Work { taken = work, round, restoring };
static_assert(restoring < std::tuple_size_v<Registers>);

/* A vCPU with its record and truth. Everything that is shared is a cell. */
struct Vcpu {
	Machine machine;
	Word status;
	Word irr[words];
	Record record;

	Vcpu()
	{
		machine.set_initial(status.cell(), others);
		machine.name_cell(status.cell(), "status");
		for (unsigned i = 0; i < words; i++)
			machine.name_cell(irr[i].cell(), "irr " + std::to_string(i));
		record.init(&status, status_bit);
	}

	std::uint64_t read_irr(unsigned i) { return irr[i].load(Order::relaxed); }
};

class RecordModel {
public:
	/*
	 * The members of the record are private. Its cells are numbered in order of
	 * declaration, from the first one made after those of Vcpu.
	 */
	explicit RecordModel(std::optional<Site> mutated = {})
	{
		const Cell first = vcpu_.irr[words - 1].cell() + 1;

		gate_ = first;
		vcpu_.machine.name_cell(gate_, "gate");
		for (unsigned i = 0; i < words; i++) {
			vcpu_.machine.name_cell(record_word(i), "record " + std::to_string(i));
			vcpu_.machine.name_cell(first + 1 + words + i,
						"unsure " + std::to_string(i));
		}
		vcpu_.machine.mutated = std::move(mutated);
	}

	/* With the counts, which multiply the states. */
	RecordModel &with_balance()
	{
		balance_ = true;
		return *this;
	}

	/* @times deliveries of @vector, one after the other. */
	RecordModel &deliver(unsigned vector, int times = 1)
	{
		return add_delivery("delivery of ", vector, times, true);
	}

	/* A delivery that the local APIC refuses. */
	RecordModel &refuse(unsigned vector)
	{
		return add_delivery("refusal of ", vector, 1, false);
	}

	/*
	 * The vCPU looks at the IRR up to @times times and injects what it finds; after
	 * the first @set_state of them its state is set anew, to @state.
	 */
	RecordModel &run_vcpu(int times, int set_state = -1, std::uint64_t state = 0)
	{
		programs_.push_back(
			{"vCPU",
			 [=, this](int pc, Registers &r) {
				 return vcpu_step(pc, r, times, set_state, state);
			 },
			 [](int pc) { return pc == settle_own || pc == prepare || pc == reload; },
			 [](int pc) { return pc == look; }});
		vcpu_thread_ = programs_.size() - 1;
		return *this;
	}

	/* A descriptor that reads both sides, @times times. */
	RecordModel &read(int times = 1)
	{
		programs_.push_back({"reader",
				     [=, this](int pc, Registers &r) {
					     if (pc == 1)
						     settle(r);
					     else if (compare())
						     return 1;
					     return ++r[round] == times ? finished : 0;
				     },
				     [](int pc) { return pc == 1; },
				     [](int pc) { return pc == 0; }});
		return *this;
	}

	/* A descriptor that asks for settling. */
	RecordModel &resync()
	{
		programs_.push_back({"resync",
				     [this](int pc, Registers &r) {
					     if (pc == 0)
						     return 1;
					     settle(r);
					     return finished;
				     },
				     [](int pc) { return pc == 1; },
				     [](int pc) { return pc == 0; }});
		return *this;
	}

	Exploration explore(std::uint64_t most = 20'000'000)
	{
		return corbel::unit::explore(
			vcpu_.machine, programs_,
			{.always = [this](const Snapshot &state) { return check_always(state); },
			 .when_quiet =
				 [this](const Snapshot &state) { return check_quiet(state); }},
			most);
	}

	Machine &machine() { return vcpu_.machine; }

private:
	auto irr()
	{
		return [this](unsigned i) { return vcpu_.read_irr(i); };
	}

	auto reporter(Registers &r)
	{
		return [this, &r](unsigned vector, Change change) {
			switch (change) {
			case Change::appeared:
				add(r, restored, vector, 1);
				break;
			case Change::stale:
				break;
			case Change::gone:
				add(r, dropped, vector, 1);
				break;
			}
		};
	}

	void settle(Registers &r) { (void)vcpu_.record.settle(irr(), reporter(r)); }

	/*
	 * A delivery in operations as small as can be: what one has read is forgotten at
	 * its end, which makes states equal that differ in their past alone.
	 */
	RecordModel &add_delivery(const char *name, unsigned vector, int times, bool delivered)
	{
		programs_.push_back({name + std::to_string(vector),
				     [=, this](int pc, Registers &r) {
					     return delivery_step(pc, r, vector, times, delivered);
				     },
				     [](int pc) { return pc == settle_after; },
				     [](int pc) { return pc == enter; }});
		return *this;
	}

	enum DeliveryPc { enter = 0, body, refused, leave, settle_after };

	int delivery_step(int pc, Registers &r, unsigned vector, int times, bool delivered)
	{
		const int next = r[round] + 1 == times ? finished : enter;

		switch (pc) {
		case enter:
			add(r, accepted, vector, 1);
			vcpu_.record.accept_enter(vector);
			return delivered ? body : refused;
		case body: {
			const auto mask = std::uint64_t{1} << vector % 64;
			const auto old = vcpu_.irr[vector / 64].fetch_or(mask, Order::seq_cst);

			add(r, coalesced, vector, (old & mask) != 0);
			return leave;
		}
		case refused:
			add(r, dropped, vector, 1);
			vcpu_.record.mark_unsure(vector);
			return leave;
		case leave:
			if (vcpu_.record.accept_exit())
				return settle_after;
			r[round]++;
			return next;
		default:
			settle(r);
			r[round]++;
			return next;
		}
	}

	enum VcpuPc { look = 0, inject, unsure, settle_own, prepare, set_irr, reload };

	int vcpu_step(int pc, Registers &r, int times, int set_state, std::uint64_t state)
	{
		const auto vector = static_cast<unsigned>(r[taken]);

		switch (pc) {
		case look:
			if (r[round] == set_state && r[restoring] == 0) {
				return prepare;
			}
			if (r[round]++ == times)
				return finished;
			return take_highest(r) ? inject : look;
		case inject:
			switch (vcpu_.record.inject(vector, irr(), [](bool) {})) {
			case Record::Injected::done:
				add(r, injected, vector, 1);
				r[taken] = 0;
				return look;
			case Record::Injected::unsettled:
				add(r, injected, vector, 1);
				return settle_own;
			case Record::Injected::busy:
				add(r, injected, vector, 1);
				return unsure;
			}
			[[fallthrough]];
		case unsure:
			vcpu_.record.mark_unsure(vector);
			return settle_own;
		case settle_own:
			settle(r);
			r[taken] = 0;
			return look;
		case prepare:
			if (!vcpu_.record.settle(irr(), reporter(r)))
				return prepare;
			r[restoring] = 1;
			return set_irr;
		case set_irr:
			/* KVM copies the registers as plain memory. */
			vcpu_.irr[0].store(state, Order::relaxed);
			for (unsigned i = 1; i < words; i++)
				vcpu_.irr[i].store(0, Order::relaxed);
			return reload;
		default:
			if (!vcpu_.record.load(irr(), reporter(r)))
				return reload;
			r[restoring] = 2;
			return look;
		}
	}

	bool take_highest(Registers &r)
	{
		for (unsigned i = words; i-- > 0;) {
			const auto word = vcpu_.irr[i].load(Order::relaxed);
			if (word == 0)
				continue;
			const auto bit = static_cast<unsigned>(std::bit_width(word)) - 1;
			vcpu_.irr[i].fetch_and(~(std::uint64_t{1} << bit), Order::seq_cst);
			r[taken] = static_cast<std::int16_t>(i * 64 + bit);
			return true;
		}
		return false;
	}

	/* True if settling is left to do. */
	bool compare()
	{
		std::uint64_t record[words], truth[words];

		const bool quiet = vcpu_.record.compare(irr(), record, truth);
		if (!quiet)
			return false;
		/* The vCPU may have taken vectors meanwhile, but not have injected them. */
		for (unsigned i = 0; i < words; i++)
			if (truth[i] & ~record[i])
				seen_missing_ = true;
		return vcpu_.record.compare_done();
	}

	Cell record_word(unsigned i) const { return gate_ + 1 + i; }

	bool being_restored(const Snapshot &state) const
	{
		return vcpu_thread_ && state.threads[*vcpu_thread_].registers[restoring] == 1;
	}

	bool was_restored(const Snapshot &state) const
	{
		return vcpu_thread_ && state.threads[*vcpu_thread_].registers[restoring] == 2;
	}

	std::string check_always(const Snapshot &state) const
	{
		if ((state.cell(vcpu_.status.cell()) & ~(std::uint64_t{1} << status_bit)) != others)
			return "a status bit of another vCPU changed";
		if (being_restored(state))
			return "";
		bool any = false;
		for (unsigned i = 0; i < words; i++) {
			const auto truth = state.cell(vcpu_.irr[i].cell());

			any |= truth != 0;
			if (truth & ~state.cell(record_word(i)))
				return "the IRR holds a vector that the record does not";
		}
		if (any && !(state.cell(vcpu_.status.cell()) >> status_bit & 1))
			return "the IRR holds a vector and the status bit is 0";
		if (seen_missing_)
			return "a reader saw at rest a vector in the IRR and not in the record";
		return "";
	}

	std::string check_quiet(const Snapshot &state) const
	{
		if (being_restored(state))
			return "";
		bool any = false;
		for (unsigned i = 0; i < words; i++) {
			const auto truth = state.cell(vcpu_.irr[i].cell());

			any |= truth != 0;
			if (truth != state.cell(record_word(i)))
				return "at rest the record differs from the IRR";
		}
		if ((state.cell(vcpu_.status.cell()) >> status_bit & 1) != any)
			return "at rest the status bit is wrong";
		if (state.cell(gate_) != 0)
			return "at rest the gate is not open";
		return balance_ ? check_balance(state) : "";
	}

	std::string check_balance(const Snapshot &state) const
	{
		for (unsigned n = 0; n < vector_count; n++) {
			std::int64_t sum[counts] = {};
			for (const auto &thread : state.threads)
				for (unsigned c = 0; c < counts; c++)
					sum[c] += thread.registers[c * vector_count + n];
			const auto irr = state.cell(vcpu_.irr[vectors[n] / 64].cell());
			const auto pending = static_cast<std::int64_t>(irr >> vectors[n] % 64 & 1);

			const auto left = sum[accepted] + sum[restored] - sum[injected] -
					  sum[dropped] - pending;
			/* What a new state took away can pass for coalesced, never less. */
			if (was_restored(state) ? left < 0 : left != sum[coalesced])
				return "at rest " + std::to_string(left) +
				       " deliveries of vector " + std::to_string(vectors[n]) +
				       " are left for coalesced, not " +
				       std::to_string(sum[coalesced]);
		}
		return "";
	}

	void add(Registers &r, Count which, unsigned vector, int more)
	{
		if (balance_)
			r[which * vector_count + number_of(vector)] +=
				static_cast<std::int16_t>(more);
	}

	bool balance_ = false;
	Vcpu vcpu_;
	Cell gate_;
	std::vector<Program> programs_;
	std::optional<std::size_t> vcpu_thread_;
	mutable bool seen_missing_ = false;
};

} // namespace
