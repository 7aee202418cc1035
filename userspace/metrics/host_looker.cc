// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_looker.hh"

#include <libcorbel/text_file.hh>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <vector>

#include <fmt/format.h>

namespace corbel::metrics {

namespace {

namespace fs = std::filesystem;

/* What is of use of KVM's many counts. */
constexpr std::array kvm_counts{
	"exits",	  "halt_exits",
	"halt_wakeup",	  "halt_successful_poll",
	"io_exits",	  "mmio_exits",
	"irq_exits",	  "irq_window_exits",
	"signal_exits",	  "nmi_window_exits",
	"pf_taken",	  "pf_fixed",
	"tlb_flush",	  "invlpg",
	"hypercalls",	  "irq_injections",
	"nmi_injections", "preemption_reported",
};

std::optional<std::uint64_t> number(std::string_view text)
{
	std::uint64_t value = 0;

	text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
	return error == std::errc() ? std::optional(value) : std::nullopt;
}

/* "Key: number" lines; other lines are left out. */
Values keyed_numbers(const std::string &text)
{
	Values values;
	std::istringstream lines(text);

	for (std::string line; std::getline(lines, line);)
		if (const auto colon = line.find(':'); colon != line.npos)
			if (const auto value = number(std::string_view(line).substr(colon + 1)))
				values[line.substr(0, colon)] = *value;
	return values;
}

void copy(const Values &from, const char *key, Values &to, const char *name, std::uint64_t unit)
{
	if (const auto found = from.find(key); found != from.end())
		to[name] = found->second * unit;
}

/* A name in brackets may hold anything: the fields that count come after the last one. */
std::vector<std::uint64_t> fields_of_stat(const std::string &text)
{
	std::vector<std::uint64_t> fields;
	const auto bracket = text.rfind(')');
	std::istringstream words(bracket == text.npos ? "" : text.substr(bracket + 1));

	for (std::string word; words >> word;)
		fields.push_back(number(word).value_or(0));
	return fields;
}

} /* namespace */

VmNumbers HostLooker::look(pid_t pid)
{
	VmNumbers numbers;

	look_at_process(pid, numbers);
	look_at_kvm(pid, numbers);
	if (!look_at_interrupts(device_, pid, numbers))
		numbers.failed.insert("modules");
	return numbers;
}

void HostLooker::look_at_process(pid_t pid, VmNumbers &numbers) const
{
	/* Places after the state, which is field 3 of proc(5). */
	constexpr std::size_t utime = 14 - 3, stime = 15 - 3, guest_time = 43 - 3;
	const auto folder = proc_ / std::to_string(pid);
	const auto stat = fields_of_stat(text_of_file(folder / "stat").value_or(""));
	const auto status = keyed_numbers(text_of_file(folder / "status").value_or(""));
	const auto io = keyed_numbers(text_of_file(folder / "io").value_or(""));
	const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));

	if (stat.size() > guest_time) {
		/* The kernel counts time in the guest as the process's, too. */
		const auto in_process =
			stat[utime] > stat[guest_time] ? stat[utime] - stat[guest_time] : 0;

		numbers.cpu["user"] = static_cast<double>(in_process) / ticks;
		numbers.cpu["system"] = static_cast<double>(stat[stime]) / ticks;
		numbers.cpu["guest"] = static_cast<double>(stat[guest_time]) / ticks;
	}
	copy(status, "RssAnon", numbers.resident, "anonymous", 1024);
	copy(status, "RssFile", numbers.resident, "file", 1024);
	copy(status, "RssShmem", numbers.resident, "shared", 1024);
	if (const auto swap = status.find("VmSwap"); swap != status.end())
		numbers.swapped = swap->second * 1024;
	copy(io, "read_bytes", numbers.io_bytes, "read", 1);
	copy(io, "write_bytes", numbers.io_bytes, "write", 1);
	copy(io, "syscr", numbers.io_calls, "read", 1);
	copy(io, "syscw", numbers.io_calls, "write", 1);
	/* One that has ended is no failure. */
	if (std::error_code error; stat.empty() && fs::exists(folder, error))
		numbers.failed.insert("process");
}

/*
 * Looks come many at a time, and one list is for all of them: with a list for each, their
 * cost would be the square of the number of VMs. Listing holds no lock, as it may hang.
 */
std::shared_ptr<const HostLooker::Folders> HostLooker::kvm_folders()
{
	constexpr auto good_for = std::chrono::milliseconds(500);
	const auto now = Clock::now();
	auto folders = std::make_shared<Folders>();
	std::error_code error;

	{
		const std::lock_guard guard(lock_);

		if (folders_ && now - listed_ < good_for)
			return folders_;
	}
	for (fs::directory_iterator at(kvm_, error), end; !error && at != end;
	     at.increment(error)) {
		const auto name = at->path().filename().string();
		const auto dash = name.find('-');

		if (dash == name.npos)
			continue;
		if (const auto pid = number(std::string_view(name).substr(0, dash)))
			folders->emplace(static_cast<pid_t>(*pid), at->path());
	}
	const std::lock_guard guard(lock_);
	folders_ = folders;
	listed_ = now;
	return folders;
}

/* There may be none: debugfs is not mounted, is locked down, or the guest is not KVM's. */
void HostLooker::look_at_kvm(pid_t pid, VmNumbers &numbers)
{
	const auto folders = kvm_folders();
	const auto [first, last] = folders->equal_range(pid);

	for (auto at = first; at != last; ++at)
		for (const char *name : kvm_counts)
			if (const auto line = first_line_of(at->second / name))
				if (const auto value = number(*line))
					numbers.kvm[name] += *value;
}

} /* namespace corbel::metrics */
