/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * protocol.hh - who has a VM that moves, at every moment and whatever fails.
 *
 *   source                                                    destination
 *     |  guest runs here                                           |
 *     |  reserve --------------------------------------------->    |  writes `reserved`, then
 *     |                                                            |  allocates all, starts QEMU
 *     |    <------------------------------------------- reserved   |
 *     |  warm-up: rounds of pages, while the guest runs            |
 *     |  stop, seal: nothing writes to its memory any more         |
 *     |  prepare (device state) ------------------------------>    |  loads it,
 *     |    <------------------------------------------- prepared   |  writes `prepared`
 *     |                                                            |
 *   == writes `run`: the COMMIT POINT ==                           |
 *     |                                                            |
 *     |  run (epoch) ----------------------------------------->    |  writes `running`,
 *     |    <-------------------------------------------- running   |  lets the guest run
 *     |  pages, those first that somebody waits for  =========>    |
 *     |    <------------------------------------------- complete   |  writes `complete`
 *     |  writes `finish`: no way back                              |
 *     |  frees its copy; finish ------------------------------>    |  ended: it is a VM as any
 *
 * Before the commit point the source owns the VM, from then on the destination does. The
 * commit point is one compare-and-swap at one place, the record of the source's job; the
 * destination learns of it, and takes no part in it. What it may not do without having
 * learned of it is to run; what it always may is to refuse for good, as long as it has not
 * run. So there are three ways from behind the commit point back to the source:
 *
 *   source                              destination
 *     |  run -------------------------->  |  its QEMU has died, or nobody came for too long:
 *     |    <------------- ended, refused  |  writes `refused`; a run that comes later is void
 *     |  writes `back`, runs again        |     => returned, nothing is lost
 *
 *     |    <--------------- ended, died   |  writes `died`: it had run, and is no more
 *     |  writes `back`, runs again        |     => rolled back, if the job allowed that
 *
 *     |  run (lease) --------- x          |  nothing comes for the length of the lease:
 *     |                                   |  a watcher stops the guest, corbeld or not
 *     |  nothing for longer than a lease: |
 *     |  writes `back`, runs again        |     => rolled back, if the job allowed that
 *     |  fence --------------------->     |  destroys what it has
 *
 * A lease is of an answer of the destination's: it counts there from when that answer was
 * sent, at the source from when it was granted, which is later, and the source waits for a
 * margin more than clocks may differ in rate. No time of day is compared. Without rollback
 * there are no leases: a lost link stops nobody but who touches a page that is missing, and
 * both ends connect again and go on.
 *
 * The epoch is kept with the VM at both ends and grows with every change of owner: one more
 * for `run`, one more for `back`. Who holds an older one has a copy and not the VM.
 *
 * If the source's memory is gone after the commit, the destination is told so, or has waited
 * for too long: it has all pages if the job was told to send them before the commit point
 * (spill), and has lost the VM otherwise. With leases that is of no use, as the destination
 * does not run without the source then: a job has one or the other.
 *
 * Nothing here does anything. Each end asks next() what is to be done, by what it has
 * written down and what it sees now, does that one thing, and asks again. So it makes no
 * difference where it is killed: what it saw it sees again, what it wrote is there. The test
 * migrate_protocol runs both ends through every order of events with every pair of failures.
 *
 * Versions: each message of a peer says the version it speaks, and one that is not known is
 * refused at `reserve`, where nothing has happened yet. A field that is new has a default
 * that means what was so before.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace corbel::migrate {

inline constexpr std::uint32_t protocol_version = 1;

using Epoch = std::uint64_t;

/* ---- what a migration came to ------------------------------------------------------ */

/* At the source, which is what the operator is told. */
enum class Outcome : std::uint8_t {
	none, /* not yet */
	moved,
	moved_from_spill,
	stayed,
	ended_at_source,
	returned,
	rolled_back,
	lost_at_destination,
	lost_at_source,
	unconfirmed,
};
inline constexpr Outcome last_outcome = Outcome::unconfirmed;

[[nodiscard]] std::string_view name_of(Outcome outcome);
[[nodiscard]] std::optional<Outcome> outcome_of(std::string_view name);
/* For the operator. */
[[nodiscard]] std::string_view sentence_of(Outcome outcome);

/* At the destination. */
enum class End : std::uint8_t {
	none, /* not yet */
	completed, /* it is here, whole */
	refused, /* it never ran here, and never will */
	died, /* it ran here, and its QEMU has ended */
	fenced, /* it ran here, and the source has taken it back */
	lost, /* pages of it are missing for good */
};
inline constexpr End last_end = End::lost;

[[nodiscard]] std::string_view name_of(End end);
[[nodiscard]] std::optional<End> end_of_migration(std::string_view name);
[[nodiscard]] std::string_view sentence_of(End end);

/* What the operator chose beforehand. */
struct Terms {
	bool rollback = false; /* back to the switch point if the destination is lost */
	bool spill = false; /* all pages are at the destination before the commit */

	bool operator==(const Terms &) const = default;
};

/* ---- for the test of the protocol -------------------------------------------------- */

/* A rule that is not kept, to see that the test notices. */
enum class Mutation : std::uint8_t {
	none,
	no_seal, /* the source is stopped, and not sealed */
	run_before_commit, /* the order is given before the commit is written */
	run_without_record, /* the destination runs before it has written so */
	prepared_without_record, /* it answers so before it has written it */
	reserve_without_record, /* it allocates before it has written so */
	refuse_without_record, /* it says that it refuses, and has not written it */
	back_without_record, /* the source runs on before it has written so */
	back_without_lease, /* it does not wait for the lease to pass */
	run_without_lease, /* the destination runs on when that has passed */
	ignore_fence, /* a destination that is told so does not give it up */
	no_fence, /* it is not told, nor if it asks */
	discard_early, /* the source frees its copy once the destination runs */
	finish_without_record, /* leases end before the source has written that they may */
	leave_copy, /* what was given up stays there */
	wait_for_ever, /* nobody is ever silent for too long */
	commit_early, /* pages that were to be there before are not waited for */
};
inline constexpr Mutation last_mutation = Mutation::commit_early;
[[nodiscard]] std::string_view name_of(Mutation mutation);

/* ---- messages ---------------------------------------------------------------------- */

/* From the source. */
enum class Order : std::uint8_t {
	none,
	reserve,
	prepare,
	run, /* also: go on running; carries a lease if there is rollback */
	refuse, /* do not run; it was not committed, or cannot be served */
	fence, /* the source has taken it back */
	finish, /* it is all yours */
	gone, /* run, or go on running: the source has no pages any more */
};
[[nodiscard]] std::string_view name_of(Order order);

/* ---- the destination --------------------------------------------------------------- */

enum class DestinationPhase : std::uint8_t {
	absent, /* it has never heard of it */
	reserved,
	prepared,
	running,
	complete, /* all pages are here; only with leases, else it is ended */
	ended,
};
[[nodiscard]] std::string_view name_of(DestinationPhase phase);
[[nodiscard]] std::optional<DestinationPhase> destination_phase_of(std::string_view name);

/* What the destination writes down, durably. */
struct DestinationRecord {
	DestinationPhase phase = DestinationPhase::absent;
	End end = End::none;
	Terms terms{};
	Epoch epoch = 0; /* that it runs, or would run, by */

	bool operator==(const DestinationRecord &) const = default;
};

/* With leases, what died or lost pages there: the source may have taken it back, unheard. */
[[nodiscard]] bool may_be_back(const DestinationRecord &record);
/* What has come to that is the destination's to start again: not what may be back. */
[[nodiscard]] bool owns(const DestinationRecord &record);

/* What it says of itself in every answer. */
struct DestinationSays {
	DestinationPhase phase = DestinationPhase::absent;
	End end = End::none;

	bool operator==(const DestinationSays &) const = default;
};

enum class GuestHere : std::uint8_t {
	none, /* there is no QEMU, or it has ended */
	waiting, /* for device state */
	loaded, /* and paused */
	running,
	frozen, /* by the watcher of the lease */
};

/* As it is now. */
struct DestinationSeen {
	GuestHere guest = GuestHere::none;
	Order order = Order::none; /* that waits for an answer */
	Epoch epoch = 0; /* of the order */
	Terms terms{}; /* of the order, if it is to reserve */
	bool lease = false; /* it holds */
	bool all_here = false; /* no page is missing */
	bool source_gone = false; /* the source said that it has no pages any more */
	bool silent = false; /* nothing was heard of the source for too long */
};

enum class DestinationAct : std::uint8_t {
	wait,
	write, /* the record as given; only then is anything else done */
	make, /* allocate all, and start QEMU */
	load, /* the device state that came with `prepare` */
	go, /* let the guest run */
	freeze, /* stop it where it is */
	destroy, /* QEMU and its memory */
	answer, /* to the order: what is written */
};
[[nodiscard]] std::string_view name_of(DestinationAct act);

struct DestinationStep {
	DestinationAct act = DestinationAct::wait;
	DestinationRecord record{}; /* to be written */
};

[[nodiscard]] DestinationStep next(const DestinationRecord &record, const DestinationSeen &seen,
				   Mutation mutation = Mutation::none);

/* ---- the source -------------------------------------------------------------------- */

/* In this order; each is a step of the job. */
enum class SourcePhase : std::uint8_t {
	reserve,
	warm_up,
	seal,
	hand_over, /* device state */
	run, /* the commit point is that this is written */
	drain,
	finish,
	ended,
};
inline constexpr SourcePhase commit_point = SourcePhase::run;
[[nodiscard]] std::string_view name_of(SourcePhase phase);

/* What the source writes down: the record of its job. */
struct SourceRecord {
	SourcePhase phase = SourcePhase::reserve;
	bool undoing = false; /* before the commit point */
	Outcome back = Outcome::none; /* after it: returned or rolled_back, under way */
	Outcome outcome = Outcome::none; /* from `finish` on */
	Terms terms{};
	Epoch epoch = 0; /* that it had the VM by when all began */

	bool operator==(const SourceRecord &) const = default;
};

/* That of the order `run`, and of a source that has it back. */
[[nodiscard]] constexpr Epoch epoch_of(const SourceRecord &record)
{
	return record.epoch + (record.back != Outcome::none			 ? 2
			       : record.phase >= commit_point && !record.undoing ? 1
										 : 0);
}

enum class GuestThere : std::uint8_t {
	gone, /* its QEMU has ended */
	running,
	stopped,
};

struct SourceSeen {
	GuestThere guest = GuestThere::running;
	bool memory = true; /* it can be served */
	bool sealed = false;
	bool cancelled = false; /* somebody wants it undone */
	bool trouble = false; /* something of the step cannot be done; before the commit point */
	bool warm = false; /* enough was sent */
	bool all_there = false; /* the destination has said that it has every page */
	std::optional<DestinationSays> peer{}; /* as last heard */
	/* All that was granted has passed, margin included, and so has as long since it
	   committed, and since this corbeld began, which may not know what was granted. */
	bool lease_over = false;
	bool told = false; /* it was tried to tell, often enough */
	bool silent = false; /* nothing was heard for too long */
};

enum class SourceAct : std::uint8_t {
	wait,
	write, /* the record as given */
	tell, /* the destination: `order` */
	warm, /* another round of pages */
	stop, /* the guest */
	seal,
	unseal,
	go, /* let the guest run on */
	discard, /* QEMU and its memory */
};
[[nodiscard]] std::string_view name_of(SourceAct act);

struct SourceStep {
	SourceAct act = SourceAct::wait;
	Order order = Order::none;
	SourceRecord record{};
};

[[nodiscard]] SourceStep next(const SourceRecord &record, const SourceSeen &seen,
			      Mutation mutation = Mutation::none);

/* What a destination that asks is told; none: to wait. */
[[nodiscard]] Order order_of(const SourceRecord &record, bool memory);

} /* namespace corbel::migrate */
