// SPDX-License-Identifier: GPL-2.0-or-later
#include "session.hh"

#include "target.hh"

#include <libcorbel/guest.hh>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

Result<Session> open_attachment(const Device &device, std::uint64_t vm_id)
{
	auto vm = CORBEL_EXPECT(device.open_vm(vm_id));
	auto info = CORBEL_EXPECT(vm.info());
	Session session{std::move(vm), info, "", true, {}};

	/* The process may have ended or be hidden; the attachment is still good. */
	if (info.pid != 0) {
		auto pid = static_cast<pid_t>(info.pid);

		if (auto guest = GuestFinder().look_at(pid))
			session.name = guest->name;
		if (auto process = open_process(pid))
			session.process = std::move(*process);
	}
	return session;
}

Result<Choice> find_choice(const Target &target)
{
	GuestFinder finder;

	if (const auto *process = std::get_if<TargetProcess>(&target))
		return choose_vm(CORBEL_EXPECT(finder.look_at(process->pid)), process->vm_fd);
	return choose_by_name(std::get<TargetName>(target).name,
			      CORBEL_EXPECT(finder.find()).guests);
}

} /* namespace */

std::string Session::label() const
{
	auto text = fmt::format("VM {}", vm.id());

	if (!name.empty())
		text += fmt::format(" '{}'", name);
	if (info.pid != 0)
		text += fmt::format(" (pid {})", info.pid);
	return text;
}

Result<Session> open_session(const Device &device, std::string_view text)
{
	auto target = CORBEL_EXPECT(parse_target(text));

	if (const auto *attachment = std::get_if<TargetAttachment>(&target))
		return open_attachment(device, attachment->vm_id);

	auto choice = CORBEL_EXPECT(find_choice(target));
	auto process = CORBEL_EXPECT(open_process(choice.guest.pid));
	/* Borrowed for the call only: held longer it would keep a dead VM alive. */
	auto vm = CORBEL_EXPECT(
		device.attach(CORBEL_EXPECT(borrow_descriptor(choice.guest.pid, choice.vm_fd))));
	auto info = CORBEL_EXPECT(vm.info());
	bool attached_before = info.pinned != 0 || info.nr_fds > 1;

	return Session{std::move(vm), info, choice.guest.name, attached_before, std::move(process)};
}

} /* namespace corbel::cli */
