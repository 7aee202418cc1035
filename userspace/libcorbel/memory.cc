// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/memory.hh>

#include <libcorbel/ioctl_table.hh>
#include <libcorbel/number.hh>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

namespace corbel {

namespace {

std::string node_of(std::uint32_t number)
{
	return fmt::format("{}{}", CORBEL_MEMORY_NODE, number);
}

std::unexpected<Error> refusal(std::uint32_t number, const char *what, int error)
{
	return failure(error, fmt::format("The memory object {} cannot be {}: {}.", node_of(number),
					  what, describe_errno(error)));
}

} /* namespace */

std::optional<std::uint32_t> memory_number(std::string_view node)
{
	constexpr std::string_view prefix = CORBEL_MEMORY_NODE;

	if (!node.starts_with(prefix))
		return std::nullopt;
	node.remove_prefix(prefix.size());
	return number_of<std::uint32_t>(node);
}

/* ---- memory objects ---------------------------------------------------------------- */

Result<Memory> Memory::open(std::uint32_t number)
{
	const auto node = node_of(number);
	ScopedFd fd(::open(node.c_str(), O_RDWR | O_CLOEXEC));
	corbel_memory_info info{};

	if (!fd)
		return failure(errno, fmt::format("The memory object {} cannot be opened: {}.",
						  node, describe_errno(errno)));
	if (const int ret = call(fd.get(), request::memory_info, info); ret < 0)
		return refusal(number, "looked at", -ret);
	return Memory(std::move(fd), number, info.bytes);
}

std::string Memory::node() const
{
	return node_of(number_);
}

Result<corbel_memory_info> Memory::info() const
{
	corbel_memory_info info{};

	if (const int ret = call(fd_.get(), request::memory_info, info); ret < 0)
		return refusal(number_, "looked at", -ret);
	return info;
}

Result<std::uint64_t> Memory::install(std::uint64_t offset, std::uint64_t bytes,
				      const void *source) const
{
	corbel_memory_install install{};

	install.flags = source ? 0 : CORBEL_MEMORY_ZERO;
	install.offset = offset;
	install.bytes = bytes;
	install.source = reinterpret_cast<std::uintptr_t>(source);
	if (const int ret = call(fd_.get(), request::memory_install, install); ret < 0)
		return refusal(number_, "filled", -ret);
	return install.installed;
}

Result<void> Memory::fail() const
{
	corbel_memory_fail fail{};

	if (const int ret = call(fd_.get(), request::memory_fail, fail); ret < 0)
		return refusal(number_, "given up", -ret);
	return {};
}

Result<void> Memory::requeue() const
{
	corbel_memory_requeue requeue{};

	if (const int ret = call(fd_.get(), request::memory_requeue, requeue); ret < 0)
		return refusal(number_, "asked again what it misses", -ret);
	return {};
}

Result<void> Memory::track(bool on) const
{
	corbel_memory_track track{};

	track.flags = on ? 0 : CORBEL_MEMORY_TRACK_OFF;
	const int ret = call(fd_.get(), request::memory_track, track);
	if (ret < 0 && ret != -EALREADY)
		return refusal(number_, "tracked, or no longer tracked", -ret);
	return {};
}

Result<void> Memory::seal(bool on) const
{
	corbel_memory_seal seal{};

	seal.flags = on ? 0 : CORBEL_MEMORY_UNSEAL;
	const int ret = call(fd_.get(), request::memory_seal, seal);
	if (ret == -EBUSY)
		return failure(
			EBUSY,
			on ? fmt::format("The memory object {} misses pages: what is not all "
					 "there cannot be sealed.",
					 node())
			   : fmt::format("The memory object {} is served to another host, so "
					 "its seal cannot be taken off.",
					 node()));
	if (ret < 0 && ret != -EALREADY)
		return refusal(number_, on ? "sealed" : "unsealed", -ret);
	return {};
}

Result<std::uint64_t> Memory::prepare() const
{
	corbel_memory_prepare prepare{};

	if (const int ret = call(fd_.get(), request::memory_prepare, prepare); ret < 0)
		return refusal(number_, "given its page tables", -ret);
	return prepare.tables;
}

Result<std::uint64_t> Memory::join() const
{
	corbel_memory_join join{};

	if (const int ret = call(fd_.get(), request::memory_join, join); ret < 0)
		return refusal(number_, "mapped in pieces of 2 MiB again", -ret);
	return join.pieces;
}

Result<std::uint64_t> Memory::count_dirty() const
{
	corbel_memory_dirty dirty{};

	dirty.flags = CORBEL_MEMORY_DIRTY_KEEP;
	if (const int ret = call(fd_.get(), request::memory_dirty, dirty); ret < 0)
		return refusal(number_, "asked what was written", -ret);
	return dirty.pages;
}

Result<std::vector<std::uint64_t>> Memory::absent() const
{
	std::vector<std::uint64_t> bits((bytes_ / CORBEL_MEMORY_PAGE + 63) / 64);
	corbel_memory_absent absent{};

	absent.bitmap = reinterpret_cast<std::uintptr_t>(bits.data());
	if (const int ret = call(fd_.get(), request::memory_absent, absent); ret < 0)
		return refusal(number_, "asked which pages it misses", -ret);
	return bits;
}

Result<Pager> Memory::pager(std::uint32_t role, int demand, int push, const PagerSession &session,
			    std::uint32_t flags) const
{
	corbel_pager_new pager{};

	pager.flags = flags;
	pager.role = role;
	pager.demand = demand;
	pager.push = push;
	std::ranges::copy(session, pager.session);
	const int ret = call(fd_.get(), request::pager_new, pager);
	switch (ret < 0 ? -ret : 0) {
	case 0:
		return Pager(ScopedFd(ret));
	case ENOKEY:
		return failure(ENOKEY, "The connections for pages are not encrypted, and this was "
				       "not allowed with --plain.");
	case ENOTTY:
		return failure(ENOTTY, "The corbel_postcopy.ko that is loaded has no pagers: load "
				       "the one of this version.");
	default:
		return refusal(number_, "given to a pager", -ret);
	}
}

/* ---- pagers ------------------------------------------------------------------------ */

namespace {

std::unexpected<Error> pager_refusal(const char *what, int error)
{
	if (error == ENOTCONN)
		return failure(error, "The connection for pages is lost.");
	return failure(error, fmt::format("The pager cannot {}: {}.", what, describe_errno(error)));
}

} /* namespace */

Result<corbel_pager_info> Pager::info() const
{
	corbel_pager_info info{};

	if (const int ret = call(fd_.get(), request::pager_info, info); ret < 0)
		return pager_refusal("be looked at", -ret);
	return info;
}

Result<std::uint64_t> Pager::round() const
{
	corbel_pager_round round{};

	if (const int ret = call(fd_.get(), request::pager_round, round); ret < 0)
		return pager_refusal("send what was written", -ret);
	return round.pages;
}

/* Who did so before and died may do it again. */
Result<std::uint64_t> Pager::go(std::uint32_t flags) const
{
	corbel_pager_go go{};
	go.flags = flags;
	const int ret = call(fd_.get(), request::pager_go, go);

	if (ret < 0 && ret != -EALREADY)
		return pager_refusal("send the rest", -ret);
	return go.missing;
}

} /* namespace corbel */
