// SPDX-License-Identifier: GPL-2.0-or-later
#include "rebuild.hh"

#include "../../kmod/block/pool.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>

namespace corbel::pool {

namespace {

using block::Kind;
using block::Meta;
using block::MiddleV1;
using block::Pba;
using block::Tree;

constexpr std::uint32_t cache_nodes = 4096;
constexpr std::uint64_t all_keys = ~std::uint64_t{0};

template <typename T>
T value_as(const std::uint64_t *words)
{
	T value;

	std::memcpy(&value, words, sizeof(value));
	return value;
}

class Rebuilder {
public:
	Rebuilder(block::BlockDevice &device, Census &census, const std::string &path,
		  std::vector<std::string> &done)
		: pool_(std::make_unique<block::Pool>(device)),
		  store_(pool_->store()),
		  census_(census),
		  path_(path),
		  done_(done)
	{}

	[[nodiscard]] Result<void> run(std::uint64_t meta_blocks,
				       const std::vector<std::uint32_t> &counts);

private:
	/* A tree of the pool whose root is in the superblock. */
	class Map {
	public:
		Map(block::Store &store, Kind kind)
			: store_(store), tree_(store, kind), kind_(static_cast<unsigned>(kind))
		{}

		[[nodiscard]] Meta root() const { return {store_.super().roots[kind_]}; }
		template <typename Call>
		auto change(Call &&call)
		{
			Meta root = this->root();
			auto result = call(tree_, root);

			store_.change_super().roots[kind_] = root.value;
			return result;
		}
		template <typename T>
		block::Result<bool> find(std::uint64_t key, T &value)
		{
			std::uint64_t words[sizeof(T) / 8];
			const auto found = CORBEL_TRY(tree_.find(root(), key, words)).found;

			if (found)
				value = value_as<T>(words);
			return found;
		}
		template <typename Visit>
		block::Result<void> walk(Visit &&visit)
		{
			return tree_.walk(root(), 0, all_keys,
					  [&](std::uint64_t key,
					      const std::uint64_t *value) -> block::Result<bool> {
						  visit(key, value);
						  return true;
					  });
		}

	private:
		block::Store &store_;
		Tree tree_;
		unsigned kind_;
	};

	[[nodiscard]] Result<void> mend_middle();
	[[nodiscard]] Result<void> mend_reverse();
	[[nodiscard]] Result<void> mend_volumes();
	[[nodiscard]] Result<void> drop_leaks(const std::vector<std::uint32_t> &counts);
	[[nodiscard]] Result<void> recount();
	[[nodiscard]] std::unexpected<Error> cannot(std::string_view why) const
	{
		return failure(
			EUCLEAN,
			fmt::format("{} was not changed, as it cannot be repaired safely. {}",
				    path_, why));
	}
	template <typename T>
	Result<T> done(block::Result<T> result)
	{
		if (!result.ok() && result.error() == block::Error::no_space)
			return failure(ENOSPC,
				       fmt::format("{} was not changed: it has too few free blocks "
						   "for what would have to be written beside what "
						   "is there. Copy it to a larger device and "
						   "repair that one.",
						   path_));
		return told(std::move(result), path_);
	}

