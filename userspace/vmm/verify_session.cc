// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * verify_session.cc - a recording is verified by many at once: what is between two checkpoints is
 * a segment, which begins with the one and has to end with the other.
 *
 * What is told is what a replay from the beginning would tell. So who ends otherwise than at the
 * next checkpoint goes on until the replay differs, and of those that differ the first segment
 * counts. That the checkpoints are those of another replay is found when none differs.
 */
#include "player.hh"

#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>

namespace corbel::vmm {

namespace {

/* What became of a segment. */
struct Outcome {
	std::string console;
	std::optional<Error> error;
	Json report; /* of the one that ends it all */
};

class Verification {
public:
	Verification(const Options &options, const Source &source, const CheckpointFile &file)
		: options_(options), source_(source), file_(file)
	{
		const auto before = file.nearest(options.to);

		last_ = before ? *before + 1 : 0;
		end_ = last_ + 1;
	}

	/* On each of the threads. */
	void work();
	/* When they are done. */
	[[nodiscard]] Result<Json> outcome();
	[[nodiscard]] std::size_t segments() const { return last_ + 1; }

private:
	std::optional<std::size_t> next();
	void take(std::size_t segment, Outcome outcome);
	Result<void> play(Player &player, std::size_t segment, Outcome &outcome);
	static Result<void> report(Player &player, Ending ending, Outcome &outcome);

	const Options &options_;
	const Source &source_;
	const CheckpointFile &file_;
	std::size_t last_;
	std::mutex mutex_;
	std::size_t next_ = 0, end_; /* what is from there on does not count any more */
	std::size_t shown_ = 0;
	std::map<std::size_t, Outcome> outcomes_;
};

std::optional<std::size_t> Verification::next()
{
	const std::lock_guard lock(mutex_);

	if (next_ >= end_)
		return std::nullopt;
	return next_++;
}

/* The console of what is complete up to here is shown. */
void Verification::take(std::size_t segment, Outcome outcome)
{
	const std::lock_guard lock(mutex_);

	if (outcome.error || !outcome.report.is_null())
		end_ = std::min(end_, segment + 1);
	outcomes_[segment] = std::move(outcome);
	for (; shown_ < end_ && outcomes_.contains(shown_); shown_++)
		write_console(outcomes_[shown_].console);
}

Result<void> Verification::report(Player &player, Ending ending, Outcome &outcome)
{
	outcome.report = CORBEL_EXPECT(report_of(player.monitor(), player.journal(),
						 player.machine(), ending, player.backends(), 0));
	return {};
}

Result<void> Verification::play(Player &player, std::size_t segment, Outcome &outcome)
{
	const auto start = segment == 0 ? std::nullopt : std::optional(segment - 1);
	const auto begins = start ? file_.at(*start).position.exits : 0;

	/* Who did the segment before is there. */
	if (const auto from = player.start_for(begins); !from.here || from.exit != begins)
		CORBEL_EXPECT(player.restore(start));
	if (segment == last_)
		return report(player, CORBEL_EXPECT(player.play(options_.to)), outcome);
	const auto ending = CORBEL_EXPECT(player.play(file_.at(segment).position.exits));
	const auto difference = ending == Ending::position
					? CORBEL_EXPECT(player.difference_at(segment))
					: std::string(name_of(ending));

	if (difference.empty())
		return {};
	if (ending == Ending::position)
		(void)CORBEL_EXPECT(player.play(options_.to));
	return failure(EBADMSG,
		       fmt::format("The replay comes to another state than checkpoint {}, at exit "
				   "{}, and is that of the recording: what differs is {}. "
				   "`corbel-vmm checkpoints` makes them anew.",
				   segment, file_.at(segment).position.exits, difference));
}

void Verification::work()
{
	std::string console;
	const auto player = Player::create(
		source_, &file_,
		{.verify = true, .console = [&](std::string_view bytes) { console += bytes; }});

	while (const auto segment = next()) {
		Outcome outcome;
		const auto done = player ? play(**player, *segment, outcome)
					 : std::unexpected(player.error());

		if (!done)
			outcome.error = done.error();
		outcome.console = std::move(console);
		console.clear();
		take(*segment, std::move(outcome));
	}
}

Result<Json> Verification::outcome()
{
	auto &last = outcomes_.at(end_ - 1);

	if (last.error)
		return std::unexpected(std::move(*last.error));
	return std::move(last.report);
}

} /* namespace */

Result<void> verify_beside(const Options &options)
{
	const auto source = CORBEL_EXPECT(Source::open(options));
	const auto file = CORBEL_EXPECT(
		CheckpointFile::open(checkpoints_path(options.recording), source->checkpoints()));
	Verification verification(options, *source, file);
	const auto began = std::chrono::steady_clock::now();

	{
		std::vector<std::jthread> threads;

		for (std::uint32_t i = 0; i < options.jobs && i < verification.segments(); i++)
			threads.emplace_back([&] { verification.work(); });
	}
	auto report = CORBEL_EXPECT(verification.outcome());

	report["seconds"] =
		std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
	return tell(options, report);
}

} /* namespace corbel::vmm */
