// SPDX-License-Identifier: GPL-2.0-or-later
#include "monitor.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

std::string_view name_of(Ending ending)
{
	switch (ending) {
	case Ending::reset:
		return "reset";
	case Ending::shutdown:
		return "shutdown";
	case Ending::result:
		return "result";
	case Ending::halted:
		return "halted";
	case Ending::stopped:
		return "stopped";
	case Ending::position:
		return "position";
	case Ending::cut:
		return "cut";
	}
	return "unknown";
}

Monitor::Monitor(Machine &machine, Journal &journal, Kicker &kicker, HostInput &input,
		 Backends &backends, const Board &board, Settings settings)
	: machine_(machine),
	  journal_(journal),
	  kicker_(kicker),
	  input_(input),
	  backends_(backends),
	  board_(board),
	  settings_(std::move(settings))
{
	if (settings_.checkpoint)
		next_checkpoint_ = settings_.checkpoint;
}

std::vector<DeviceBytes> Monitor::devices()
{
	std::vector<DeviceBytes> all{{"board", std::as_writable_bytes(std::span(&board_, 1))}};

	if (backends_.disk)
		all.push_back({"disk", backends_.disk->state()});
	if (backends_.net)
		all.push_back({"net", backends_.net->state()});
	if (backends_.vsock)
		all.push_back({"vsock", backends_.vsock->state()});
	return all;
}

/* ---- the loop ---------------------------------------------------------------------- */

Result<Ending> Monitor::run()
{
	/* A replay waits for nothing, and needs no landmarks but those recorded. */
	if (!replays())
		CORBEL_EXPECT(kicker_.kick_every(settings_.patience));
	for (;;) {
		auto step = replays() ? follow() : before_entry();

		if (step && !*step) {
			CORBEL_EXPECT(journal_.prepare());
			journal_.area().deadline = board_.deadline();
			const auto stop = CORBEL_EXPECT(machine_.run());

			at_exit_ = false;
			step = stop == Stop::interrupted ? on_kick() : leave();
		}
		if (!step && step.error().number == at_end)
			return Ending::cut;
		if (!step)
			return std::unexpected(std::move(step).error());
		if (*step)
			return **step;
	}
}

Monitor::Step Monitor::before_entry()
{
	if (stops_ && records() && at_exit_) {
		if (CORBEL_EXPECT(machine_.settle()) == Stop::exit)
			return leave();
		return CORBEL_EXPECT(finish(Ending::stopped, 0));
	}
	if (records() && journal_.exits() >= next_checkpoint_) {
		if (CORBEL_EXPECT(machine_.settle()) == Stop::exit)
			return leave();
		next_checkpoint_ = journal_.exits() + settings_.checkpoint;
		CORBEL_EXPECT(checkpoint(true));
	}
	CORBEL_EXPECT(journal_.write_out(false));
	return std::nullopt;
}

/* What the recorder did before it went on, as its entries tell. */
Monitor::Step Monitor::follow()
{
	for (;;) {
		if (stops_)
			return Ending::stopped;
		const auto next = kind_of(CORBEL_EXPECT(journal_.peek()));
		const bool arrived = journal_.exits() >= settings_.to;

		if (next != Kind::check && next != Kind::landmark && next != Kind::end && !arrived)
			return std::nullopt;
		if (CORBEL_EXPECT(machine_.settle()) == Stop::exit)
			return leave();
		if (next == Kind::end)
			return CORBEL_EXPECT(finish(Ending::stopped, 0));
		if (arrived)
			return Ending::position;
		if (next == Kind::landmark)
			CORBEL_EXPECT(replay_landmark());
		else
			CORBEL_EXPECT(checkpoint(settings_.verify));
	}
}

/* The guest is out of KVM_RUN for a reason of its own. */
Monitor::Step Monitor::leave()
{
	switch (machine_.area().exit_reason) {
	case CORBEL_REPLAY_EXIT_FULL:
		CORBEL_EXPECT(journal_.write_out(true));
		return std::nullopt;
	case CORBEL_REPLAY_EXIT_EMPTY:
		CORBEL_EXPECT(journal_.prepare());
		CORBEL_EXPECT(journal_.peek());
		return std::nullopt;
	case CORBEL_REPLAY_EXIT_NEXT:
		return std::nullopt;
	case CORBEL_REPLAY_EXIT_DIVERGED:
		return std::unexpected(journal_.difference(
			fmt::format("RDTSC is executed at {:#x}", machine_.regs().rip)));
	case CORBEL_REPLAY_EXIT_BAD:
		return failure(EPROTO, "corbel_replay.ko refuses the area that it shares with "
				       "this corbel-vmm: the two do not belong together.");
	default:
		break;
	}
	CORBEL_EXPECT(journal_.exit({reason_code(), machine_.regs().rip, exit_digest()}));
	CORBEL_EXPECT(look_at_time());
	if (const auto ending = CORBEL_EXPECT(handle()))
		return ending;
	CORBEL_EXPECT(interrupt());
	at_exit_ = true;
	return std::nullopt;
}

