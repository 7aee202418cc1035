// SPDX-License-Identifier: GPL-2.0-or-later
#include "mapper_events.hh"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::volumes {

namespace {

constexpr const char *control_path = "/dev/mapper/control";

std::unexpected<Error> failed(const char *what)
{
	return failure(errno, fmt::format("{}: {}.", what, describe_errno(errno)));
}

} /* namespace */

Result<MapperEvents> MapperEvents::open()
{
	ScopedFd control(::open(control_path, O_RDWR | O_CLOEXEC));
	if (!control)
		return failed(control_path);
	ScopedFd stopped(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (!stopped)
		return failed("eventfd");
	return MapperEvents(std::move(control), std::move(stopped));
}

/* libdevmapper has a descriptor of its own, which is not told to others. */
Result<void> MapperEvents::arm()
{
	dm_ioctl request{};

	/* What DM_DEV_ARM_POLL came with. */
	request.version[0] = 4;
	request.version[1] = 37;
	request.data_size = sizeof(request);
	request.data_start = sizeof(request);
	if (::ioctl(control_.get(), DM_DEV_ARM_POLL, &request) != 0)
		return failed(control_path);
	return {};
}

void MapperEvents::wait(const std::stop_token &stop, std::chrono::milliseconds at_most) const
{
	const std::stop_callback wake(stop, [this] {
		const std::uint64_t one = 1;

		(void)!::write(stopped_.get(), &one, sizeof(one));
	});
	std::array<pollfd, 2> fds{{{control_.get(), POLLIN, 0}, {stopped_.get(), POLLIN, 0}}};

	(void)::poll(fds.data(), fds.size(), static_cast<int>(at_most.count()));
}

} /* namespace corbel::volumes */
