// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake_qemus.hh"

#include <nlohmann/json.hpp>

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace corbel::test {

namespace {

/* A thousand sockets are more than a shell's limit. */
void allow_descriptors()
{
	rlimit limit{};

	::getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	::setrlimit(RLIMIT_NOFILE, &limit);
}

} /* namespace */

void FakeQemus::listen(const std::filesystem::path &path, Talk talk)
{
	sockaddr_un address{};

	allow_descriptors();
	ScopedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	address.sun_family = AF_UNIX;
	if (path.string().size() >= sizeof(address.sun_path))
		throw std::runtime_error("too long a name: " + path.string());
	std::strcpy(address.sun_path, path.c_str());
	if (::bind(socket.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) ||
	    ::listen(socket.get(), 1))
		throw std::runtime_error("no socket " + path.string());
	listeners_.push_back({std::move(socket), std::move(talk)});
}

void FakeQemus::start()
{
	thread_ = std::thread([this] { serve(); });
}

void FakeQemus::stop()
{
	ending_ = true;
	if (thread_.joinable())
		thread_.join();
	open_.clear();
	listeners_.clear();
}

void FakeQemus::say(int client, std::string_view bytes)
{
	while (!bytes.empty()) {
		const auto sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		bytes.remove_prefix(static_cast<std::size_t>(sent));
	}
}

void FakeQemus::answer(int client, const std::string &line)
{
	using nlohmann::json;

	if (line.empty())
		return say(client, qmp_greeting);
	const auto command = json::parse(line);
	const auto what = command.at("execute").get<std::string>();
	json reply{{"id", command.at("id")}, {"return", json::object()}};

	if (what == "query-status")
		reply["return"] = {{"status", "running"}, {"running", true}};
	else if (what == "query-name")
		reply["return"] = {{"name", "fake"}};
	else if (what == "query-cpus-fast")
		reply["return"] = {{{"cpu-index", 0}}, {{"cpu-index", 1}}};
	else if (what == "query-block")
		reply["return"] = {
			{{"device", "disk0"},
			 {"qdev", "/machine/peripheral/d"},
			 {"inserted", {{"file", "/a.qcow2"}, {"drv", "qcow2"}, {"ro", true}}}}};
	else if (what == "query-blockstats")
		reply["return"] = {{{"device", "disk0"},
				    {"stats",
				     {{"rd_bytes", 4096},
				      {"wr_bytes", 512},
				      {"rd_operations", 2},
				      {"wr_operations", 1},
				      {"flush_operations", 3},
				      {"rd_total_time_ns", 1500000000},
				      {"wr_total_time_ns", 7},
				      {"flush_total_time_ns", 8}}}}};
	else if (what == "query-memdev")
		reply["return"] = {{{"id", "ram"}, {"size", 4096}, {"share", true}}};
	say(client, reply.dump() + "\r\n");
}

void FakeQemus::serve()
{
	while (!ending_) {
		std::vector<pollfd> polls;

		for (const auto &listener : listeners_)
			polls.push_back({listener.socket.get(), POLLIN, 0});
		for (const auto &[fd, client] : open_)
			polls.push_back({fd, POLLIN, 0});
		::poll(polls.data(), polls.size(), 20);
		for (std::size_t i = 0; i < polls.size(); i++) {
			if (!polls[i].revents)
				continue;
			if (i < listeners_.size()) {
				const int fd =
					::accept4(polls[i].fd, nullptr, nullptr, SOCK_CLOEXEC);

				if (fd < 0)
					continue;
				clients_++;
				open_[fd] = {ScopedFd(fd), &listeners_[i].talk, {}};
				listeners_[i].talk(fd, "");
				continue;
			}
			auto &client = open_[polls[i].fd];
			char bytes[4096];
			const auto got = ::recv(polls[i].fd, bytes, sizeof(bytes), MSG_DONTWAIT);
			if (got <= 0) {
				open_.erase(polls[i].fd);
				continue;
			}
			client.bytes.append(bytes, static_cast<std::size_t>(got));
			for (std::size_t end;
			     (end = client.bytes.find('\n')) != std::string::npos;) {
				const auto line = client.bytes.substr(0, end);

				client.bytes.erase(0, end + 1);
				(*client.talk)(polls[i].fd, line);
			}
		}
	}
}

} /* namespace corbel::test */
