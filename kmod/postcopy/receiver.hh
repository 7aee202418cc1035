/* SPDX-License-Identifier: GPL-2.0 */
/*
 * receiver.hh - frames out of a stream that comes in pieces.
 *
 * It says where the next bytes are to be put, so that a page's contents go from the socket
 * to the page itself, and is told how many have come. Whoever feeds it may sleep between any
 * two bytes, or be a softirq.
 *
 * Handler:
 *	Result<void *> begin(const wire::Head &)   where to put head.length bytes
 *	Result<void> end(const wire::Head &)       they are there
 *	static std::uint32_t hash(const void *, std::size_t)
 */
#pragma once

#include "../rt/result.hh"
#include "wire.hh"

namespace corbel::postcopy {

template <typename Handler>
class Receiver {
public:
	Receiver(Handler &handler, wire::Role from, wire::Stream stream, std::uint64_t pages)
		: handler_(handler), pages_(pages), from_(from), stream_(stream)
	{}

	struct Place {
		void *at;
		std::uint32_t bytes; /* never 0 */
	};
	[[nodiscard]] Place want()
	{
		if (in_head_)
			return {bytes_of(&head_) + filled_,
				static_cast<std::uint32_t>(sizeof(head_) - filled_)};
		return {bytes_of(payload_) + filled_, head_.length - filled_};
	}

	/* At most as many as were wanted. An error is for good. */
	[[nodiscard]] rt::Result<void> got(std::uint32_t bytes)
	{
		filled_ += bytes;
		if (in_head_) {
			if (filled_ < sizeof(head_))
				return {};
			CORBEL_TRY(begin());
			filled_ = 0;
			if (head_.length) {
				in_head_ = false;
				return {};
			}
		} else if (filled_ < head_.length) {
			return {};
		}
		in_head_ = true;
		filled_ = 0;
		return handler_.end(head_);
	}

private:
	static std::uint8_t *bytes_of(void *of) { return static_cast<std::uint8_t *>(of); }

	rt::Result<void> begin()
	{
		if (!wire::is_sealed(head_, Handler::hash))
			return rt::Error::bad_message;
		if (!wire::expected(head_.kind, from_, stream_) ||
		    !wire::well_formed(head_, pages_) ||
		    (head_.kind == wire::Kind::hello) == greeted_)
			return rt::Error::protocol;
		greeted_ = true;
		payload_ = CORBEL_TRY(handler_.begin(head_));
		return {};
	}

	Handler &handler_;
	wire::Head head_{};
	void *payload_ = nullptr;
	std::uint64_t pages_;
	std::uint32_t filled_ = 0;
	wire::Role from_;
	wire::Stream stream_;
	bool in_head_ = true;
	bool greeted_ = false;
};

} /* namespace corbel::postcopy */
