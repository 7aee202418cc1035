// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * checkpoint_sessions.cc - makes checkpoints of a recording, and goes from place to place by them.
 */
#include "end_watch.hh"
#include "player.hh"

#include <libcorbel/number.hh>

#include <cerrno>
#include <cstdio>
#include <iostream>

#include <fmt/format.h>

namespace corbel::vmm {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point then)
{
	return std::chrono::duration<double>(Clock::now() - then).count();
}

Json general_registers(const kvm_regs &regs)
{
	Json json;

	for (const auto &[name, value] : {std::pair{"rax", regs.rax},
					  {"rbx", regs.rbx},
					  {"rcx", regs.rcx},
					  {"rdx", regs.rdx},
					  {"rsi", regs.rsi},
					  {"rdi", regs.rdi},
					  {"rsp", regs.rsp},
					  {"rbp", regs.rbp},
					  {"r8", regs.r8},
					  {"r9", regs.r9},
					  {"r10", regs.r10},
					  {"r11", regs.r11},
					  {"r12", regs.r12},
					  {"r13", regs.r13},
					  {"r14", regs.r14},
					  {"r15", regs.r15},
					  {"rip", regs.rip},
					  {"rflags", regs.rflags}})
		json[name] = fmt::format("{:#x}", value);
	return json;
}

/* There, what it is like there, and what it took. */
Result<Json> go_to(Player &player, std::uint64_t exit)
{
	const auto began = Clock::now();
	const auto start = player.start_for(exit);

	if (!start.here)
		CORBEL_EXPECT(player.restore(start.checkpoint));
	const auto restored = seconds_since(began);
	const auto ending = CORBEL_EXPECT(player.play(exit));
	const auto seconds = seconds_since(began);
	auto json = CORBEL_EXPECT(report_of(player.monitor(), player.journal(), player.machine(),
					    ending, player.backends(), seconds));

	json["position"] = exit;
	json["from"] = start.exit;
	json["restored"] = !start.here;
	json["replayed"] = player.journal().exits() - start.exit;
	json["restore_seconds"] = restored;
	json["general"] = general_registers(CORBEL_EXPECT(player.machine().state()).regs);
	return json;
}

void say(const Json &json)
{
	std::fputs((json.dump() + '\n').c_str(), stdout);
	std::fflush(stdout);
}

} /* namespace */

Result<void> make_checkpoints(const Options &options)
{
	EndWatch::block_signals();
	const auto source = CORBEL_EXPECT(Source::open(options));
	auto whose = source->checkpoints();
	const auto player = CORBEL_EXPECT(Player::create(
		*source, nullptr, {.verify = options.verify, .console = [](std::string_view) {}}));

	whose.every = options.every;
	auto writer = CORBEL_EXPECT(CheckpointWriter::create(checkpoints_path(options.recording),
							     whose, options.limit));
	const EndWatch watch([&] { player->stop(); });
	const auto began = Clock::now();
	Ending ending{};

	for (auto next = options.every;; next = player->journal().exits() + writer.every()) {
		ending = CORBEL_EXPECT(player->play(next));
		if (ending != Ending::position)
			break;
		CORBEL_EXPECT(writer.add(
			CORBEL_EXPECT(player->state()),
			[&](std::uint64_t page) { return player->page(page); },
			CORBEL_EXPECT(player->take_changed_pages())));
	}
	CORBEL_EXPECT(writer.finish());
	const Json report{{"checkpoints", writer.count()}, {"every", writer.every()},
			  {"bytes", writer.bytes()},	   {"exits", player->journal().exits()},
			  {"ending", name_of(ending)},	   {"seconds", seconds_since(began)}};

	std::fputs(fmt::format("corbel-vmm: {} checkpoints, one every {} exits, {} bytes, of {} "
			       "exits; {:.3f} s passed here\n",
			       writer.count(), writer.every(), writer.bytes(),
			       player->journal().exits(), seconds_since(began))
			   .c_str(),
		   stderr);
	return write_report(options, report);
}

Result<void> go_to_positions(const Options &options)
{
	const auto source = CORBEL_EXPECT(Source::open(options));
	const auto file = CORBEL_EXPECT(
		CheckpointFile::open(checkpoints_path(options.recording), source->checkpoints()));
	const auto player =
		CORBEL_EXPECT(Player::create(*source, &file, {.console = [](std::string_view) {}}));

	for (const auto position : options.positions)
		say(CORBEL_EXPECT(go_to(*player, position)));
	if (!options.positions.empty())
		return {};
	for (std::string line; std::getline(std::cin, line);) {
		if (const auto position = number_of<std::uint64_t>(line))
			say(CORBEL_EXPECT(go_to(*player, *position)));
		else
			say({{"error", fmt::format("'{}' is no number of an exit.", line)}});
	}
	return {};
}

Result<void> replay_part(const Options &options)
{
	const auto source = CORBEL_EXPECT(Source::open(options));
	const auto file = CORBEL_EXPECT(
		CheckpointFile::open(checkpoints_path(options.recording), source->checkpoints()));
	bool shows = false;
	const auto player = CORBEL_EXPECT(Player::create(
		*source, &file, {.verify = options.verify, .console = [&](std::string_view bytes) {
					 if (shows)
						 write_console(bytes);
				 }}));

	if (options.at && *options.at >= file.count())
		return failure(EINVAL, fmt::format("There is no checkpoint {}: there are {}, and "
						   "the first is 0.",
						   *options.at, file.count()));
	const auto from = options.at ? file.at(*options.at).position.exits : *options.from;

	if (from > options.to)
		return failure(EINVAL, fmt::format("A replay from exit {} cannot end at exit {}, "
						   "which is before it.",
						   from, options.to));
	const auto began = Clock::now();

	CORBEL_EXPECT(player->restore(file.nearest(from)));
	auto ending = CORBEL_EXPECT(player->play(from));

	shows = true;
	if (ending == Ending::position)
		ending = CORBEL_EXPECT(player->play(options.to));
	return tell(options,
		    CORBEL_EXPECT(report_of(player->monitor(), player->journal(), player->machine(),
					    ending, player->backends(), seconds_since(began))));
}

} /* namespace corbel::vmm */
