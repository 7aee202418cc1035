// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * exits.cc - what the guest left KVM_RUN for.
 */
#include "monitor.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

/* In entries: KVM's own reasons are far below. */
constexpr std::uint8_t deadline_code = 0xd1;

/* A guest that sleeps for longer leaves nothing of its recording in memory meanwhile. */
constexpr std::chrono::milliseconds long_sleep{50};

} /* namespace */

std::uint8_t Monitor::reason_code()
{
	const auto reason = machine_.area().exit_reason;

	return reason == CORBEL_REPLAY_EXIT_DEADLINE ? deadline_code
						     : static_cast<std::uint8_t>(reason);
}

/* Of the registers, and of what the guest asks for. */
std::uint32_t Monitor::exit_digest()
{
	const auto &run = machine_.area();
	auto digest = XXH3_64bits(&machine_.regs(), sizeof(kvm_regs));
	const auto add = [&](const void *bytes, std::size_t size) {
		digest = XXH3_64bits_withSeed(bytes, size, digest);
	};

	switch (run.exit_reason) {
	case KVM_EXIT_IO: {
		const std::uint32_t asked[] = {run.io.port, run.io.size, run.io.count,
					       run.io.direction};

		add(asked, sizeof(asked));
		if (run.io.direction == KVM_EXIT_IO_OUT)
			add(machine_.io_data(), std::size_t{run.io.size} * run.io.count);
		break;
	}
	case KVM_EXIT_MMIO: {
		const std::uint64_t asked[] = {run.mmio.phys_addr, run.mmio.len, run.mmio.is_write};

		add(asked, sizeof(asked));
		if (run.mmio.is_write)
			add(run.mmio.data, run.mmio.len);
		break;
	}
	case KVM_EXIT_X86_RDMSR:
		add(&run.msr.index, sizeof(run.msr.index));
		break;
	case KVM_EXIT_X86_WRMSR:
		add(&run.msr.index, sizeof(run.msr.index));
		add(&run.msr.data, sizeof(run.msr.data));
		break;
	default:
		break;
	}
	return static_cast<std::uint32_t>(digest);
}

Monitor::Step Monitor::handle()
{
	const auto &run = machine_.area();

	switch (run.exit_reason) {
	case KVM_EXIT_IO:
		return port_io();
	case KVM_EXIT_MMIO:
		mmio();
		return std::nullopt;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		msr();
		return std::nullopt;
	case KVM_EXIT_HLT:
		return halt();
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case CORBEL_REPLAY_EXIT_DEADLINE:
		return std::nullopt;
	case KVM_EXIT_SHUTDOWN:
		return CORBEL_EXPECT(finish(Ending::shutdown, 0));
	case KVM_EXIT_FAIL_ENTRY:
		return failure(EIO, fmt::format("The CPU refused to run the guest: reason {:#x}.",
						run.fail_entry.hardware_entry_failure_reason));
	case KVM_EXIT_INTERNAL_ERROR:
		return failure(EIO,
			       fmt::format("KVM cannot go on with the guest at {:#x}: suberror "
					   "{}, {:#x}.",
					   machine_.regs().rip, run.internal.suberror,
					   run.internal.data[0]));
	default:
		return failure(EIO, fmt::format("KVM stopped the guest at {:#x} for reason {}, "
						"which this monitor does not know.",
						machine_.regs().rip, run.exit_reason));
	}
}

Monitor::Step Monitor::port_io()
{
	const auto io = machine_.area().io;
	auto *data = machine_.io_data();
	Effects effects;

	for (std::uint32_t i = 0; i < io.count; i++, data += io.size) {
		std::uint32_t value = 0;

		if (io.direction == KVM_EXIT_IO_IN) {
			value = board_.in(io.port, io.size, now_);
			std::memcpy(data, &value, io.size);
		} else {
			std::memcpy(&value, data, io.size);
			board_.out(io.port, io.size, value, now_, effects);
		}
	}
	CORBEL_EXPECT(serve());
	if (!effects.console.empty()) {
		counts_.console_bytes += effects.console.size();
		settings_.console(effects.console);
	}
	if (effects.ended) {
		result_ = *effects.ended;
		return CORBEL_EXPECT(finish(Ending::result, result_));
	}
	if (effects.reset)
		return CORBEL_EXPECT(finish(Ending::reset, 0));
	return std::nullopt;
}

/* There is nothing but memory: what is behind it reads as ones. */
void Monitor::mmio()
{
	auto &mmio = machine_.area().mmio;

	if (!mmio.is_write)
		std::ranges::fill(mmio.data, 0xff);
}

void Monitor::msr()
{
	auto &msr = machine_.area().msr;
	const auto *const trap = trap_of(msr.index);

	msr.error = !trap || trap->answer == TrappedMsrs::Answer::fault;
	/* KVM would forget an interrupt that waits beside the fault. */
	if (msr.error)
		machine_.area().ready_for_interrupt_injection = 0;
	else if (machine_.area().exit_reason == KVM_EXIT_X86_RDMSR)
		msr.data = now_;
}

/*
 * KVM would have the guest go on behind its HLT, so it is entered again only with an interrupt
 * for it: every time it is looked for is in the recording.
 */
Monitor::Step Monitor::halt()
{
	counts_.halts++;
	if (!board_.interrupts() && !machine_.area().if_flag)
		return CORBEL_EXPECT(finish(Ending::halted, 0));
	while (!board_.interrupts()) {
		if (replays() ? kind_of(CORBEL_EXPECT(journal_.peek())) != Kind::time
			      : stops_.load())
			return CORBEL_EXPECT(finish(Ending::stopped, 0));
		if (!replays())
			idle();
		CORBEL_EXPECT(look_at_time());
	}
	return std::nullopt;
}

/* Until a device or somebody outside has something for the guest. */
void Monitor::idle()
{
	const bool listens = board_.console_room() > 0;

	while (!stops_ && !(listens && input_.waits()) &&
	       !backends_.wait(board_, machine_.memory())) {
		const auto at = journal_.clock(), deadline = board_.deadline();

		if (at >= deadline)
			break;
		if (settings_.warp && deadline != never) {
			journal_.warp(deadline - at);
			break;
		}
		const auto span = journal_.host_time(deadline - at);

		/* An error comes again at the next exit. */
		if (span > long_sleep)
			(void)journal_.write_out(true);
		input_.sleep(span, listens);
	}
}

} /* namespace corbel::vmm */
