/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migrate_world.hh - two hosts, a link, and all that can happen to a VM that moves between
 * them: a model in which the two ends of the protocol are the very code of the daemon.
 *
 * A world is small and is copied. Time is what may have passed: that a lease of the
 * destination's has passed makes everything that was sent until then too old to renew it,
 * and the source's longer limit passes only after that.
 */
#pragma once

#include "../migrate/protocol.hh"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace corbel::test {

/* What fails; each use takes one from the budget. */
enum class Failure : std::uint8_t {
	source_daemon, /* killed, and started again some time */
	destination_daemon,
	source_qemu,
	destination_qemu,
	link, /* until it is repaired, some time */
	slow, /* an answer that nobody waits for any more, and which comes all the same */
	cancel,
	source_reboot,
	destination_reboot,
	link_for_good,
	source_for_good,
	destination_for_good,
};
inline constexpr auto last_failure = Failure::destination_for_good;

struct Rules {
	migrate::Terms terms{};
	migrate::Mutation mutation = migrate::Mutation::none;
	unsigned failures = 2;
	/* Nobody is given up before it is certain that he will not come back. */
	bool patient = false;
	/* The watcher of the lease ends with corbeld. */
	bool mortal_watcher = false;
	/* Only these; empty: all. */
	std::vector<Failure> only{};
};

/* Bits of orders, and of answers, that are on their way. */
using Messages = std::uint16_t;
inline constexpr Messages lease_bit = Messages{1} << 15; /* the run has one with it */

/* Of answers: one of them says that every page is there. */
inline constexpr Messages whole_bit = Messages{1} << 15;

/* What a destination can say, as a number; below 15. */
[[nodiscard]] unsigned number_of(migrate::DestinationPhase phase, migrate::End end);

struct World {
	/* The source. */
	migrate::SourcePhase source_phase{};
	std::uint8_t undoing = 0;
	migrate::Outcome back{}, outcome{};
	std::uint8_t source_up = 1, source_lost = 0; /* its corbeld; its host, for good */
	migrate::GuestThere source_guest = migrate::GuestThere::running;
	std::uint8_t memory = 1, sealed = 0, cancelled = 0, warm = 0;
	/* What its corbeld has in memory. */
	std::uint8_t peer = 0; /* what it last heard, and one more; 0: nothing */
	std::uint8_t peer_fresh = 0; /* a lease can be granted for that */
	std::uint8_t all_there = 0; /* it was told so */
	std::uint8_t waiting = 0, told = 0, source_silent = 0, trouble = 0, lease_over = 0;

	/* The destination. */
	migrate::DestinationPhase destination_phase{};
	migrate::End end{};
	std::uint8_t destination_up = 1, destination_lost = 0;
	migrate::GuestHere guest{};
	std::uint8_t lease = 0, all_here = 0;
	std::uint8_t ever_ran = 0, was_whole = 0; /* for what is judged */
	migrate::Order order{};
	std::uint8_t source_gone = 0, destination_silent = 0;

	/* Between them. */
	std::uint8_t link = 0; /* 0: up, 1: down, 2: down for good */
	Messages orders = 0; /* a bit of each Order, and lease_bit */
	Messages answers = 0, fresh_answers = 0;
	std::uint8_t granted = 0; /* a lease that has not passed */

	std::uint8_t failures = 0; /* so far */
	std::uint16_t failed = 0; /* which */

	bool operator==(const World &) const = default;
};

struct Next {
	World world;
	bool failure; /* need not happen */
	std::string what;
};

/* All that can happen next; with @words for it. */
[[nodiscard]] std::vector<Next> successors(const World &world, const Rules &rules, bool words);

/* What must never be; empty: all is well. */
[[nodiscard]] std::string violation_in(const World &world);
/* Both ends have come to an end that they have a name for. */
[[nodiscard]] bool has_ended(const World &world);
/* What is wrong with how it ended; empty: nothing. */
[[nodiscard]] std::string wrong_end_of(const World &world, const Rules &rules);

[[nodiscard]] unsigned owners_that_run(const World &world);
[[nodiscard]] std::string text_of(const World &world);

struct Explored {
	std::size_t states = 0;
	std::string violation; /* empty: none */
	std::vector<std::string> trace;
	std::array<std::size_t, static_cast<std::size_t>(migrate::last_outcome) + 1> outcomes{};
	std::array<std::size_t, static_cast<std::size_t>(migrate::last_end) + 1> ends{};
};

/* Every order of events, until a violation is found or there are no more. */
[[nodiscard]] Explored explore(const Rules &rules);

} /* namespace corbel::test */
