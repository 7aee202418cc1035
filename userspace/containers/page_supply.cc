// SPDX-License-Identifier: GPL-2.0-or-later
#include "page_supply.hh"

#include "images.hh"

#include "../qemu/cgroup.hh"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

using namespace std::chrono_literals;

constexpr auto stall_limit = 1s;
constexpr auto retry_after = 1ms, no_memory_after = 100ms, fill_after = 20ms;
constexpr std::uint64_t at_once = 64; /* pages, of those that nobody waits for */
/* Is left to the container below its limit while it runs: it forks, and makes new pages. */
constexpr std::uint64_t own_share = std::uint64_t{2} << 20;
/* Where a process can have memory. */
constexpr std::uint64_t lowest = 1 << 16, highest = (std::uint64_t{1} << 47) - page_size;

} /* namespace */

PageSupply::PageSupply(PageServer server, Memory memory, Journal &journal, Reserve reserve)
	: server_(std::move(server)),
	  group_(server_.group),
	  memory_(std::move(memory)),
	  journal_(journal),
	  reserve_(std::move(reserve))
{}

PageSupply::~PageSupply()
{
	for (auto &thread : threads_)
		thread.request_stop();
	threads_.clear();
	if (pages_)
		::munmap(const_cast<std::byte *>(pages_), memory_.bytes());
}

Result<void> PageSupply::map()
{
	void *at = ::mmap(nullptr, memory_.bytes(), PROT_READ, MAP_SHARED, memory_.fd(), 0);

	if (at == MAP_FAILED)
		return failure(errno, fmt::format("The memory object {} cannot be mapped: {}.",
						  memory_.node(), describe_errno(errno)));
	pages_ = static_cast<const std::byte *>(at);
	return {};
}

/* ---- what is told ------------------------------------------------------------------ */

Result<void> PageSupply::replay()
{
	const std::lock_guard guard(lock_);

	for (const auto &entry : journal_.entries())
		apply(entry);
	/* What they wait for was told to somebody who is no more: they ask again. */
	for (const auto &[fd, missing] : processes_)
		wake(fd, lowest, highest - lowest);
	stalled_ = has_mark(server_.folder, stalled_mark);
	return {};
}

void PageSupply::begin()
{
	for (unsigned number = 0; number < workers; number++)
		threads_.emplace_back(
			[this, number](const std::stop_token &stop) { work(stop, number); });
	threads_.emplace_back([this](const std::stop_token &stop) { fill(stop); });
}

void PageSupply::apply(const Journal::Entry &entry)
{
	const auto &what = entry.message.arg;

	if (entry.process) {
		Missing missing;

		if (const auto layout = layout_of(server_.folder / "images"))
			for (const auto &placed : layout->runs)
				if (placed.process == entry.process && placed.run.lazy)
					missing.add({placed.run.address, placed.run.pages,
						     placed.page});
		processes_[entry.fd] = std::move(missing);
		return;
	}
	switch (entry.message.event) {
	case UFFD_EVENT_FORK:
		processes_[static_cast<int>(what.fork.ufd)] = processes_[entry.fd];
		break;
	case UFFD_EVENT_REMAP:
		processes_[entry.fd].move(what.remap.from, what.remap.to, what.remap.len);
		break;
	case UFFD_EVENT_REMOVE:
	case UFFD_EVENT_UNMAP:
		processes_[entry.fd].drop(what.remove.start, what.remove.end);
		break;
	default:
		break;
	}
}

void PageSupply::add(int fd, pid_t process)
{
	const std::lock_guard guard(lock_);
	auto &entry = journal_.next();

	entry = {.fd = fd, .process = process, .message = {}};
	apply(entry);
	journal_.keep();
}

std::vector<int> PageSupply::descriptors()
{
	const std::lock_guard guard(lock_);
	std::vector<int> fds;

	fds.reserve(processes_.size());
	for (const auto &[fd, missing] : processes_)
		fds.push_back(fd);
	return fds;
}

void PageSupply::hear(int fd)
{
	const std::lock_guard guard(lock_);

	for (;;) {
		auto &entry = journal_.next();

		entry = {.fd = fd, .process = 0, .message = {}};
		/* It does not block. NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection) */
		if (::read(fd, &entry.message, sizeof(entry.message)) !=
		    static_cast<ssize_t>(sizeof(entry.message)))
			return;
		if (entry.message.event == UFFD_EVENT_PAGEFAULT) {
			faults_.push_back(
				{fd, entry.message.arg.pagefault.address / page_size * page_size});
			more_.notify_one();
			continue;
		}
		apply(entry);
		journal_.keep();
	}
}

