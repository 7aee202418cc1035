// SPDX-License-Identifier: GPL-2.0-or-later
#include "arriving.hh"

#include "criu.hh"
#include "page_server.hh"

#include "../qemu/cgroup.hh"

#include <libcorbel/device.hh>
#include <libcorbel/text_file.hh>

#include <cerrno>
#include <fstream>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto restore_limit = 35s;

} /* namespace */

std::optional<std::uint32_t> Arriving::number() const
{
	const auto line = first_line_of(folder_ / "memory");

	return line ? memory_number(*line) : std::nullopt;
}

std::optional<Memory> Arriving::memory() const
{
	const auto known = number();
	auto memory = known ? Memory::open(*known) : failure(ENOENT, "");

	return memory ? std::optional(*std::move(memory)) : std::nullopt;
}

bool Arriving::is_left() const
{
	return ::access(folder_.c_str(), F_OK) == 0;
}

bool Arriving::is_whole() const
{
	return has_mark(folder_, served_mark);
}

std::string Arriving::stall() const
{
	const auto text = text_of_file(folder_ / stalled_mark);

	return !text ? "" : text->empty() ? "Its page server was killed." : *text;
}

/* Without a page server what is missing would read as zeros: there is nothing left of it then. */
Arriving::State Arriving::state() const
{
	const auto known = number();

	if (!known || (!is_whole() && !PageServer{folder_, *known, group_.folder()}.is_alive()))
		return State::none;
	if (!has_mark(folder_, loaded_mark))
		return State::waiting;
	if (group_.processes().empty())
		return State::none;
	return has_mark(folder_, went_mark) ? State::running : State::loaded;
}

Result<void> Arriving::make(const Wish &wish, std::vector<std::string> &missed) const
{
	std::error_code error;

	fs::create_directories(folder_ / "images", error);
	fs::permissions(folder_, fs::perms::owner_all, error);
	const auto memory = CORBEL_EXPECT(
		CORBEL_EXPECT(Device::open()).create_memory(wish.bytes, CORBEL_MEMORY_MISSING));
	std::ofstream(folder_ / "memory") << memory.node() << '\n';
	fs::create_directories(group_.folder(), error);
	if (error || !group_.exists())
		return failure(error ? error.value() : ENOTSUP,
			       fmt::format("The cgroup {} cannot be made there.", group_.name()));
	/* Limits are of use only where the controllers are passed down. */
	auto above = qemu::cgroup_mount();
	for (const auto &part : group_.folder().lexically_relative(above)) {
		for (const char *controller : {"+cpu", "+memory", "+pids"})
			(void)qemu::put_into_cgroup(above / "cgroup.subtree_control", controller);
		above /= part;
	}
	missed = group_.set(wish.limits);
	CORBEL_EXPECT((PageServer{folder_, memory.number(), group_.folder()}.start(program_)));
	return {};
}

Result<void> Arriving::load(const std::vector<Image> &images) const
{
	const auto known = number();

	if (!known)
		return failure(ENOENT, "Its memory is gone there.");
	if (has_mark(folder_, loading_mark))
		return failure(EEXIST, "It was being put together there when that was broken off.");
	CORBEL_EXPECT(set_mark(folder_, loading_mark));
	CORBEL_EXPECT(write_images(folder_ / "images", images));
	CORBEL_EXPECT(restore(group_, folder_, *known, program_, restore_limit));
	if (group_.processes().empty() || !group_.is_frozen())
		return failure(ECHILD, "CRIU has put it together there, and it is not there.");
	return set_mark(folder_, loaded_mark);
}

Result<void> Arriving::go() const
{
	CORBEL_EXPECT(qemu::put_into_cgroup(group_.folder() / "cgroup.freeze", "0"));
	return set_mark(folder_, went_mark);
}

Result<void> Arriving::freeze() const
{
	return qemu::put_into_cgroup(group_.folder() / "cgroup.freeze", "1");
}

Result<void> Arriving::destroy() const
{
	const auto known = number();
	std::error_code error;

	CORBEL_EXPECT(qemu::remove_cgroup(group_.folder()));
	if (known)
		CORBEL_EXPECT((PageServer{folder_, *known, group_.folder()}.end()));
	fs::remove_all(folder_, error);
	return {};
}

void Arriving::finish() const
{
	std::error_code error;

	fs::remove_all(folder_, error);
}

} /* namespace corbel::containers */
