/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bytes.hh - little-endian numbers and short texts in a message.
 *
 * Whoever wrote the bytes is not trusted: a reader that has met an end too early, or a
 * text or set that is too long, gives zeros from then on and is not good() any more, so
 * that a message can be read straight through and judged once.
 */
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace corbel::agent {

class Writer {
public:
	template <std::unsigned_integral T>
	void number(T value)
	{
		for (std::size_t i = 0; i < sizeof(T); i++)
			bytes_ += static_cast<char>(static_cast<std::uint64_t>(value) >> 8 * i);
	}

	/* Cut to @limit. */
	void text(std::string_view text, std::size_t limit)
	{
		text = text.substr(0, limit);
		number(static_cast<std::uint16_t>(text.size()));
		bytes_ += text;
	}

	void raw(std::string_view bytes) { bytes_ += bytes; }

	[[nodiscard]] std::size_t size() const { return bytes_.size(); }
	[[nodiscard]] std::string take() { return std::move(bytes_); }

private:
	std::string bytes_;
};

class Reader {
public:
	explicit Reader(std::string_view bytes) : rest_(bytes) {}

	template <std::unsigned_integral T>
	[[nodiscard]] T number()
	{
		std::uint64_t value = 0;
		const auto bytes = take(sizeof(T));

		for (std::size_t i = bytes.size(); i-- > 0;)
			value = value << 8 | static_cast<unsigned char>(bytes[i]);
		return static_cast<T>(value);
	}

	[[nodiscard]] std::string text(std::size_t limit)
	{
		const auto size = number<std::uint16_t>();

		if (size > limit)
			refuse();
		return std::string(take(good_ ? size : 0));
	}

	/* A count of what follows, of which there may be @limit. */
	[[nodiscard]] std::size_t count(std::size_t limit)
	{
		const auto count = number<std::uint16_t>();

		if (count > limit)
			refuse();
		return good_ ? count : 0;
	}

	void refuse()
	{
		good_ = false;
		rest_ = {};
	}

	[[nodiscard]] bool good() const { return good_; }
	/* It was good, and that was all of it. */
	[[nodiscard]] bool ended() const { return good_ && rest_.empty(); }

private:
	std::string_view take(std::size_t size)
	{
		if (size > rest_.size()) {
			refuse();
			return {};
		}
		const auto taken = rest_.substr(0, size);

		rest_.remove_prefix(size);
		return taken;
	}

	std::string_view rest_;
	bool good_ = true;
};

} /* namespace corbel::agent */
