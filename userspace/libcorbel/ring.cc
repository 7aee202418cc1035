// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/ring.hh>

#include <unistd.h>

#include <fmt/format.h>

namespace corbel {

Result<Ring> Ring::map(ScopedFd fd, std::uint32_t order)
{
	auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
	auto size = (RingReader::data_size(1U << order) + page - 1) & ~(page - 1);
	auto control = CORBEL_EXPECT(Mapping::writable(fd.get(), CORBEL_RING_CTL_OFFSET, page));
	auto data = CORBEL_EXPECT(Mapping::read_only(fd.get(), CORBEL_RING_DATA_OFFSET, size));
	auto reader = RingReader::over(control.data(), data.data(), data.size());

	if (!reader)
		return failure(EPROTO, fmt::format("The event ring cannot be read: {}; use the "
						   "tool that belongs to the module.",
						   to_string(reader.error())));
	return Ring(std::move(fd), std::move(control), std::move(data), *reader);
}

RingTotals Ring::totals() const
{
	return {
		.head = reader_.consumed() + reader_.unread(),
		.read = reader_.consumed(),
		.lost = reader_.lost(),
	};
}

} /* namespace corbel */
