// SPDX-License-Identifier: GPL-2.0-or-later
#include "leaving.hh"

#include "criu.hh"
#include "images.hh"
#include "page_server.hh"

#include "../qemu/cgroup.hh"
#include "../qemu/process.hh"

#include <libcorbel/device.hh>
#include <libcorbel/text_file.hh>

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::containers {

namespace {

namespace fs = std::filesystem;

constexpr const char *dumped_mark = "dumped";
constexpr std::size_t most_bytes = std::size_t{60} << 20; /* of one message */

bool is_image(std::string_view name)
{
	return name.ends_with(".img") && !is_pages_file(name) && !name.starts_with('.') &&
	       std::ranges::all_of(name, [](char c) {
		       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			      (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
	       });
}

} /* namespace */

Result<std::vector<Image>> read_images(const fs::path &folder)
{
	std::vector<Image> images;
	std::error_code error;
	std::size_t sum = 0;

	for (const auto &entry : fs::directory_iterator(folder, error)) {
		const auto name = entry.path().filename().string();
		if (!is_image(name) || !entry.is_regular_file(error))
			continue;
		auto data = text_of_file(entry.path());
		if (!data)
			return failure(EIO,
				       fmt::format("{} cannot be read.", entry.path().string()));
		sum += data->size();
		if (sum > most_bytes)
			return failure(EFBIG,
				       "What CRIU says of the container, without its pages, "
				       "is more than can be handed over: it may have a large "
				       "file that is open and was removed.");
		images.push_back({name, *std::move(data)});
	}
	return images;
}

Result<void> write_images(const fs::path &folder, const std::vector<Image> &images)
{
	for (const auto &image : images) {
		if (!is_image(image.name))
			return failure(EBADMSG,
				       "The source sends an image of a name that none has.");
		const auto path = folder / image.name;
		const ScopedFd file(::open(
			path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
		if (!file || ::write(file.get(), image.data.data(), image.data.size()) !=
				     static_cast<ssize_t>(image.data.size()))
			return failure(errno, fmt::format("{} cannot be written: {}.",
							  path.string(), describe_errno(errno)));
	}
	return {};
}

bool Leaving::is_alive() const
{
	return qemu::is_alive(first_, started_);
}

bool Leaving::is_dumped() const
{
	return has_mark(folder_, dumped_mark);
}

Result<Memory> Leaving::make_memory() const
{
	return CORBEL_EXPECT(Device::open()).create_memory(bytes_);
}

Result<void> Leaving::dump() const
{
	std::error_code error;

	fs::create_directories(folder_, error);
	fs::permissions(folder_, fs::perms::owner_all, error);
	CORBEL_EXPECT(containers::dump(group_, first_, folder_));
	const auto layout = CORBEL_EXPECT(layout_of(folder_ / "images"));
	if (layout.pages > bytes_ / page_size)
		return failure(EFBIG,
			       fmt::format("It has {} MiB by now, and {} MiB are reserved: it "
					   "has grown too fast.",
					   layout.pages >> 8, bytes_ >> 20));
	return set_mark(folder_, dumped_mark);
}

Result<void> Leaving::fill(const Memory &memory) const
{
	const auto images = folder_ / "images";
	const auto layout = CORBEL_EXPECT(layout_of(images));
	void *at =
		::mmap(nullptr, memory.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd(), 0);
	int error = at == MAP_FAILED ? errno : 0;

	if (layout.pages > memory.bytes() / page_size)
		error = EFBIG;
	for (const auto &placed : layout.runs) {
		if (error)
			break;
		const ScopedFd file(
			::open((images / pages_file(placed.file)).c_str(), O_RDONLY | O_CLOEXEC));
		const auto bytes = placed.run.pages * page_size;
		for (std::uint64_t done = 0; !error && done < bytes;) {
			const auto count =
				::pread(file.get(),
					static_cast<char *>(at) + placed.page * page_size + done,
					bytes - done,
					static_cast<off_t>(placed.file_page * page_size + done));
			error = count > 0 ? 0 : count < 0 ? errno : EIO;
			done += count > 0 ? static_cast<std::uint64_t>(count) : 0;
		}
	}
	if (at != MAP_FAILED)
		::munmap(at, memory.bytes());
	if (error)
		return failure(error, fmt::format("The pages in {} cannot be read: {}.",
						  images.string(), describe_errno(error)));
	return memory.seal(true);
}

Result<std::vector<Image>> Leaving::images() const
{
	return read_images(folder_ / "images");
}

void Leaving::forget() const
{
	std::error_code error;

	/* Not dumped any more before anything of it is gone. */
	fs::remove(folder_ / dumped_mark, error);
	fs::remove_all(folder_, error);
}

Result<void> Leaving::end() const
{
	CORBEL_EXPECT(qemu::remove_cgroup(group_.folder()));
	forget();
	return {};
}

} /* namespace corbel::containers */
