// SPDX-License-Identifier: GPL-2.0-or-later
#include "vcpu_load.hh"

#include <libcorbel/text_file.hh>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <system_error>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

namespace fs = std::filesystem;

template <typename T>
std::optional<T> number_at(std::string_view &text)
{
	T number{};

	text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
	if (error != std::errc())
		return std::nullopt;
	text.remove_prefix(static_cast<std::size_t>(end - text.data()));
	return number;
}

/* "vcpu3" and the pid in its folder. */
void look_into(const fs::path &folder, VcpuThreads &threads)
{
	constexpr std::string_view prefix = "vcpu";
	std::error_code error;

	for (fs::directory_iterator at(folder, error), end; !error && at != end;
	     at.increment(error)) {
		const auto name = at->path().filename().string();
		auto digits = std::string_view(name);

		if (!digits.starts_with(prefix))
			continue;
		digits.remove_prefix(prefix.size());
		const auto id = number_at<std::uint32_t>(digits);
		const auto line = first_line_of(at->path() / "pid").value_or("");
		auto text = std::string_view(line);
		const auto thread = number_at<pid_t>(text);
		if (id && digits.empty() && thread && *thread > 0)
			threads[*id] = *thread;
	}
}

/* Threads called "CPU 3/KVM". */
void look_at_names(const fs::path &tasks, VcpuThreads &threads)
{
	std::error_code error;

	for (fs::directory_iterator at(tasks, error), end; !error && at != end;
	     at.increment(error)) {
		const auto name = first_line_of(at->path() / "comm").value_or("");
		auto rest = std::string_view(name);
		const auto file = at->path().filename().string();
		auto digits = std::string_view(file);

		if (!rest.starts_with("CPU "))
			continue;
		rest.remove_prefix(4);
		const auto id = number_at<std::uint32_t>(rest);
		const auto thread = number_at<pid_t>(digits);
		if (id && thread && rest == "/KVM")
			threads[*id] = *thread;
	}
}

double share(std::chrono::nanoseconds part, std::chrono::nanoseconds whole)
{
	return std::clamp(static_cast<double>(part.count()) /
				  static_cast<double>(std::max<std::int64_t>(whole.count(), 1)),
			  0.0, 1.0);
}

} /* namespace */

Result<VcpuThreads> vcpu_threads(pid_t pid, int vm_fd, const fs::path &proc,
				 const fs::path &debugfs)
{
	VcpuThreads threads;
	std::error_code error;
	const auto prefix = fmt::format("{}-", pid);

	if (vm_fd >= 0)
		look_into(debugfs / fmt::format("{}{}", prefix, vm_fd), threads);
	else
		for (fs::directory_iterator at(debugfs, error), end; !error && at != end;
		     at.increment(error))
			if (threads.empty() && at->path().filename().string().starts_with(prefix))
				look_into(at->path(), threads);
	if (threads.empty())
		look_at_names(proc / std::to_string(pid) / "task", threads);
	if (threads.empty())
		return failure(
			ENOENT,
			fmt::format("Which threads of process {} are its vCPUs is not known: "
				    "neither {} tells (is debugfs mounted?), nor do the "
				    "threads have names (QEMU: -name NAME,debug-threads=on).",
				    pid, debugfs.string()));
	return threads;
}

std::optional<ThreadTimes> parse_schedstat(std::string_view text)
{
	const auto ran = number_at<std::int64_t>(text);
	const auto waited = ran ? number_at<std::int64_t>(text) : std::nullopt;

	if (!waited)
		return std::nullopt;
	return ThreadTimes{std::chrono::nanoseconds(*ran), std::chrono::nanoseconds(*waited)};
}

Result<ThreadTimes> times_of(pid_t pid, pid_t thread)
{
	const auto path = fmt::format("/proc/{}/task/{}/schedstat", pid, thread);
	const auto times = parse_schedstat(first_line_of(path).value_or(""));

	if (times)
		return *times;
	return failure(ESRCH,
		       fmt::format("{} does not tell how long the vCPU's thread ran: the "
				   "thread has ended, or the kernel has no CONFIG_SCHED_INFO.",
				   path));
}

Shares shares_of(const ThreadTimes &before, const ThreadTimes &after,
		 std::chrono::nanoseconds interval, bool preempted)
{
	Shares shares{share(after.ran - before.ran, interval),
		      share(after.waited - before.waited, interval)};

	/* A long wait ends in one interval and was in those before it, too. */
	shares.waiting = std::min(shares.waiting, 1 - shares.running);
	if (after.ran == before.ran && after.waited == before.waited && preempted)
		shares.waiting = 1;
	return shares;
}

} /* namespace corbel::cli */
