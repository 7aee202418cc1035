/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unix_socket.hh - sockets with a name in the file system, which what is outside of a guest has. */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <sys/un.h>

#include <optional>
#include <string>

namespace corbel::vmm {

/* Nothing: there is no name, or it is too long. */
[[nodiscard]] std::optional<sockaddr_un> unix_address(const std::string &path);
/* Of @type, that does not block. */
[[nodiscard]] ScopedFd unix_socket(int type);

/* A socket at @path that goes with this. */
class NamedSocket {
public:
	/* A stream's listens. @what it is for, for errors; EADDRINUSE: it is there already. */
	[[nodiscard]] static Result<NamedSocket> create(const std::string &path, int type,
							std::string_view what);
	~NamedSocket();
	NamedSocket(NamedSocket &&other) noexcept;
	NamedSocket &operator=(NamedSocket &&other) = delete;

	[[nodiscard]] int fd() const { return fd_.get(); }
	[[nodiscard]] const std::string &path() const { return path_; }

private:
	NamedSocket(ScopedFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

	ScopedFd fd_;
	std::string path_; /* empty: it has been moved from */
};

} /* namespace corbel::vmm */