/* Those that have ended tell it to nobody: they are asked for a page that none of them has. */
void PageSupply::forget_dead()
{
	const std::lock_guard guard(lock_);

	for (auto at = processes_.begin(); at != processes_.end();) {
		uffdio_zeropage zero{};

		zero.range = {.start = highest - page_size, .len = page_size};
		const bool gone = ::ioctl(at->first, UFFDIO_ZEROPAGE, &zero) != 0 &&
				  (errno == ESRCH || errno == EBADF || errno == ENOTTY);
		if (gone && errno == ESRCH)
			::close(at->first);
		at = gone ? processes_.erase(at) : std::next(at);
	}
}

/* ---- bringing it ------------------------------------------------------------------- */

void PageSupply::stalls(unsigned number, bool begins)
{
	since_[number].store(begins ? Clock::now().time_since_epoch().count() : 0);
}

/* By a system call, which is told where this memory would end who touches it. */
bool PageSupply::fetch(unsigned number, const MissingRun &run, std::byte *to)
{
	const iovec here{.iov_base = to, .iov_len = run.pages * page_size};
	const iovec there{.iov_base = const_cast<std::byte *>(pages_ + run.page * page_size),
			  .iov_len = run.pages * page_size};

	if (run.page + run.pages > memory_.bytes() / page_size)
		return false;
	stalls(number, true);
	const auto count = ::process_vm_readv(::getpid(), &here, 1, &there, 1, 0);
	stalls(number, false);
	return count == static_cast<ssize_t>(run.pages * page_size);
}

std::int64_t PageSupply::copy(int fd, const MissingRun &run, const std::byte *from)
{
	uffdio_copy copy{};

	copy.dst = run.address;
	copy.src = reinterpret_cast<std::uintptr_t>(from);
	copy.len = run.pages * page_size;
	if (::ioctl(fd, UFFDIO_COPY, &copy) == 0)
		return static_cast<std::int64_t>(copy.len);
	return copy.copy > 0 ? copy.copy : -errno;
}

void PageSupply::wake(int fd, std::uint64_t address, std::uint64_t bytes)
{
	uffdio_range range{.start = address, .len = bytes};

	(void)::ioctl(fd, UFFDIO_WAKE, &range);
}

/* Where copying would have the OOM killer look for somebody, it is not tried. */
std::string PageSupply::shortage(std::uint64_t bytes) const
{
	if (const auto limit = group_.limit_below(bytes); !limit.empty())
		return fmt::format("There is no room for its pages below {}.", limit.string());
	if (reserve_.held() == 0 && available_memory() < bytes)
		return "There is no free memory for its pages.";
	return {};
}

PageSupply::Put PageSupply::put(int fd, const MissingRun &run, const std::byte *from)
{
	auto &missing = processes_[fd];

	if (auto reason = shortage(run.pages * page_size + (stalled_ ? 0 : own_share));
	    !reason.empty()) {
		short_ = std::move(reason);
		return Put::no_room;
	}
	reserve_.make_room(run.pages);
	const auto done = copy(fd, run, from);
	auto end = run.address + run.pages * page_size;

	switch (done) {
	case -EAGAIN:
		return Put::again;
	case -ENOMEM:
		/* Others were faster. */
		reserve_.count(run.pages);
		return Put::no_memory;
	case -ESRCH:
	case -EBADF:
	case -ENOTTY:
		processes_.erase(fd);
		return Put::done;
	case -EEXIST:
	case -ENOENT:
		/* The first one is there already, or is in nothing that can be missed. */
		if (run.pages > 1)
			return put(fd, {run.address, 1, run.page}, from);
		wake(fd, run.address, page_size);
		break;
	default:
		if (done < 0) {
			failed_ = true;
			return Put::no_memory;
		}
		end = run.address + static_cast<std::uint64_t>(done);
		reserve_.count(static_cast<std::uint64_t>(done) / page_size);
	}
	missing.drop(run.address, end);
	return Put::done;
}

PageSupply::Put PageSupply::put_zero(int fd, std::uint64_t address)
{
	uffdio_zeropage zero{};

	zero.range = {.start = address, .len = page_size};
	if (::ioctl(fd, UFFDIO_ZEROPAGE, &zero) == 0)
		return Put::done;
	if (errno == EAGAIN)
		return Put::again;
	if (errno == ENOMEM)
		return Put::no_memory;
	wake(fd, address, page_size);
	return Put::done;
}

