// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/text_file.hh>

#include <libcorbel/scoped_fd.hh>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace corbel {

/* Read to the end: files of /proc and /sys say size 0 or a page. */
std::optional<std::string> text_of_file(const std::filesystem::path &path, std::size_t limit)
{
	ScopedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	std::string text;

	if (!fd)
		return std::nullopt;
	while (text.size() < limit) {
		char piece[16384];
		auto room = std::min(sizeof(piece), limit - text.size());
		auto got = ::read(fd.get(), piece, room);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return std::nullopt;
		if (got == 0)
			break;
		text.append(piece, static_cast<std::size_t>(got));
	}
	return text;
}

std::optional<std::string> first_line_of(const std::filesystem::path &path)
{
	auto text = text_of_file(path);

	if (text)
		text->erase(std::min(text->find('\n'), text->size()));
	return text;
}

} /* namespace corbel */
