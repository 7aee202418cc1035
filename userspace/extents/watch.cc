// SPDX-License-Identifier: GPL-2.0-or-later
#include "watch.hh"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace corbel::extents {

namespace {

using namespace std::chrono_literals;

constexpr auto apart = 100ms;
constexpr int share = 9;
/* Defragmenters only close. */
constexpr std::uint32_t kinds =
	IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF;

} /* namespace */

Watch::Watch(std::chrono::milliseconds period, Changed changed)
	: period_(period),
	  changed_(std::move(changed)),
	  events_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
	  wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
	  thread_([this](const std::stop_token &stop) { run(stop); })
{}

Watch::~Watch()
{
	thread_.request_stop();
	(void)::eventfd_write(wake_.get(), 1);
}

Result<void> Watch::add(const std::string &path, Format format)
{
	const std::lock_guard guard(lock_);
	Watched watched;

	if (watched_.contains(path))
		return {};
	CORBEL_EXPECT(open_disk(path));
	watched.format = format;
	/* The mark first: what is written while we look is looked at again. */
	mark(path, watched);
	watched.seen = look(path, format);
	watched.again = Clock::now() + period_;
	watched_.emplace(path, watched);
	(void)::eventfd_write(wake_.get(), 1);
	return {};
}

void Watch::remove(const std::string &path)
{
	const std::lock_guard guard(lock_);
	const auto found = watched_.find(path);

	if (found == watched_.end())
		return;
	const int mark = found->second.mark;
	watched_.erase(found);
	unmark(mark);
}

/* Of what cannot be marked only periods tell. */
void Watch::mark(const std::string &path, Watched &watched)
{
	const int before = std::exchange(watched.mark,
					 ::inotify_add_watch(events_.get(), path.c_str(), kinds));

	if (before != watched.mark)
		unmark(before);
}

void Watch::unmark(int mark)
{
	if (mark >= 0 && std::ranges::none_of(watched_, [&](const auto &each) {
		    return each.second.mark == mark;
	    }))
		(void)::inotify_rm_watch(events_.get(), mark);
}

Seen Watch::look(const std::string &path, Format format)
{
	const auto source = read_source(kernel_devices(), path, false, format);

	return source ? digest(kernel_devices(), *source) : Seen{};
}

/* Of an event it is not told whose it is: all disks on pools are looked at. */
void Watch::listen_to_pools()
{
	const std::lock_guard guard(lock_);
	pollfd fd{moves_ ? moves_->descriptor() : -1, POLLIN, 0};

	if (std::ranges::none_of(watched_,
				 [](const auto &each) { return each.second.seen.on_pool; })) {
		moves_.reset();
		return;
	}
	if (moves_ && ::poll(&fd, 1, 0) <= 0)
		return;
	if (!moves_)
		if (auto opened = volumes::MapperEvents::open())
			moves_ = std::move(*opened);
	if (moves_ && !moves_->arm())
		moves_.reset();
	for (auto &[path, watched] : watched_)
		watched.written |= watched.seen.on_pool;
}

/* Whether there were any. */
bool Watch::take_events()
{
	alignas(inotify_event) std::array<char, 8192> room;

	for (bool any = false;; any = true) {
		const auto got = ::read(events_.get(), room.data(), room.size());

		if (got <= 0)
			return any;
		const std::lock_guard guard(lock_);
		for (auto at = room.data(); at < room.data() + got;) {
			const auto &event = *reinterpret_cast<const inotify_event *>(at);

			/* Of what it has lost the kernel tells that it has. */
			for (auto &[path, watched] : watched_)
				watched.written |=
					event.mask & IN_Q_OVERFLOW || watched.mark == event.wd;
			at += sizeof(event) + event.len;
		}
	}
}

/* The one whose turn it is, or when the next one's is. */
std::string Watch::due(Clock::time_point now, Clock::time_point &next)
{
	const std::lock_guard guard(lock_);

	for (const auto &[path, watched] : watched_) {
		const auto when = watched.written ? watched.not_before : watched.again;

		if (when <= now)
			return path;
		next = std::min(next, when);
	}
	return {};
}

void Watch::look_at(const std::string &path)
{
	const auto began = Clock::now();
	bool differs = false;
	Format format = Format::probe;

	{
		const std::lock_guard guard(lock_);
		const auto found = watched_.find(path);

		if (found == watched_.end())
			return;
		found->second.written = false;
		format = found->second.format;
		/* It may be another file by now, even of the same number. */
		mark(path, found->second);
	}
	const auto seen = look(path, format);
	{
		const std::lock_guard guard(lock_);
		const auto found = watched_.find(path);

		if (found == watched_.end())
			return;
		differs = std::exchange(found->second.seen, seen) != seen;
	}
	if (differs)
		changed_(path);

	const std::lock_guard guard(lock_);
	const auto now = Clock::now();
	if (const auto found = watched_.find(path); found != watched_.end()) {
		found->second.not_before =
			now + std::max<Clock::duration>(apart, share * (now - began));
		found->second.again = std::max(now + period_, found->second.not_before);
	}
}

void Watch::wait(Clock::time_point until, bool for_events)
{
	constexpr Clock::duration longest = 1h;
	const auto time = std::clamp(until - Clock::now(), Clock::duration::zero(), longest);
	std::array<pollfd, 3> fds = {
		{{wake_.get(), POLLIN, 0},
		 {for_events ? events_.get() : -1, POLLIN, 0},
		 {for_events && moves_ ? moves_->descriptor() : -1, POLLIN, 0}}};
	eventfd_t count = 0;

	(void)::poll(fds.data(), fds.size(),
		     static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(time).count()));
	(void)::eventfd_read(wake_.get(), &count);
}

void Watch::run(const std::stop_token &stop)
{
	/* The kernel makes one event of all that come meanwhile. */
	Clock::time_point deaf_until;

	while (!stop.stop_requested()) {
		const auto now = Clock::now();
		auto next = now + period_;

		if (now >= deaf_until) {
			listen_to_pools();
			if (take_events())
				deaf_until = now + apart;
		}
		const auto path = due(now, next);
		if (!path.empty())
			look_at(path);
		else
			wait(now < deaf_until ? std::min(next, deaf_until) : next,
			     now >= deaf_until);
	}
}

} /* namespace corbel::extents */
