/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the volumes of a pool are to hold, now and after a crash. */
#pragma once

#include "block/sabotage.hh"

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

namespace corbel::unit {

struct VolumeModel {
	std::map<std::uint64_t, std::uint64_t> contents;
	std::uint64_t blocks = 0;
	bool read_only = false;

	bool operator==(const VolumeModel &) const = default;
};
using Model = std::map<std::uint64_t, VolumeModel>;

/* A write in place since a commit: it may be seen after a crash or not. */
struct InPlace {
	std::size_t event;
	std::uint64_t volume, lba, number;
};

/* What a commit made, or is about to make, durable. */
struct Promise {
	std::size_t event; /* how many there were by then */
	std::uint64_t generation;
	bool acknowledged;
	Model model;
};

#ifdef CORBEL_BLOCK_SABOTAGE
/* Breaks one thing while it lives. */
class Broken {
public:
	explicit Broken(block::Sabotage what) { block::sabotage = what; }
	~Broken() { block::sabotage = block::Sabotage::none; }
	Broken(const Broken &) = delete;
	Broken &operator=(const Broken &) = delete;
};
#endif

} // namespace corbel::unit
