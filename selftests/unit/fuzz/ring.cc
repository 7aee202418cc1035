/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: a consumer that writes anything to its control page. The input
 * is a stream of tails and productions; what must hold is that no record lands
 * outside of the ring, that each is where its index says, and that every event is
 * either in a record or counted as lost.
 */
#include "../ring_memory.hh"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace corbel;
using namespace corbel::unit;

namespace {

void require(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "the ring broke its word: %s\n", what);
	std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size)
{
	constexpr std::uint64_t capacity = 64;
	TestRing test(6);
	std::uint64_t events = 0, accepted = 0, lost = 0;
	bool loss = false;

	while (size > 0) {
		const std::uint8_t op = *data++;
		size--;
		if (op < 128) { /* produce op + 1 events */
			for (unsigned i = 0; i <= op; i++) {
				const std::uint64_t tail = test.ctl.tail;
				const bool in_window = accepted - tail < capacity;
				const bool fits = test.ring.produce(numbered_event(++events));
				require(fits == in_window, "a tail in the window means room");
				if (fits) {
					const auto &record = reinterpret_cast<const corbel_event *>(
						static_cast<const std::byte *>(test.data()) +
						RingReader::records_offset)[accepted % capacity];
					accepted++;
					require(record.seq == accepted && record.arg == events &&
							is_numbered_event(record),
						"a record is where its index says");
					require((record.flags & CORBEL_EVENT_F_LOSS) == loss,
						"the loss flag follows a loss");
				} else {
					lost++;
				}
				loss = !fits;
			}
		} else if (op < 192) { /* a tail near the head */
			test.ctl.tail = accepted - 96 + (op - 128) * 2;
		} else if (op < 250) { /* read as an honest consumer does */
			auto reader = test.reader();
			while (auto record = reader.next())
				;
		} else { /* any tail */
			std::uint64_t tail = 0;
			const auto take = size < sizeof(tail) ? size : sizeof(tail);
			std::memcpy(&tail, data, take);
			data += take;
			size -= take;
			test.ctl.tail = tail;
		}
		require(test.ring.produced() == accepted && test.head()->head == accepted,
			"the head counts the records");
		require(test.ring.lost() == lost && test.head()->lost == lost,
			"the losses are counted");
		require(events == accepted + lost, "every event is in a record or counted");
		(void)test.ring.readable();
	}
	return 0;
}
