/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Both halves of an event ring over plain memory. The records end where the
 * allocation ends, so that AddressSanitizer sees a step past them.
 */
#pragma once

#include "core/ring_logic.hh"

#include <corbel/ring_reader.hh>

#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>

namespace corbel::unit {

class TestRing {
public:
	explicit TestRing(unsigned order)
		: size_(RingReader::data_size(1U << order)),
		  data_(static_cast<std::byte *>(::operator new(size_, std::align_val_t{4096})))
	{
		std::memset(data_.get(), 0, size_);
		const core::RingMemory memory{
			.records = reinterpret_cast<corbel_event *>(data_.get() +
								    RingReader::records_offset),
			.capacity = 1U << order,
			.ctl = &ctl,
			.head = head(),
		};
		if (!ring.init(memory).ok())
			throw std::logic_error("the ring refused its memory");
	}

	corbel_ring_head *head() { return reinterpret_cast<corbel_ring_head *>(data_.get()); }
	RingReader reader() { return RingReader::over(&ctl, data_.get(), size_).value(); }
	std::size_t size() const { return size_; }
	const void *data() const { return data_.get(); }

	core::EventRing ring;
	corbel_ring_ctl ctl{};

private:
	struct Free {
		void operator()(std::byte *memory) const
		{
			::operator delete(memory, std::align_val_t{4096});
		}
	};

	std::size_t size_;
	std::unique_ptr<std::byte, Free> data_;
};

/* An event whose members all follow from @number, so that a mixed one shows. */
inline core::RingEvent numbered_event(std::uint64_t number)
{
	return {
		.tsc = number * 0x9e3779b97f4a7c15,
		.vcpu = static_cast<std::uint32_t>(number * 3),
		.type = static_cast<std::uint8_t>(number + 1),
		.vector = static_cast<std::uint8_t>(number * 7),
		.path = static_cast<std::uint8_t>(number * 11),
		.arg = number,
	};
}

inline bool is_numbered_event(const corbel_event &record)
{
	const auto event = numbered_event(record.arg);

	return record.tsc == event.tsc && record.vcpu == event.vcpu && record.type == event.type &&
	       record.vector == event.vector && record.path == event.path;
}

} // namespace corbel::unit
