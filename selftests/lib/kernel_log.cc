// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel_log.hh"
#include "tap.hh"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

namespace corbel::selftest {

namespace {

constexpr std::array<std::string_view, 14> splats = {
	"WARNING:",
	"BUG:",
	"BUG ",
	"Oops",
	"general protection fault",
	"kernel panic",
	"refcount_t:",
	"Objects remaining",
	"Bad rss-counter",
	"list_add corruption",
	"list_del corruption",
	"scheduling while atomic",
	"UBSAN:",
	"unable to handle",
};

constexpr std::array<std::string_view, 3> stalls = {
	"soft lockup",
	"self-detected stall",
	"blocked for more than",
};

template <typename Words>
bool holds_any(std::string_view text, const Words &words)
{
	for (std::string_view word : words)
		if (text.find(word) != text.npos)
			return true;
	return false;
}

} // namespace

kernel_log::kernel_log() : fd(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC))
{
	if (fd)
		lseek(fd.get(), 0, SEEK_END);
}

std::string kernel_log::read_new()
{
	std::string text;
	char record[8192];

	while (fd) {
		ssize_t length = read(fd.get(), record, sizeof(record));

		if (length < 0 && errno == EPIPE)
			continue; /* overwritten before it was read: go on behind the gap */
		if (length <= 0)
			break;
		std::string_view view(record, length);
		if (size_t start = view.find(';'); start != view.npos)
			view.remove_prefix(start + 1);
		text += view;
	}
	return text;
}

std::string kernel_log::find_splat()
{
	std::string text = read_new();
	size_t start = 0;

	while (start < text.size()) {
		size_t end = std::min(text.find('\n', start), text.size());
		std::string_view line(text.data() + start, end - start);
		std::string_view rest(text.data() + start,
				      std::min<size_t>(text.size() - start, 4000));

		bool stall = holds_any(line, stalls);
		if (stall && rest.find("corbel") == rest.npos)
			comment("starved: {}", line);
		else if (stall || holds_any(line, splats))
			return std::string(rest);
		start = end + 1;
	}
	return {};
}

} // namespace corbel::selftest
