/* SPDX-License-Identifier: GPL-2.0 */
/*
 * text.hh - a view of characters with a length, not owned, no NUL at the end.
 *
 * std::string_view minus what a kernel object must not refer to: its substr can
 * throw, and its searches and run-time constructors call memchr and strlen.
 */
#pragma once

#include <cstddef>

namespace corbel::rt {

class Text {
public:
	constexpr Text() = default;
	constexpr Text(const char *data, std::size_t size) : data_(data), size_(size) {}

	/* A literal. Its length is known at compile time or this does not compile. */
	template <std::size_t N>
	consteval Text(const char (&literal)[N]) : data_(literal), size_(N - 1)
	{}

	[[nodiscard]] constexpr const char *data() const { return data_; }
	[[nodiscard]] constexpr std::size_t size() const { return size_; }
	[[nodiscard]] constexpr bool empty() const { return size_ == 0; }
	[[nodiscard]] constexpr const char *begin() const { return data_; }
	[[nodiscard]] constexpr const char *end() const { return data_ + size_; }

	/* The first @count characters, all after them; @count past the end is the end. */
	[[nodiscard]] constexpr Text first(std::size_t count) const
	{
		return {data_, count < size_ ? count : size_};
	}
	[[nodiscard]] constexpr Text after(std::size_t count) const
	{
		return count < size_ ? Text(data_ + count, size_ - count) : Text();
	}

	/* Where @c first stands; size() if nowhere. */
	[[nodiscard]] constexpr std::size_t find(char c) const
	{
		std::size_t at = 0;

		while (at < size_ && data_[at] != c)
			at++;
		return at;
	}

	[[nodiscard]] constexpr bool starts_with(Text other) const
	{
		return first(other.size_) == other;
	}

	friend constexpr bool operator==(Text a, Text b)
	{
		if (a.size_ != b.size_)
			return false;
		for (std::size_t i = 0; i < a.size_; i++)
			if (a.data_[i] != b.data_[i])
				return false;
		return true;
	}

private:
	const char *data_ = nullptr;
	std::size_t size_ = 0;
};

} /* namespace corbel::rt */
