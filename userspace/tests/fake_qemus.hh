/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake_qemus.hh - sockets at which something answers, more or less as QEMU's monitor does. */
#pragma once

#include <libcorbel/scoped_fd.hh>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace corbel::test {

class FakeQemus {
public:
	/* Called with each line that comes, and with an empty one when a client has come. */
	using Talk = std::function<void(int client, const std::string &line)>;

	FakeQemus() = default;
	~FakeQemus() { stop(); }
	FakeQemus(const FakeQemus &) = delete;

	/* Before start(). */
	void listen(const std::filesystem::path &path, Talk talk);
	void start();
	void stop();

	[[nodiscard]] unsigned clients() const { return clients_; } /* that ever came */

	static void say(int client, std::string_view bytes);
	/* Greets and answers each command as a running guest would. */
	static void answer(int client, const std::string &line);
	/* Accepts, and says nothing. */
	static void hang(int, const std::string &) {}

private:
	struct Client {
		ScopedFd socket;
		const Talk *talk;
		std::string bytes;
	};
	struct Listener {
		ScopedFd socket;
		Talk talk;
	};
	void serve();

	std::vector<Listener> listeners_;
	std::map<int, Client> open_;
	std::atomic<unsigned> clients_ = 0;
	std::atomic<bool> ending_ = false;
	std::thread thread_;
};

/* What QEMU greets with. */
inline constexpr const char *qmp_greeting =
	R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, )"
	R"("package": ""}, "capabilities": ["oob"]}})"
	"\r\n";

} /* namespace corbel::test */