void PageSupply::bring(const std::stop_token &stop, unsigned number, int fd, std::uint64_t address,
		       std::span<std::byte> buffer)
{
	std::optional<MissingRun> have;

	while (!stop.stop_requested()) {
		std::optional<MissingRun> wanted;
		auto how = Put::done;
		{
			const std::lock_guard guard(lock_);
			const auto process = processes_.find(fd);

			if (process == processes_.end())
				return;
			wanted = process->second.at(address);
			if (wanted)
				wanted->pages = std::min(wanted->pages, buffer.size() / page_size);
			if (!wanted)
				how = put_zero(fd, address);
			else if (wanted == have)
				how = put(fd, *have, buffer.data());
			if (how == Put::done && (!wanted || wanted == have)) {
				stalls(number, false);
				return;
			}
		}
		if (wanted && wanted != have) {
			if (!fetch(number, *wanted, buffer.data())) {
				failed_ = true;
				return;
			}
			have = wanted;
		} else if (how == Put::no_memory) {
			if (since_[number].load() == 0)
				stalls(number, true);
			std::this_thread::sleep_for(no_memory_after);
		} else if (how == Put::no_room) {
			std::this_thread::sleep_for(no_memory_after);
		} else {
			std::this_thread::sleep_for(retry_after);
		}
	}
}

void PageSupply::work(const std::stop_token &stop, unsigned number)
{
	std::vector<std::byte> buffer(page_size);

	while (!stop.stop_requested()) {
		Fault fault{};
		{
			std::unique_lock guard(lock_);

			if (!more_.wait(guard, stop, [&] { return !faults_.empty(); }))
				return;
			fault = faults_.front();
			faults_.pop_front();
		}
		bring(stop, number, fault.fd, fault.address, buffer);
	}
}

bool PageSupply::all_here()
{
	const auto info = memory_.info();

	all_here_ = all_here_ || (info && info->present == info->bytes);
	return all_here_;
}

/* Once nothing has to be waited for. Those whose pages are all there are let alone. */
void PageSupply::fill(const std::stop_token &stop)
{
	std::vector<std::byte> buffer(at_once * page_size);

	while (!stop.stop_requested()) {
		std::optional<Fault> next;

		if (journal_.is(Journal::restored) && all_here()) {
			const std::lock_guard guard(lock_);

			for (auto &[fd, missing] : processes_)
				if (const auto run = missing.first(); run && !next)
					next = Fault{fd, run->address};
		}
		if (next)
			bring(stop, filler, next->fd, next->address, buffer);
		else
			std::this_thread::sleep_for(fill_after);
	}
}

/* ---- whether it may run ------------------------------------------------------------ */

std::string PageSupply::stall()
{
	const auto now = Clock::now();

	if (failed_)
		return "A page that it waits for will not come.";
	{
		const std::lock_guard guard(lock_);

		/* It goes on when whoever tries next finds room, or has them all. */
		if (!short_.empty())
			short_ = shortage(at_once * page_size + own_share);
		if (!short_.empty())
			return short_;
	}
	for (const auto &since : since_)
		if (const auto begun = since.load();
		    begun != 0 && now.time_since_epoch() - Clock::duration(begun) > stall_limit)
			return "A page that it waits for has not come.";
	return {};
}

void PageSupply::look_at_stalls()
{
	const auto now = Clock::now();

	if (now - looked_ > 1s) {
		looked_ = now;
		forget_dead();
	}
	const auto reason = stall();
	if (reason.empty())
		return let_go();
	if (!has_mark(server_.folder, went_mark) || (stalled_ && reason == stalled_as_))
		return;
	/* Who has frozen it before lets it go himself. */
	if (!stalled_ && group_.is_frozen())
		return;
	if (!set_mark(server_.folder, stalled_mark, reason))
		return;
	if (!stalled_)
		(void)qemu::put_into_cgroup(server_.group / "cgroup.freeze", "1");
	stalled_ = true;
	stalled_as_ = reason;
}

void PageSupply::let_go()
{
	std::error_code error;

	if (!stalled_)
		return;
	(void)qemu::put_into_cgroup(server_.group / "cgroup.freeze", "0");
	std::filesystem::remove(server_.folder / stalled_mark, error);
	stalled_ = false;
}

bool PageSupply::is_done()
{
	const std::lock_guard guard(lock_);

	return journal_.is(Journal::restored) && faults_.empty() &&
	       std::ranges::all_of(processes_,
				   [](const auto &entry) { return entry.second.empty(); });
}

} /* namespace corbel::containers */
