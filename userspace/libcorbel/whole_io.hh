/* SPDX-License-Identifier: GPL-2.0-or-later */
/* whole_io.hh - reads and writes that are all of it, however often the kernel does a part. */
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace corbel {

/* Fills @into from there on: 0, or an errno; ENODATA: the file ends before. */
[[nodiscard]] inline int read_whole(int fd, std::uint64_t at, std::span<std::byte> into)
{
	while (!into.empty()) {
		const auto got = ::pread(fd, into.data(), into.size(), static_cast<off_t>(at));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? errno : ENODATA;
		at += static_cast<std::uint64_t>(got);
		into = into.subspan(static_cast<std::size_t>(got));
	}
	return 0;
}

/* Writes where the file is: 0, or an errno, with a part written. */
[[nodiscard]] inline int write_whole(int fd, std::string_view bytes)
{
	while (!bytes.empty()) {
		const auto written = ::write(fd, bytes.data(), bytes.size());

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? errno : EIO;
		bytes.remove_prefix(static_cast<std::size_t>(written));
	}
	return 0;
}

} /* namespace corbel */
