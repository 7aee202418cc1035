/* SPDX-License-Identifier: GPL-2.0 */
/* reply.hh - text for those who ask: words and numbers, in a buffer of a given size. */
#pragma once

#include "../rt/text.hh"
#include "types.hh"

namespace corbel::block {

class Reply {
public:
	/* @size: with the NUL that ends it, at least 1. */
	Reply(char *text, u32 size) : text_(text), room_(size - 1) { *text_ = 0; }

	/* What does not fit is left out, and is_full(). */
	Reply &operator<<(rt::Text text)
	{
		for (char c : text)
			add(c);
		return *this;
	}
	Reply &operator<<(u64 number)
	{
		char digits[20];
		u32 count = 0;

		do
			digits[count++] = static_cast<char>('0' + number % 10);
		while (number /= 10);
		while (count)
			add(digits[--count]);
		return *this;
	}

	[[nodiscard]] bool is_full() const { return is_full_; }
	[[nodiscard]] u32 room() const { return room_; }
	[[nodiscard]] u32 size() const { return size_; }
	/* @number before what stands from @at on; there is room for it. */
	void insert(u32 at, u64 number)
	{
		const u32 end = size_;

		*this << number;
		/* Two neighbours change places if each is turned round, and then both as one. */
		reverse(at, end);
		reverse(end, size_);
		reverse(at, size_);
	}
	/* To what it was when size() was @size. */
	void cut(u32 size)
	{
		room_ += size_ - size;
		size_ = size;
		is_full_ = false;
		text_[size] = 0;
	}

private:
	void add(char c)
	{
		if (!room_) {
			is_full_ = true;
			return;
		}
		text_[size_++] = c;
		text_[size_] = 0;
		room_--;
	}
	void reverse(u32 from, u32 to)
	{
		for (; from + 1 < to; from++) {
			const char first = text_[from];

			text_[from] = text_[--to];
			text_[to] = first;
		}
	}

	char *text_;
	u32 room_, size_ = 0;
	bool is_full_ = false;
};

} /* namespace corbel::block */
