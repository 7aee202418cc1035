// SPDX-License-Identifier: GPL-2.0-or-later
#include "socket_table.hh"

#include <libcorbel/text_file.hh>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

/* The next word, from the front of @line. */
std::string_view take_word(std::string_view &line)
{
	line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));

	const auto word = line.substr(0, line.find(' '));
	line.remove_prefix(word.size());
	return word;
}

} /* namespace */

/* Num RefCount Protocol Flags Type St Inode Path, where a path may have spaces. */
SocketTable::SocketTable(std::string_view text)
{
	constexpr std::string_view accepts = "00010000", connected = "03", connecting = "02";

	while (!text.empty()) {
		auto line = text.substr(0, text.find('\n'));
		std::array<std::string_view, 7> words;

		text.remove_prefix(std::min(line.size() + 1, text.size()));
		for (auto &word : words)
			word = take_word(line);
		if (!line.starts_with(" /"))
			continue;
		auto &ends = ends_[std::string(line.substr(1))];
		ends.listening |= words[3] == accepts;
		ends.connected |= words[5] == connected || words[5] == connecting;
	}
}

Result<SocketTable> SocketTable::read(const std::filesystem::path &file)
{
	const auto text = text_of_file(file);

	if (!text)
		return failure(errno, fmt::format("Whether a monitor has a client is looked for in "
						  "{}, which cannot be read: it is not asked.",
						  file.string()));
	return SocketTable(*text);
}

SocketUse SocketTable::use_of(const std::string &path) const
{
	const auto found = ends_.find(path);

	if (found == ends_.end() || !found->second.listening)
		return SocketUse::absent;
	return found->second.connected ? SocketUse::taken : SocketUse::free;
}

} /* namespace corbel::qemu */
