// SPDX-License-Identifier: GPL-2.0-or-later
#include "guest_source.hh"

#include "process.hh"

#include <libcorbel/text_file.hh>

#include <algorithm>
#include <system_error>

#include <fmt/format.h>

namespace corbel::qemu {

namespace {

namespace fs = std::filesystem;

/* The arguments of one process take at most a few MiB, unless the host says otherwise. */
constexpr std::size_t longest_command_line = std::size_t{4} << 20;

/* What /proc says of @guest. False: it has ended. */
bool look_at(FoundGuest &guest)
{
	const fs::path folder = fmt::format("/proc/{}", guest.pid);
	const auto started = start_of(guest.pid);
	std::error_code error;

	if (!started)
		return false;
	guest.started = *started;
	guest.command_line = text_of_file(folder / "cmdline", longest_command_line).value_or("");
	guest.socket_table = folder / "net/unix";
	guest.network = fs::read_symlink(folder / "ns/net", error).string();
	guest.same_files = fs::equivalent(folder / "root", "/", error) && !error;
	guest.peer = guest.pid;
	return true;
}

} /* namespace */

bool HostGuests::is_libvirts(const FoundGuest &guest) const
{
	if (guest.name.find('/') != guest.name.npos)
		return false;
	const auto pid = first_line_of(libvirt_ / (guest.name + ".pid"));

	return pid && *pid == std::to_string(guest.pid);
}

Result<std::vector<FoundGuest>> HostGuests::find()
{
	const auto search = CORBEL_EXPECT(finder_.find());
	std::vector<FoundGuest> guests;

	guests.reserve(search.guests.size());
	for (const auto &guest : search.guests)
		guests.push_back({.pid = guest.pid,
				  .process = guest.process,
				  .name = guest.name,
				  .vcpus = guest.vcpus,
				  .command_line = {}});
	for (auto &own : own_ ? own_() : std::vector<OwnGuest>()) {
		auto found = std::ranges::find(guests, own.pid, &FoundGuest::pid);

		if (found == guests.end())
			found = guests.insert(guests.end(), {.pid = own.pid,
							     .process = "qemu",
							     .name = own.name,
							     .command_line = {}});
		found->manager = Manager::corbel;
		found->own_monitor = own.monitor;
	}
	std::erase_if(guests, [](FoundGuest &guest) { return !look_at(guest); });
	for (auto &guest : guests)
		if (guest.manager == Manager::nobody && is_libvirts(guest))
			guest.manager = Manager::libvirt;
	return guests;
}

} /* namespace corbel::qemu */
