// SPDX-License-Identifier: GPL-2.0-or-later
#include "runtime.hh"

#include "bounded_json.hh"
#include "description.hh"
#include "process.hh"

#include <libcorbel/text_file.hh>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

namespace fs = std::filesystem;

std::unexpected<Error> trouble(const fs::path &path, int number)
{
	return failure(number, fmt::format("{} cannot be made or opened: {}.", path.string(),
					   describe_errno(number)));
}

/* All or nothing, whoever dies meanwhile. */
Result<void> replace(const fs::path &path, std::string_view text)
{
	const auto part = path.string() + ".part";
	const ScopedFd file(
		::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));

	if (!file ||
	    ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
		return trouble(path, errno);
	if (::rename(part.c_str(), path.c_str()) != 0)
		return trouble(path, errno);
	return {};
}

} /* namespace */

Result<void> Runtime::make() const
{
	std::error_code error;

	fs::create_directories(root_, error);
	if (error)
		return trouble(root_, error.value());
	if (::mkdir(folder().c_str(), 0700) != 0 && errno != EEXIST)
		return trouble(folder(), errno);
	return {};
}

Result<void> Runtime::remove() const
{
	std::error_code error;

	fs::remove_all(folder(), error);
	if (error)
		return failure(error.value(), fmt::format("{} cannot be removed: {}.",
							  folder().string(), error.message()));
	return {};
}

/* One file for all VMs, so that none is left; a byte of it for each. */
Result<ScopedFd> Runtime::lock(const std::function<bool()> &stop) const
{
	std::error_code error;
	const auto path = root_ / ".lock";

	fs::create_directories(root_, error);
	ScopedFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (!file)
		return trouble(path, errno);

	struct flock range{};
	range.l_type = F_WRLCK;
	range.l_whence = SEEK_SET;
	range.l_start = static_cast<off_t>(std::hash<std::string>()(name_) >> 2);
	range.l_len = 1;
	while (::fcntl(file.get(), F_OFD_SETLK, &range) != 0) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return trouble(path, errno);
		if (stop())
			return failure(EBUSY,
				       fmt::format("Somebody else starts or stops '{}'.", name_));
		::poll(nullptr, 0, 20);
	}
	return file;
}

Result<std::optional<ScopedFd>> Runtime::lock_alive() const
{
	const auto path = file("alive");
	ScopedFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));

	if (!file)
		return trouble(path, errno);
	while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			return std::nullopt;
		if (errno != EINTR)
			return trouble(path, errno);
	}
	return file;
}

Result<bool> Runtime::is_running() const
{
	std::error_code error;

	if (!fs::exists(file("alive"), error))
		return false;
	return !CORBEL_EXPECT(lock_alive());
}

std::optional<Launch> Runtime::launch() const
{
	const auto text = text_of_file(file("launch.json"), 65536);
	const auto json = text ? parse_bounded_json(*text) : failure(ENOENT, "");

	if (!json)
		return std::nullopt;
	/* No process has 0, and to kill(2) that would be several. */
	const auto pid = number_in(*json, "pid");
	if (pid == 0 || !std::in_range<pid_t>(pid))
		return std::nullopt;
	Launch launch{.pid = static_cast<pid_t>(pid),
		      .started = number_in(*json, "started_ticks"),
		      .token = string_in(*json, "token"),
		      .cgroup = string_in(*json, "cgroup"),
		      .memory = {},
		      .migration = string_in(*json, "migration")};
	const auto memory = json->find("memory");
	if (memory != json->end() && memory->is_number_unsigned() &&
	    std::in_range<std::uint32_t>(memory->get<std::uint64_t>()))
		launch.memory = memory->get<std::uint32_t>();
	return launch;
}

Result<void> Runtime::write(const Launch &launch) const
{
	Json json{{"pid", launch.pid},
		  {"started_ticks", launch.started},
		  {"token", launch.token},
		  {"cgroup", launch.cgroup}};

	if (launch.memory)
		json["memory"] = *launch.memory;
	if (!launch.migration.empty())
		json["migration"] = launch.migration;
	CORBEL_EXPECT(replace(file("pid"), fmt::format("{}\n", launch.pid)));
	return replace(file("launch.json"), json.dump() + "\n");
}

std::string Runtime::last_words() const
{
	constexpr std::size_t most = 400;
	auto text = text_of_file(file("qemu.log"), std::size_t{1} << 20).value_or("");

	while (!text.empty() && (text.back() == '\n' || text.back() == '.'))
		text.pop_back();
	if (text.size() > most)
		text.erase(0, text.size() - most);
	return text;
}

std::vector<std::pair<std::string, Launch>> running_below(const fs::path &root)
{
	std::vector<std::pair<std::string, Launch>> running;
	std::error_code error;

	for (fs::directory_iterator at(root, error), end; !error && at != end;
	     at.increment(error)) {
		const auto name = at->path().filename().string();
		const auto launch = is_vm_name(name) ? Runtime(root, name).launch() : std::nullopt;

		if (launch && is_alive(launch->pid, launch->started))
			running.emplace_back(name, *launch);
	}
	return running;
}

} /* namespace corbel::qemu */
