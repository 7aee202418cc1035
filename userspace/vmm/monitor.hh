/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * monitor.hh - runs the guest: alone, recorded, or as a recording has it.
 *
 * The rule all of it follows: whatever comes from outside - a time, an interrupt, input, data
 * in memory - reaches the guest while it is out of KVM_RUN for a reason of its own, an exit
 * that comes again at the same instruction when it is given the same once more. Only a guest
 * that does not leave for long is stopped between two instructions, at a landmark, for which
 * the recording has all of its registers and what it wrote to memory.
 */
#pragma once

#include "backends.hh"
#include "board.hh"
#include "host_input.hh"
#include "journal.hh"
#include "kicker.hh"
#include "machine.hh"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace corbel::vmm {

/* How a run ended. The numbers are in recordings. */
enum class Ending : std::uint8_t {
	reset = 1,
	shutdown, /* a triple fault, which is how a PC may be told to reset */
	result, /* a test guest's, by port 0xf4 */
	halted, /* with interrupts off */
	stopped, /* from outside */
	position, /* replay: as far as was asked for */
	cut, /* replay: the recorder was killed here */
};

[[nodiscard]] std::string_view name_of(Ending ending);

struct Counts {
	std::uint64_t interrupts = 0, halts = 0, landmarks = 0, checkpoints = 0, console_bytes = 0;
	/* Of who records alone: */
	std::uint64_t stops = 0; /* by signals, of which the guest knows nothing */
	std::uint64_t late = 0; /* landmarks, later than twice the patience */
	GuestTime longest_run = 0; /* to a landmark, from when it could first be interrupted */
};

/* What a monitor knows of its guest beside devices, journal and KVM. */
struct MonitorState {
	GuestTime now;
	std::uint64_t interrupts, halts, landmarks, checkpoints, console_bytes;
	std::uint32_t result;
	std::uint32_t window; /* KVM_RUN is to end where an interrupt is welcome */

	[[nodiscard]] bool operator==(const MonitorState &) const = default;
};

/* All that one of the devices is. */
struct DeviceBytes {
	std::string_view name;
	std::span<std::byte> bytes;
};

class Monitor {
public:
	struct Settings {
		std::uint64_t checkpoint = 0; /* every so many exits; 0: only at the end */
		bool verify = false; /* replay: looks at checkpoints on the way, too */
		bool warp = false; /* skips the time in which the guest sleeps */
		std::uint64_t to = ~std::uint64_t{0}; /* replay: until so many exits */
		std::chrono::milliseconds patience{10}; /* without an exit, until a landmark */
		std::function<void(std::string_view)> console;
	};

	Monitor(Machine &machine, Journal &journal, Kicker &kicker, HostInput &input,
		Backends &backends, const Board &board, Settings settings);

	[[nodiscard]] Result<Ending> run();
	/* By any thread, or a signal's. */
	void stop() { stops_ = true; }

	/* Of a replay: run() goes on, and stops behind this exit. */
	void go_to(std::uint64_t exit) { settings_.to = exit; }
	[[nodiscard]] MonitorState state();
	void set_state(const MonitorState &state);
	/* What they are goes to checkpoints and comes from there; what is on a disk goes by blocks. */
	[[nodiscard]] std::vector<DeviceBytes> devices();

	[[nodiscard]] const Counts &counts() const { return counts_; }
	[[nodiscard]] GuestTime now() const { return now_; }
	[[nodiscard]] std::uint8_t result() const { return result_; }
	[[nodiscard]] const Board &board() const { return board_; }

private:
	using Step = Result<std::optional<Ending>>;

	/* ---- monitor.cc: the loop, and what happens outside of the guest's doing */
	Step before_entry();
	Step follow();
	Step leave();
	Result<void> look_at_time();
	Result<void> receive();
	Result<void> interrupt();
	Result<void> checkpoint(bool look);
	Result<Ending> finish(Ending ending, std::uint32_t value);
	Step on_kick();
	Step record_landmark();
	Result<void> replay_landmark();
	[[nodiscard]] bool wants_landmark();

	/* ---- exits.cc: what the guest asked for */
	[[nodiscard]] std::uint8_t reason_code();
	[[nodiscard]] std::uint32_t exit_digest();
	Step handle();
	Step port_io();
	void mmio();
	void msr();
	Step halt();
	void idle();

	/* ---- serving.cc: what it put into queues */
	Result<void> serve();
	Result<void> serve(Slot slot, unsigned number);

	[[nodiscard]] bool replays() const { return journal_.mode() == Mode::replay; }
	[[nodiscard]] bool records() const { return journal_.mode() == Mode::record; }

	Machine &machine_;
	Journal &journal_;
	Kicker &kicker_;
	HostInput &input_;
	Backends &backends_;
	Board board_;
	Settings settings_;
	Counts counts_;
	GuestTime now_ = 0;
	std::uint64_t exits_at_kick_ = ~std::uint64_t{0};
	std::uint64_t next_checkpoint_ = ~std::uint64_t{0};
	std::uint8_t result_ = 0;
	GuestTime deaf_ = 0; /* when it was seen last that it would take no interrupt */
	bool at_exit_ = true; /* or a landmark: a replay comes by here */
	std::atomic<bool> stops_ = false;
};

} /* namespace corbel::vmm */
