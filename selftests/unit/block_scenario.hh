/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sequence of operations on a pool, and what crashes in the middle of it leave. */
#pragma once

#include "block_bench.hh"

#include <algorithm>
#include <string>
#include <unordered_set>

namespace corbel::unit {

enum Step { write_new, overwrite, relocate, snapshot, remove_volume, discard, flush, steps };

inline constexpr std::uint64_t base_blocks = 24;

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

	/*
	 * The host crashes alone, behind the writing of a superblock; the pool is opened and
	 * goes on, and then the power fails, which takes back what no flush has sealed.
	 */
	std::string crash_twice(RandomStream &random, std::uint64_t &states)
	{
		Contents flushed = start_, seen = start_;

		for (std::size_t at = 0; at < bench_.disk.events.size(); at++) {
			const Event &event = bench_.disk.events[at];

			Disk::apply_to(seen, event);
			if (event.kind != Event::Kind::meta_write || event.at > 1) {
				/* Before a superblock all was flushed, and nothing is written behind. */
				flushed = seen;
				continue;
			}
			Bench second(shape, seen, true);
			for (const Promise &promise : bench_.promises)
				if (promise.event <= at)
					second.model = promise.model;
			for (unsigned i = 0; i < 3; i++) {
				second.write(volume_, 12 + i);
				second.relocate(i);
				second.flush();
			}
			std::vector<const Event *> pending = {&event};
			Contents base = flushed;
			for (const Event &next : second.disk.events) {
				if (next.kind == Event::Kind::meta_flush) {
					for (const Event *one : pending)
						Disk::apply_to(base, *one);
					pending.clear();
					continue;
				}
				pending.push_back(&next);
				for (const auto lost : losses(pending.size(), random)) {
					Contents image = base;

					for (std::size_t i = 0; i < pending.size(); i++)
						if (!(lost >> i & 1))
							Disk::apply_to(image, *pending[i]);
					Bench third(shape, std::move(image));
					if (third.trouble.empty())
						third.check_metadata();
					if (!third.trouble.empty())
						return third.trouble;
					states++;
				}
			}
			if (!second.trouble.empty())
				return second.trouble;
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

} // namespace corbel::unit
