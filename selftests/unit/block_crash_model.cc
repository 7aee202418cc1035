// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The block store after a crash: every sequence of up to three operations, cut off behind each
 * write and flush that it made, with what was not flushed lost in all or in many ways.
 *
 * What then opens must be the state that was acknowledged last or a later one, whole, and with
 * the contents that were written to it.
 */
#include "block_bench.hh"

#include <gtest/gtest.h>

#include <unordered_set>

namespace {

using namespace corbel::unit;

enum Step { write_new, overwrite, relocate, snapshot, remove_volume, discard, flush, steps };

constexpr std::uint64_t base_blocks = 24;

class Scenario {
public:
	explicit Scenario(const std::vector<unsigned> &sequence, bool skip_data_flush = false)
		: bench_(shape)
	{
		bench_.skip_data_flush = skip_data_flush;
		/* A volume and a snapshot that have all in common but one block. */
		volume_ = bench_.create(base_blocks);
		for (std::uint64_t lba = 0; lba < 6; lba++)
			bench_.write(volume_, lba);
		snapshot_ = bench_.snapshot(volume_, false);
		bench_.write(volume_, 2);
		/* The next places to be given out are the last one, then the first ones. */
		for (std::uint64_t lba = 20; lba < 24; lba++)
			bench_.write(volume_, lba);
		bench_.discard(volume_, 20, 4);
		bench_.flush();
		bench_.drain();
		start_ = bench_.disk.contents;
		bench_.disk.recording = true;
		bench_.in_place.clear();
		bench_.promise(true);
		for (const auto step : sequence)
			run(step);
		bench_.flush();
		/* What a reopened pool may give out at once. */
		bench_.drain();
		bench_.write(volume_, 9);
		bench_.flush();
		bench_.verify();
	}

	inline static const BenchShape shape{128, {12}, 32};

	std::string trouble() const { return bench_.trouble; }

	/* All crashes; the first that was not survived. */
	std::string crash(RandomStream &random, std::uint64_t &states)
	{
		Contents flushed = start_;
		std::vector<const Event *> pending;
		std::unordered_set<std::string> seen;

		for (std::size_t at = 0; bench_.trouble.empty(); at++) {
			for (const auto lost : losses(pending.size(), random)) {
				Contents image = flushed;

				for (std::size_t i = 0; i < pending.size(); i++)
					if (!(lost >> i & 1))
						Disk::apply_to(image, *pending[i]);
				if (!seen.insert(name_of_image(image, at)).second)
					continue;
				states++;
				if (const auto trouble = reopen(std::move(image), at);
				    !trouble.empty())
					return "after " + std::to_string(at) + " of " +
					       std::to_string(bench_.disk.events.size()) + ": " +
					       trouble;
			}
			if (!pending.empty() && pending.back()->meta) {
				states++;
				if (const auto trouble = reopen(torn(flushed, pending), at);
				    !trouble.empty())
					return "torn, after " + std::to_string(at) + ": " + trouble;
			}
			if (at == bench_.disk.events.size())
				break;
			const Event &event = bench_.disk.events[at];
			const bool meta = event.kind == Event::Kind::meta_flush;
			if (meta || event.kind == Event::Kind::data_flush) {
				std::erase_if(pending, [&](const Event *one) {
					if ((one->kind == Event::Kind::meta_write) != meta)
						return false;
					Disk::apply_to(flushed, *one);
					return true;
				});
			} else {
				pending.push_back(&event);
			}
		}
		return bench_.trouble;
	}

private:
	void run(unsigned step)
	{
		switch (step) {
		case write_new:
			bench_.write(volume_, next_++);
			break;
		case overwrite:
			bench_.write(volume_, 1 + (overwritten_++ & 1));
			break;
		case relocate:
			bench_.relocate(moved_++);
			break;
		case snapshot:
			bench_.snapshot(volume_, moved_ & 1);
			break;
		case remove_volume:
			/* First the one that shares most, then what a sequence has made. */
			for (const auto id : {snapshot_.value, bench_.model.rbegin()->first})
				if (id != volume_.value && bench_.model.contains(id)) {
					bench_.remove({id});
					bench_.finish_deleting();
					break;
				}
			break;
		case discard:
			bench_.discard(volume_, 1 + discarded_++, 2);
			break;
		case flush:
			bench_.flush();
			bench_.drain();
			break;
		default:
			break;
		}
	}

	/* All of the ways to lose some of @pending if they are few, else telling ones. */
	static std::vector<std::uint64_t> losses(std::size_t pending, RandomStream &random)
	{
		const std::uint64_t all =
			(std::uint64_t{1} << std::min<std::size_t>(pending, 63)) - 1;
		std::vector<std::uint64_t> chosen;

		if (pending <= 4) {
			for (std::uint64_t lost = 0; lost <= all; lost++)
				chosen.push_back(lost);
			return chosen;
		}
		chosen = {0, all};
		for (std::size_t i = 0; i < pending; i++)
			chosen.push_back(std::uint64_t{1} << i);
		for (unsigned i = 0; i < 16; i++)
			chosen.push_back(random.word() & all);
		return chosen;
	}