	std::unique_ptr<block::Pool> pool_;
	block::Store &store_;
	Census &census_;
	const std::string &path_;
	std::vector<std::string> &done_;
	Map volumes_{store_, Kind::volumes}, middle_{store_, Kind::middle},
		reverse_{store_, Kind::reverse};
};

/* Its counts are those of the entries that name contents; what none names is given back. */
Result<void> Rebuilder::mend_middle()
{
	std::vector<std::pair<std::uint64_t, MiddleV1>> wrong;
	std::uint64_t named = 0, gone = 0;

	CORBEL_EXPECT(done(middle_.walk([&](std::uint64_t mba, const std::uint64_t *value) {
		auto entry = value_as<MiddleV1>(value);
		const auto count = census_.named().count(mba);

		named += count > 0;
		if (count == entry.count)
			return;
		entry.count = count;
		/* Nobody may write in place what an earlier state might share. */
		entry.lowered = static_cast<std::uint32_t>(store_.generation().value);
		wrong.emplace_back(mba, entry);
	})));
	std::uint64_t all = 0;
	CORBEL_EXPECT(done(
		census_.named().for_each([&](std::uint64_t, std::uint32_t) -> block::Result<void> {
			all++;
			return {};
		})));
	if (all != named)
		return cannot(
			fmt::format("Volumes name {} contents of which the middle map does not "
				    "say where they lie, and nothing else does.",
				    all - named));
	/* The analyzer does not follow what the walk has put into these. NOLINTBEGIN(clang-analyzer-*) */
	for (const auto &[mba, entry] : wrong) {
		std::uint64_t words[2];

		std::memcpy(words, &entry, sizeof(words));
		if (entry.count)
			CORBEL_EXPECT(done(middle_.change([&](Tree &tree, Meta &root) {
				return tree.update(root, mba, words);
			})));
		else
			(void)CORBEL_EXPECT(done(middle_.change(
				[&](Tree &tree, Meta &root) { return tree.remove(root, mba); })));
		gone += entry.count == 0;
	}
	/* NOLINTEND(clang-analyzer-*) */
	if (wrong.size() > gone)
		done_.push_back(fmt::format("{} counts of contents follow the volumes' maps again.",
					    wrong.size() - gone));
	if (gone)
		done_.push_back(
			fmt::format("{} contents that no volume has are given back.", gone));
	return {};
}

/* It is the middle map turned round. */
Result<void> Rebuilder::mend_reverse()
{
	std::vector<std::uint64_t> wrong;
	std::vector<std::pair<std::uint64_t, std::uint64_t>> missing;
	block::Result<void> broken;
	std::uint64_t twice = 0;

	const auto try_to = [&](auto &&call) {
		if (broken.ok())
			broken = call();
	};
	CORBEL_EXPECT(done(reverse_.walk([&](std::uint64_t pba, const std::uint64_t *mba) {
		try_to([&]() -> block::Result<void> {
			MiddleV1 entry;

			if (!CORBEL_TRY(middle_.find(*mba, entry)) || entry.pba != pba)
				wrong.push_back(pba);
			return {};
		});
	})));
	CORBEL_EXPECT(done(middle_.walk([&](std::uint64_t mba, const std::uint64_t *value) {
		const auto pba = value_as<MiddleV1>(value).pba;

		try_to([&]() -> block::Result<void> {
			std::uint64_t other = 0;

			if (!CORBEL_TRY(reverse_.find(pba, other)) ||
			    std::ranges::binary_search(wrong, pba))
				missing.emplace_back(pba, mba);
			else if (other != mba)
				twice++;
			return {};
		});
	})));
	CORBEL_EXPECT(done(broken));
	for (const auto pba : wrong)
		(void)CORBEL_EXPECT(done(reverse_.change(
			[&](Tree &tree, Meta &root) { return tree.remove(root, pba); })));
	/* As above. NOLINTBEGIN(clang-analyzer-*) */
	for (const auto &[pba, mba] : missing)
		twice += !CORBEL_EXPECT(done(reverse_.change(
			[&](Tree &tree, Meta &root) { return tree.insert(root, pba, &mba); })));
	/* NOLINTEND(clang-analyzer-*) */
	if (twice)
		return cannot(fmt::format("{} places are given to two contents each, and nothing "
					  "says which of them lies there.",
					  twice));
	if (census_.is_reverse_damaged())
		done_.push_back(fmt::format("The reverse map is made anew, with {} entries.",
					    missing.size()));
	else if (!wrong.empty() || !missing.empty())
		done_.push_back(
			fmt::format("{} entries of the reverse map are taken out, {} put in, "
				    "as the middle map has it.",
				    wrong.size(), missing.size()));
	return {};
}

Result<void> Rebuilder::mend_volumes()
{
	std::uint64_t wrong = 0;

	for (const auto &[id, mapped, volume] : census_.volumes()) {
		auto right = volume;
		std::uint64_t words[sizeof(right) / 8];

		if (volume.flags & block::volume_deleting || volume.mapped == mapped)
			continue;
		right.mapped = mapped;
		std::memcpy(words, &right, sizeof(words));
		CORBEL_EXPECT(done(volumes_.change([&, id = id](Tree &tree, Meta &root) {
			return tree.update(root, id, words);
		})));
		wrong++;
	}
	if (wrong)
		done_.push_back(
			fmt::format("The mapped blocks of {} volumes are counted anew.", wrong));
	return {};
}

/* Nodes that nothing refers to any more; from the next commit on their blocks are free. */
Result<void> Rebuilder::drop_leaks(const std::vector<std::uint32_t> &counts)
{
	const auto first = store_.space().first().value;
	std::uint64_t leaks = 0, wrong = 0;

	for (std::size_t at = 0; at < counts.size(); at++) {
		const auto references = census_.references()[at];

		if (counts[at] && !references) {
			(void)CORBEL_EXPECT(done(store_.drop({first + at}, Kind::logical)));
			/* It was not counted as one. */
			store_.change_super().nodes[static_cast<unsigned>(Kind::logical)]++;
			leaks++;
		} else if (counts[at] != references) {
			wrong++;
		}
	}
	if (wrong)
		done_.push_back(fmt::format("{} counts of nodes follow the trees again.", wrong));
	leaks -= std::min<std::uint64_t>(leaks, census_.abandoned().size());
	if (leaks)
		done_.push_back(fmt::format("{} blocks of nodes that nothing refers to are given "
					    "back.",
					    leaks));
	return {};
}

Result<void> Rebuilder::recount()
{
	auto &super = store_.change_super();

	super.mapped = 0;
	for (auto &device : super.devices)
		device.used = 0;
	return done(middle_.walk([&](std::uint64_t, const std::uint64_t *value) {
		super.mapped++;
		super.devices[Pba::unpack(value_as<MiddleV1>(value).pba).device].used++;
	}));
}

Result<void> Rebuilder::run(std::uint64_t meta_blocks, const std::vector<std::uint32_t> &counts)
{
	CORBEL_EXPECT(
		told(pool_->open(meta_blocks, cache_nodes, block::Access::read_write), path_));
	store_.rewrite_counts();
	/* Before anything takes blocks: what the state before might have is not given out. */
	CORBEL_EXPECT(drop_leaks(counts));
	CORBEL_EXPECT(mend_middle());
	CORBEL_EXPECT(mend_reverse());
	CORBEL_EXPECT(mend_volumes());
	CORBEL_EXPECT(recount());
	return told(pool_->commit(), path_);
}

} /* namespace */

Result<void> rebuild(block::BlockDevice &device, std::uint64_t meta_blocks, Census &census,
		     const std::vector<std::uint32_t> &counts, const std::string &path,
		     std::vector<std::string> &done)
{
	return Rebuilder(device, census, path, done).run(meta_blocks, counts);
}

} /* namespace corbel::pool */
