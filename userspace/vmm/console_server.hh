/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * console_server.hh - the guest's console at a Unix socket, for one at a time, who may come and go
 * while the guest runs. Whoever comes sees the end of what came before; what is typed there is
 * input as any other. A guest waits for nobody: of what is not taken the oldest is lost.
 */
#pragma once

#include "host_input.hh"
#include "unix_socket.hh"

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace corbel::vmm {

class ConsoleServer {
public:
	/* What is kept for who comes, and for who is slow, in bytes. */
	static constexpr std::size_t history = 16 << 10, most_waiting = 256 << 10;

	/* @input: outlives it. */
	[[nodiscard]] static Result<std::unique_ptr<ConsoleServer>> create(const std::string &path,
									   HostInput &input);
	~ConsoleServer();
	ConsoleServer(const ConsoleServer &) = delete;
	ConsoleServer &operator=(const ConsoleServer &) = delete;

	/* By any thread. */
	[[nodiscard]] bool is_attended();
	void print(std::string_view bytes);

private:
	ConsoleServer(NamedSocket socket, HostInput &input);

	void work();
	/* False: it is to end. */
	[[nodiscard]] bool take_turn();
	void accept();
	void read_input();
	void write_output();

	NamedSocket socket_;
	HostInput &input_;
	ScopedFd wake_, client_; /* the latter of the thread alone */
	std::mutex mutex_; /* the rest */
	std::string history_, waiting_;
	bool attached_ = false, ends_ = false;
	int looks_ = 0; /* since it ends */
	std::thread thread_; /* the last, as it uses all of the above */
};

} /* namespace corbel::vmm */
