/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring_reader.hh - consumer side of an event ring, see <corbel/ring.h>.
 *
 * Works on the two mappings of a ring fd, which it neither makes nor owns. One
 * thread at a time reads a ring; nothing here blocks (poll(2) the ring fd).
 *
 *	auto reader = RingReader::over(ctl_page, data, data_size);
 *	while (auto event = reader->next())
 *		...
 */
#pragma once

#include <corbel/ring.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

namespace corbel {

enum class RingDefect {
	too_short, /* the mapping does not hold what the head says it does */
	not_a_ring, /* the head page lacks the magic number */
	wrong_version, /* a version of the ring that this code does not read */
};

constexpr const char *to_string(RingDefect defect)
{
	switch (defect) {
	case RingDefect::too_short:
		return "the mapping is shorter than the ring in it";
	case RingDefect::not_a_ring:
		return "the mapping is not that of an event ring";
	case RingDefect::wrong_version:
		return "the event ring is of another version than this program reads";
	}
	return "unknown defect";
}

class RingReader {
public:
	/* Where records start behind the head: one page. */
	static constexpr std::size_t records_offset = 4096;

	/* How much of the data mapping a ring of @capacity takes. */
	static constexpr std::size_t data_size(std::uint32_t capacity)
	{
		return records_offset + std::size_t{capacity} * sizeof(corbel_event);
	}

	/*
	 * @ctl: the mapping at CORBEL_RING_CTL_OFFSET, writable
	 * @data: that at CORBEL_RING_DATA_OFFSET, @size bytes
	 */
	static std::expected<RingReader, RingDefect> over(void *ctl, const void *data,
							  std::size_t size)
	{
		const auto *head = static_cast<const corbel_ring_head *>(data);

		if (size < records_offset)
			return std::unexpected(RingDefect::too_short);
		if (head->magic != CORBEL_RING_MAGIC)
			return std::unexpected(RingDefect::not_a_ring);
		if (head->version != CORBEL_RING_VERSION ||
		    head->record_size != sizeof(corbel_event) ||
		    !std::has_single_bit(head->capacity))
			return std::unexpected(RingDefect::wrong_version);
		if (size < data_size(head->capacity))
			return std::unexpected(RingDefect::too_short);
		return RingReader(static_cast<corbel_ring_ctl *>(ctl), head);
	}

	/* The next record if it is complete. It is the reader's own copy. */
	std::optional<corbel_event> next()
	{
		const corbel_event &record = records_[tail_ & (capacity_ - 1)];

		/* Pairs with the producer's release: the rest of the record is there. */
		if (__atomic_load_n(&record.seq, __ATOMIC_ACQUIRE) != tail_ + 1)
			return std::nullopt;

		corbel_event copy{};
		copy.seq = tail_ + 1;
		copy.tsc = __atomic_load_n(&record.tsc, __ATOMIC_RELAXED);
		copy.vcpu = __atomic_load_n(&record.vcpu, __ATOMIC_RELAXED);
		copy.type = __atomic_load_n(&record.type, __ATOMIC_RELAXED);
		copy.vector = __atomic_load_n(&record.vector, __ATOMIC_RELAXED);
		copy.path = __atomic_load_n(&record.path, __ATOMIC_RELAXED);
		copy.flags = __atomic_load_n(&record.flags, __ATOMIC_RELAXED);
		copy.arg = __atomic_load_n(&record.arg, __ATOMIC_RELAXED);

		tail_++;
		/* Gives the slot back: a producer that sees this may overwrite it. */
		__atomic_store_n(&ctl_->tail, tail_, __ATOMIC_RELEASE);
		return copy;
	}

	/* Records taken, and those reserved and not taken. */
	[[nodiscard]] std::uint64_t consumed() const { return tail_; }
	[[nodiscard]] std::uint64_t unread() const
	{
		return __atomic_load_n(&head_->head, __ATOMIC_ACQUIRE) - tail_;
	}

	/* Records dropped so far because the ring was full. */
	[[nodiscard]] std::uint64_t lost() const
	{
		return __atomic_load_n(&head_->lost, __ATOMIC_ACQUIRE);
	}

	/* True: what next() still finds is all there will be. */
	[[nodiscard]] bool ended() const
	{
		return __atomic_load_n(&head_->ended, __ATOMIC_ACQUIRE) != 0;
	}

	[[nodiscard]] std::uint32_t capacity() const { return capacity_; }

private:
	RingReader(corbel_ring_ctl *ctl, const corbel_ring_head *head)
		: ctl_(ctl),
		  head_(head),
		  records_(reinterpret_cast<const corbel_event *>(
			  reinterpret_cast<const std::byte *>(head) + records_offset)),
		  capacity_(head->capacity),
		  tail_(__atomic_load_n(&ctl->tail, __ATOMIC_ACQUIRE))
	{}

	corbel_ring_ctl *ctl_;
	const corbel_ring_head *head_;
	const corbel_event *records_;
	std::uint32_t capacity_;
	std::uint64_t tail_; /* ctl_->tail is written from here and not read back */
};

} /* namespace corbel */
