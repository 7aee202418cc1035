/* SPDX-License-Identifier: GPL-2.0 */
/* tally.hh - how often each of many numbers was met, in memory for those that were. */
#pragma once

#include "../rt/memory.hh"
#include "types.hh"

namespace corbel::block {

class Tally {
public:
	Tally() = default;
	Tally(const Tally &) = delete;
	Tally &operator=(const Tally &) = delete;
	~Tally()
	{
		for (Piece *piece : pieces_)
			while (piece) {
				Piece *next = piece->next;

				corbel_free(piece);
				piece = next;
			}
	}

	/* Task; no_memory. */
	Result<void> add(u64 number)
	{
		Piece **bucket = bucket_of(number);
		Piece *piece = find(number);

		if (!piece) {
			piece = static_cast<Piece *>(corbel_alloc(sizeof(Piece), true));
			if (!piece)
				return Error::no_memory;
			piece->first = number - number % per_piece;
			piece->next = *bucket;
			*bucket = piece;
		}
		piece->counts[number % per_piece]++;
		return {};
	}

	[[nodiscard]] u32 count(u64 number)
	{
		const Piece *piece = find(number);

		return piece ? piece->counts[number % per_piece] : 0;
	}

	/* @visit(number, count), a Result, in no order. */
	template <typename Visit>
	Result<void> for_each(Visit &&visit)
	{
		for (const Piece *piece : pieces_)
			for (; piece; piece = piece->next)
				for (u64 i = 0; i < per_piece; i++)
					if (piece->counts[i])
						CORBEL_TRY(
							visit(piece->first + i, piece->counts[i]));
		return {};
	}

private:
	static constexpr u64 per_piece = 1020;
	static constexpr u64 buckets = 500;

	struct Piece {
		Piece *next;
		u64 first;
		u32 counts[per_piece];
	};

	Piece **bucket_of(u64 number) { return &pieces_[number / per_piece % buckets]; }
	Piece *find(u64 number)
	{
		Piece *piece = *bucket_of(number);

		while (piece && piece->first != number - number % per_piece)
			piece = piece->next;
		return piece;
	}

	Piece *pieces_[buckets]{};
};

} /* namespace corbel::block */
