/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring.hh - an event ring mapped for its one consumer, see <corbel/ring.h>.
 *
 * One thread at a time reads a ring: there is one tail.
 */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/mapping.hh>
#include <libcorbel/scoped_fd.hh>

#include <corbel/ring_reader.hh>

#include <cstdint>
#include <optional>

namespace corbel {

/* produced = head + lost, and head = read + unread, at every quiet moment. */
struct RingTotals {
	std::uint64_t head;
	std::uint64_t read;
	std::uint64_t lost;
};

class Ring {
public:
	/* @order is what the ring was asked to hold; anything else is refused. */
	[[nodiscard]] static Result<Ring> map(ScopedFd fd, std::uint32_t order);

	/* For poll(2): POLLIN with records unread, POLLHUP once the VM has ended. */
	[[nodiscard]] int fd() const { return fd_.get(); }

	/* The next record, copied and released; nothing if it is not complete. */
	[[nodiscard]] std::optional<corbel_event> next() { return reader_.next(); }

	[[nodiscard]] RingTotals totals() const;

	/* No record will come any more; those unread can still be read. */
	[[nodiscard]] bool ended() const { return reader_.ended(); }

private:
	Ring(ScopedFd fd, Mapping control, Mapping data, RingReader reader)
		: fd_(std::move(fd)),
		  control_(std::move(control)),
		  data_(std::move(data)),
		  reader_(reader)
	{}

	ScopedFd fd_;
	Mapping control_;
	Mapping data_;
	RingReader reader_;
};

} /* namespace corbel */
