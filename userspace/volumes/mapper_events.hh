/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mapper_events.hh - something has happened to one of device-mapper's devices. */
#pragma once

#include <libcorbel/error.hh>
#include <libcorbel/scoped_fd.hh>

#include <chrono>
#include <stop_token>

namespace corbel::volumes {

class MapperEvents {
public:
	/* ENOENT, ENXIO: there is no device-mapper now. */
	[[nodiscard]] static Result<MapperEvents> open();

	/* What happens from now on, and did since wait() returned, ends the next wait(). */
	[[nodiscard]] Result<void> arm();
	/* Until something happens, it is stopped, or that time is over. */
	void wait(const std::stop_token &stop, std::chrono::milliseconds at_most) const;
	/* Can be read, when something has happened, until the next arm(). */
	[[nodiscard]] int descriptor() const { return control_.get(); }

private:
	MapperEvents(ScopedFd control, ScopedFd stopped)
		: control_(std::move(control)), stopped_(std::move(stopped))
	{}

	ScopedFd control_, stopped_;
};

} /* namespace corbel::volumes */