/* The one time that everything until the next entry is told. */
Result<void> Monitor::look_at_time()
{
	now_ = CORBEL_EXPECT(journal_.time());
	CORBEL_EXPECT(receive());
	CORBEL_EXPECT(backends_.receive(board_, machine_.memory(), journal_));
	board_.advance(now_);
	return {};
}

Result<void> Monitor::receive()
{
	const auto room = board_.console_room();
	std::string bytes;

	if (replays()) {
		const auto next = CORBEL_EXPECT(journal_.peek());

		if (kind_of(next) != Kind::data ||
		    info_of(next) != static_cast<std::uint8_t>(Channel::console))
			return {};
		bytes = CORBEL_EXPECT(journal_.take(Kind::data, room));
	} else if (room > 0 && input_.waits()) {
		bytes = input_.take(room);
		CORBEL_EXPECT(journal_.give(Kind::data, static_cast<std::uint8_t>(Channel::console),
					    0, bytes));
	}
	board_.receive(bytes);
	return {};
}

Result<void> Monitor::interrupt()
{
	machine_.area().request_interrupt_window = 0;
	if (!board_.interrupts())
		return {};
	if (machine_.takes_interrupts()) {
		const auto vector = board_.acknowledge();

		CORBEL_EXPECT(journal_.agree(Kind::interrupt, vector, 0, "an interrupt"));
		CORBEL_EXPECT(machine_.interrupt(vector));
		counts_.interrupts++;
	}
	machine_.area().request_interrupt_window = board_.interrupts();
	return {};
}

/* ---- checkpoints and the end ------------------------------------------------------- */

Result<void> Monitor::checkpoint(bool look)
{
	counts_.checkpoints++;
	if (!look) {
		for (std::size_t i = 0; i < all_parts.size(); i++)
			CORBEL_EXPECT(journal_.skip());
		return {};
	}
	const auto state = CORBEL_EXPECT(machine_.state());

	CORBEL_EXPECT(machine_.gather_written());
	for (const auto part : all_parts) {
		const auto digest = part == Part::devices  ? XXH3_64bits(&board_, sizeof(board_))
				    : part == Part::memory ? machine_.memory().digest()
							   : state.digest(part);

		CORBEL_EXPECT(journal_.agree(Kind::check, static_cast<std::uint8_t>(part), digest,
					     fmt::format("what differs is: {}", name_of(part))));
	}
	return {};
}

Result<Ending> Monitor::finish(Ending ending, std::uint32_t value)
{
	if (journal_.mode() == Mode::plain)
		return ending;
	/* What is left of the last exit belongs to the state at the end. */
	(void)CORBEL_EXPECT(machine_.settle());
	if (!replays() || kind_of(CORBEL_EXPECT(journal_.peek())) != Kind::end)
		CORBEL_EXPECT(checkpoint(true));
	CORBEL_EXPECT(journal_.end(static_cast<std::uint8_t>(ending), value));
	CORBEL_EXPECT(journal_.finish());
	return ending;
}

MonitorState Monitor::state()
{
	return {now_,
		counts_.interrupts,
		counts_.halts,
		counts_.landmarks,
		counts_.checkpoints,
		counts_.console_bytes,
		result_,
		machine_.area().request_interrupt_window};
}

void Monitor::set_state(const MonitorState &state)
{
	now_ = state.now;
	counts_.interrupts = state.interrupts;
	counts_.halts = state.halts;
	counts_.landmarks = state.landmarks;
	counts_.checkpoints = state.checkpoints;
	counts_.console_bytes = state.console_bytes;
	result_ = static_cast<std::uint8_t>(state.result);
	machine_.area().request_interrupt_window = state.window != 0;
}

/* ---- landmarks --------------------------------------------------------------------- */

