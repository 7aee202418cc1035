// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/stats.hh>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>

namespace corbel {

namespace {

constexpr std::uint32_t most_name_bytes = 4096;
constexpr std::uint32_t most_descriptors = 4096;

std::unexpected<Error> malformed(const char *what)
{
	return failure(EPROTO, fmt::format("The counts cannot be read: {}; use the tool that "
					   "belongs to the module.",
					   what));
}

Result<void> read_at(int fd, void *to, std::size_t bytes, std::uint64_t offset)
{
	ssize_t got;

	do {
		got = ::pread(fd, to, bytes, static_cast<off_t>(offset));
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return failure(errno, fmt::format("The counts cannot be read: {}.",
						  describe_errno(errno)));
	if (static_cast<std::size_t>(got) != bytes)
		return malformed("they end too early");
	return {};
}

Result<std::string> read_text(int fd, std::size_t bytes, std::uint64_t offset)
{
	std::string text(bytes, '\0');

	CORBEL_EXPECT(read_at(fd, text.data(), bytes, offset));
	text.erase(std::min(text.find('\0'), text.size()));
	return text;
}

} /* namespace */

Result<Stats> Stats::open(ScopedFd fd)
{
	/* Without the name, whose length the header tells. */
	constexpr std::size_t fixed_bytes = offsetof(corbel_stats_desc, name);
	Stats stats(std::move(fd));
	const int from = stats.fd_.get();
	corbel_stats_header header{};

	CORBEL_EXPECT(read_at(from, &header, sizeof(header), 0));
	if (header.name_size == 0 || header.name_size > most_name_bytes ||
	    header.num_desc > most_descriptors)
		return malformed("the header is out of bounds");
	stats.id_ = CORBEL_EXPECT(read_text(from, header.name_size, header.id_offset));
	stats.data_offset_ = header.data_offset;
	for (std::uint32_t i = 0; i < header.num_desc; i++) {
		const auto at =
			header.desc_offset + std::uint64_t{i} * (fixed_bytes + header.name_size);
		corbel_stats_desc one{};

		CORBEL_EXPECT(read_at(from, &one, fixed_bytes, at));
		if (one.offset % sizeof(__u64) || one.size == 0)
			return malformed("a descriptor is out of bounds");
		const auto index = one.offset / sizeof(__u64);
		stats.count_ = std::max<std::size_t>(stats.count_, index + one.size);
		if (one.size > 1)
			continue;
		stats.places_.push_back(
			{CORBEL_EXPECT(read_text(from, header.name_size, at + fixed_bytes)),
			 index});
	}
	if (stats.count_ > most_descriptors * 256)
		return malformed("a descriptor is out of bounds");
	return stats;
}

Result<Values> Stats::read() const
{
	std::vector<__u64> data(count_);
	Values values;

	CORBEL_EXPECT(read_at(fd_.get(), data.data(), data.size() * sizeof(__u64), data_offset_));
	for (const auto &[name, index] : places_)
		values[name] = data[index];
	return values;
}

} /* namespace corbel */
