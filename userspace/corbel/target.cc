// SPDX-License-Identifier: GPL-2.0-or-later
#include "target.hh"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <vector>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

bool all_digits(std::string_view text)
{
	return !text.empty() &&
	       std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

template <typename Number>
Result<Number> number_from(std::string_view digits, std::string_view what)
{
	Number number{};
	auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);

	if (error != std::errc() || end != digits.data() + digits.size())
		return failure(EINVAL, fmt::format("'{}' is not a number of {}.", digits, what));
	return number;
}

std::string candidates(std::span<const Guest> guests)
{
	std::string text;

	for (const auto &guest : guests)
		text += fmt::format("{}'{}' (pid {})", text.empty() ? "" : ", ", guest.name,
				    guest.pid);
	return text;
}

} /* namespace */

Result<Target> parse_target(std::string_view text)
{
	constexpr std::string_view by_name = "name:", by_id = "id:";

	if (text.starts_with(by_name) && text.size() > by_name.size())
		return TargetName{std::string(text.substr(by_name.size()))};
	if (text.starts_with(by_id))
		return TargetAttachment{CORBEL_EXPECT(
			number_from<std::uint64_t>(text.substr(by_id.size()), "an attachment"))};

	auto colon = text.find(':');
	auto pid = text.substr(0, colon);
	if (all_digits(pid) && colon == text.npos)
		return TargetProcess{CORBEL_EXPECT(number_from<pid_t>(pid, "a process")), {}};
	if (all_digits(pid) && all_digits(text.substr(colon + 1)))
		return TargetProcess{
			CORBEL_EXPECT(number_from<pid_t>(pid, "a process")),
			CORBEL_EXPECT(number_from<int>(text.substr(colon + 1), "a descriptor"))};
	if (text.empty())
		return failure(EINVAL, "The name of the virtual machine is empty: give a pid or a "
				       "name from `corbel vm list`.");
	return TargetName{std::string(text)};
}

Result<Choice> choose_by_name(std::string_view name, std::span<const Guest> guests)
{
	std::vector<Guest> matching;

	std::ranges::copy_if(guests, std::back_inserter(matching),
			     [&](const Guest &guest) { return guest.name == name; });
	if (matching.size() == 1)
		return choose_vm(matching.front(), std::nullopt);
	if (!matching.empty())
		return failure(ENOTUNIQ, fmt::format("The name '{}' is that of {} guests: {}; give "
						     "the pid instead.",
						     name, matching.size(), candidates(matching)));
	if (guests.empty())
		return failure(ENOENT, fmt::format("There is no guest '{}': no process visible "
						   "here runs a KVM guest.",
						   name));
	return failure(ENOENT, fmt::format("There is no guest '{}'; running now: {}.", name,
					   candidates(guests)));
}

Result<Choice> choose_vm(const Guest &guest, std::optional<int> vm_fd)
{
	std::string all;

	for (int fd : guest.vm_fds)
		all += fmt::format("{}{}:{}", all.empty() ? "" : ", ", guest.pid, fd);
	if (!vm_fd && guest.vm_fds.size() == 1)
		return Choice{guest, guest.vm_fds.front()};
	if (!vm_fd)
		return failure(ENOTUNIQ,
			       fmt::format("Process {} ('{}') runs {} virtual machines: "
					   "give one of {}.",
					   guest.pid, guest.name, guest.vm_fds.size(), all));
	if (std::ranges::find(guest.vm_fds, *vm_fd) == guest.vm_fds.end())
		return failure(ENOENT, fmt::format("Descriptor {} of process {} ('{}') is not a "
						   "virtual machine: give {}.",
						   *vm_fd, guest.pid, guest.name, all));
	return Choice{guest, *vm_fd};
}

} /* namespace corbel::cli */