	/* Of what was written last only the first sector. */
	static Contents torn(Contents image, const std::vector<const Event *> &pending)
	{
		for (std::size_t i = 0; i + 1 < pending.size(); i++)
			Disk::apply_to(image, *pending[i]);
		auto block = std::make_shared<MetaBlock>(*image.meta[pending.back()->at]);
		std::copy_n(pending.back()->meta->begin(), 512, block->begin());
		image.meta[pending.back()->at] = std::move(block);
		return image;
	}

	/* Equal names: the same is on the devices, and the same is due. */
	std::string name_of_image(const Contents &image, std::size_t at) const
	{
		std::string name(1, static_cast<char>(last_promise(at)));

		for (const auto &block : image.meta) {
			const auto pointer = block.get();

			name.append(reinterpret_cast<const char *>(&pointer), sizeof(pointer));
		}
		for (const auto &[place, number] : image.data)
			name += std::to_string(place) + "=" + std::to_string(number) + ",";
		return name;
	}

	std::size_t last_promise(std::size_t at) const
	{
		std::size_t last = 0;

		for (std::size_t i = 0; i < bench_.promises.size(); i++)
			if (bench_.promises[i].event <= at && bench_.promises[i].acknowledged)
				last = i;
		return last;
	}

	std::string reopen(Contents image, std::size_t at) const
	{
		Bench after(shape, std::move(image));

		if (!after.trouble.empty())
			return after.trouble;
		const auto generation = after.pool->super().header.generation;
		const Promise *expected = nullptr;
		for (const Promise &promise : bench_.promises)
			if (promise.event <= at && promise.generation == generation)
				expected = &promise;
		if (!expected || generation < bench_.promises[last_promise(at)].generation)
			return "what was acknowledged is lost";
		after.check_metadata();
		after.compare(expected->model,
			      [&](std::uint64_t volume, std::uint64_t lba, std::uint64_t number) {
				      for (const InPlace &one : bench_.in_place)
					      if (one.volume == volume && one.lba == lba &&
						  one.number == number && one.event <= at &&
						  one.event > expected->event)
						      return true;
				      return false;
			      });
		if (!after.trouble.empty())
			return after.trouble;
		/* And it goes on from there. */
		after.model = expected->model;
		if (at % 8 == 0 && after.model.contains(volume_.value)) {
			after.write(volume_, 20);
			after.relocate(2);
			after.finish_deleting();
			after.flush();
			after.check_metadata();
		}
		return after.trouble;
	}

	Bench bench_;
	VolumeId volume_, snapshot_;
	Contents start_;
	std::uint64_t next_ = 10, overwritten_ = 0, moved_ = 0, discarded_ = 0;
};

/* @visit(sequence): all of up to @length steps, until it says false. */
template <typename Visit>
void for_each_sequence(unsigned length, Visit &&visit)
{
	for (unsigned size = 1; size <= length; size++) {
		std::vector<unsigned> sequence(size);

		for (bool more = true; more;) {
			if (!visit(sequence))
				return;
			more = false;
			for (auto &step : sequence) {
				if (++step < steps) {
					more = true;
					break;
				}
				step = 0;
			}
		}
	}
}

std::string crash_all(unsigned length, std::uint64_t &states, bool skip_data_flush = false)
{
	RandomStream random(0);
	std::string trouble;

	for_each_sequence(length, [&](const std::vector<unsigned> &sequence) {
		Scenario scenario(sequence, skip_data_flush);

		trouble = scenario.trouble();
		if (trouble.empty())
			trouble = scenario.crash(random, states);
		if (!trouble.empty())
			for (const auto step : sequence)
				trouble += " [" + std::to_string(step) + "]";
		return trouble.empty();
	});
	return trouble;
}

TEST(block_crash_model, every_sequence_and_every_crash)
{
	std::uint64_t states = 0;

	EXPECT_EQ(crash_all(3, states), "");
	std::printf("# %llu states after a crash\n", static_cast<unsigned long long>(states));
	EXPECT_GT(states, 10000u);
}

TEST(block_crash_model, long_sequences)
{
	std::uint64_t states = 0;
	RandomStream random(150, 1);

	while (random.more()) {
		std::vector<unsigned> sequence(12);
		for (auto &step : sequence)
			step = static_cast<unsigned>(random.below(steps));
		Scenario scenario(sequence);
		ASSERT_EQ(scenario.trouble(), "");
		ASSERT_EQ(scenario.crash(random, states), "");
	}
	std::printf("# %llu states after a crash\n", static_cast<unsigned long long>(states));
}

TEST(block_crash_model, notices_what_is_broken)
{
	for (const auto what :
	     {Sabotage::no_flush_before_superblock, Sabotage::no_flush_after_superblock,
	      Sabotage::superblock_in_one_place, Sabotage::counts_in_one_place,
	      Sabotage::nodes_in_place, Sabotage::data_reused_before_commit,
	      Sabotage::copy_without_raise, Sabotage::middle_count_off,
	      Sabotage::reverse_left_behind, Sabotage::shared_written_in_place,
	      Sabotage::unshared_written_in_place}) {
		const Broken broken(what);
		std::uint64_t states = 0;

		EXPECT_NE(crash_all(3, states), "") << static_cast<int>(what);
	}
	std::uint64_t states = 0;
	EXPECT_NE(crash_all(3, states, true), "") << "data is not flushed before a commit";
}

} // namespace
