/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * socket_table.hh - which sockets with names there are, and which have a client.
 *
 * A monitor of QEMU's takes one client. Who connects to one that has got one waits, and is
 * served once the other leaves: so it is looked up first, in /proc/PID/net/unix. The end
 * that listens and the ends of its clients bear the same name there, a client that was not
 * yet accepted among them.
 */
#pragma once

#include <libcorbel/error.hh>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace corbel::qemu {

enum class SocketUse { absent, free, taken };

class SocketTable {
public:
	explicit SocketTable(std::string_view text);
	[[nodiscard]] static Result<SocketTable> read(const std::filesystem::path &file);

	[[nodiscard]] SocketUse use_of(const std::string &path) const;

private:
	struct Ends {
		bool listening = false;
		bool connected = false;
	};
	std::map<std::string, Ends, std::less<>> ends_;
};

} /* namespace corbel::qemu */