bool Monitor::wants_landmark()
{
	const bool quiet = journal_.exits() == exits_at_kick_;

	if (!machine_.takes_interrupts())
		deaf_ = journal_.clock();
	exits_at_kick_ = journal_.exits();
	/* What the guest would not take now, an exit for an open window will give it. */
	return quiet && machine_.takes_interrupts() &&
	       (journal_.clock() >= board_.deadline() || stops_ ||
		(input_.waits() && board_.console_room() > 0) ||
		backends_.wait(board_, machine_.memory()));
}

Monitor::Step Monitor::on_kick()
{
	counts_.stops++;
	switch (journal_.mode()) {
	case Mode::plain:
		if (stops_)
			return Ending::stopped;
		CORBEL_EXPECT(look_at_time());
		CORBEL_EXPECT(interrupt());
		return std::nullopt;
	case Mode::record:
		if (wants_landmark())
			return record_landmark();
		return std::nullopt;
	default:
		return std::nullopt;
	}
}

namespace {

/* A page that was written before a landmark, as it lies in the stream. */
struct WrittenPage {
	std::uint64_t number;
	std::uint64_t reserved;
	std::byte bytes[page_bytes];
};

/* Beside the parts of a checkpoint. What a landmark holds is not run before it is known whole. */
constexpr std::uint8_t whole_landmark = 0xff;

std::uint64_t digest_of(std::string_view bytes)
{
	return XXH3_64bits(bytes.data(), bytes.size());
}

} /* namespace */

/*
 * Memory is the same in a recording and its replay at the last checkpoint or landmark, so the
 * pages written since are what may differ.
 */
Monitor::Step Monitor::record_landmark()
{
	const auto state = CORBEL_EXPECT(machine_.state());
	auto &memory = machine_.memory();
	std::string bytes(reinterpret_cast<const char *>(&state), sizeof(state));

	CORBEL_EXPECT(machine_.gather_written());
	for (const auto number : memory.written_pages()) {
		WrittenPage page{number, 0, {}};

		std::memcpy(page.bytes, memory.base() + number * page_bytes, page_bytes);
		bytes.append(reinterpret_cast<const char *>(&page), sizeof(page));
	}
	(void)memory.digest();
	CORBEL_EXPECT(journal_.give(Kind::landmark, 0, state.regs.rip, bytes));
	CORBEL_EXPECT(journal_.agree(Kind::check, whole_landmark, digest_of(bytes), "a landmark"));
	counts_.landmarks++;
	const auto began = std::max(now_, deaf_);
	CORBEL_EXPECT(look_at_time());
	counts_.longest_run = std::max(counts_.longest_run, now_ - began);
	counts_.late += std::chrono::nanoseconds(now_ - began) > 2 * settings_.patience;
	CORBEL_EXPECT(interrupt());
	at_exit_ = true;
	return std::nullopt;
}

Result<void> Monitor::replay_landmark()
{
	auto &memory = machine_.memory();
	const auto limit = sizeof(VcpuState) + memory.pages() * sizeof(WrittenPage);
	const auto bytes = CORBEL_EXPECT(journal_.take(Kind::landmark, limit));
	VcpuState state{};

	CORBEL_EXPECT(journal_.agree(Kind::check, whole_landmark, digest_of(bytes),
				     "the landmark before is another"));
	if (bytes.size() < sizeof(state) ||
	    (bytes.size() - sizeof(state)) % sizeof(WrittenPage) != 0)
		return std::unexpected(journal_.difference("a landmark is incomplete"));
	std::memcpy(&state, bytes.data(), sizeof(state));
	for (std::size_t at = sizeof(state); at < bytes.size(); at += sizeof(WrittenPage)) {
		WrittenPage page;

		std::memcpy(&page, bytes.data() + at, sizeof(page));
		const auto room = page.number < memory.pages()
					  ? memory.writable(page.number * page_bytes, page_bytes)
					  : std::span<std::byte>{};

		if (room.empty())
			return std::unexpected(journal_.difference("a landmark has a page that "
								   "the guest does not have"));
		std::memcpy(room.data(), page.bytes, page_bytes);
	}
	CORBEL_EXPECT(machine_.forget_translations());
	CORBEL_EXPECT(machine_.set_state(state));
	/* A landmark is only where an interrupt is welcome. */
	machine_.area().ready_for_interrupt_injection = 1;
	machine_.area().if_flag = 1;
	counts_.landmarks++;
	CORBEL_EXPECT(look_at_time());
	CORBEL_EXPECT(interrupt());
	return {};
}

} /* namespace corbel::vmm */
