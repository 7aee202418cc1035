// SPDX-License-Identifier: GPL-2.0-or-later
#include "checkpoint_file.hh"

#include "checkpoint_format.hh"

#include <libcorbel/whole_io.hh>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <zstd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

Result<std::string> read_at(const ScopedFd &fd, const std::string &path, std::uint64_t at,
			    std::size_t size)
{
	std::string bytes(size, '\0');
	const int error = read_whole(fd.get(), at, std::as_writable_bytes(std::span(bytes)));

	if (error == ENODATA)
		return failure(
			EBADMSG,
			fmt::format("The checkpoints {} became shorter while they were read.",
				    path));
	if (error)
		return failure(error, fmt::format("The checkpoints {} cannot be read: {}.", path,
						  describe_errno(error)));
	return bytes;
}

template <typename T>
T head_of(const std::string &bytes)
{
	T head;

	bytes.copy(reinterpret_cast<char *>(&head), sizeof(head));
	return head;
}

bool is_before(const Checkpoint *before, const Checkpoint &checkpoint)
{
	const auto &position = checkpoint.position;

	return position.since <= position.entry &&
	       (!before || (before->position.exits < position.exits &&
			    before->position.entry <= position.entry));
}

} /* namespace */

std::string checkpoints_path(const std::string &recording)
{
	return recording + ".checkpoints";
}

std::uint64_t page_digest(GuestMemory::ConstPage page)
{
	return XXH3_64bits(page.data(), page.size());
}

std::unexpected<Error> CheckpointFile::damaged(std::string_view what) const
{
	return failure(EBADMSG, fmt::format("The checkpoints {} are damaged, number {} at byte {}: "
					    "{}. `corbel-vmm checkpoints` makes them anew.",
					    path_, checkpoints_.size(), at_, what));
}

Result<CheckpointFile> CheckpointFile::open(const std::string &path, const CheckpointsOf &wanted)
{
	ScopedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
	struct stat status{};

	if (!fd || ::fstat(fd.get(), &status) != 0)
		return failure(errno, fmt::format("The checkpoints {} cannot be opened: {}. "
						  "`corbel-vmm checkpoints` makes them.",
						  path, describe_errno(errno)));
	CheckpointFile file(path, std::move(fd));

	if (static_cast<std::uint64_t>(status.st_size) < sizeof(CheckpointsHead))
		return file.damaged("the file has no head");
	CORBEL_EXPECT(file.read_head(wanted));
	while (CORBEL_EXPECT(
		file.read_one(static_cast<std::uint64_t>(status.st_size), wanted.pages())))
		;
	return file;
}

Result<void> CheckpointFile::read_head(const CheckpointsOf &wanted)
{
	const auto head = head_of<CheckpointsHead>(
		CORBEL_EXPECT(read_at(fd_, path_, 0, sizeof(CheckpointsHead))));

	if (std::string_view(head.magic, sizeof(head.magic)) != checkpoints_magic)
		return damaged("it is no file of checkpoints");
	if (head.version != checkpoints_version)
		return failure(EPROTO, fmt::format("The checkpoints {} are of format {}, and this "
						   "corbel-vmm reads format {}.",
						   path_, head.version, checkpoints_version));
	if (checksum_of(head) != head.checksum || head.page_bytes != page_bytes)
		return damaged("the checksum of the head is another");
	if (head.recording != wanted.recording || head.memory != wanted.memory ||
	    head.disk != wanted.disk)
		return failure(EXDEV,
			       fmt::format("The checkpoints {} are those of another recording: of "
					   "{:016x}{:016x}, and this one is {:016x}{:016x}. "
					   "`corbel-vmm checkpoints` makes them anew.",
					   path_, head.recording[1], head.recording[0],
					   wanted.recording[1], wanted.recording[0]));
	every_ = head.every;
	at_ = sizeof(head);
	return {};
}

Result<bool> CheckpointFile::read_one(std::uint64_t size, std::uint64_t pages)
{
	const auto left = size - at_;

	if (left < sizeof(CheckpointHead)) {
		cut_ = left > 0;
		return false;
	}
	const auto head = head_of<CheckpointHead>(
		CORBEL_EXPECT(read_at(fd_, path_, at_, sizeof(CheckpointHead))));
	const auto room = left - sizeof(head);

	if (head.magic != checkpoint_magic)
		return damaged("it does not begin as one");
	if (head.data_bytes > room || head.text_bytes > room - head.data_bytes) {
		cut_ = true;
		return false;
	}
	const auto data_at = at_ + sizeof(head), text_at = data_at + head.data_bytes;
	const auto packed_text = CORBEL_EXPECT(read_at(fd_, path_, text_at, head.text_bytes));

	if (checksum_of(head, packed_text) != head.checksum) {
		/* The last one may have reached the disk in part. */
		if (text_at + head.text_bytes < size)
			return damaged("its checksum is another");
		cut_ = true;
		return false;
	}
	if (head.number != checkpoints_.size() || head.unpacked_bytes > most_text)
		return damaged("it is not the one that comes next");
	std::string text(head.unpacked_bytes, '\0');

	if (ZSTD_decompress(text.data(), text.size(), packed_text.data(), packed_text.size()) !=
	    text.size())
		return damaged("it does not unpack");
	auto decoded = decode_checkpoint(text);

	if (!decoded ||
	    !is_before(checkpoints_.empty() ? nullptr : &checkpoints_.back(), decoded->checkpoint))
		return damaged("it is not as this version writes it");
	const auto number = static_cast<std::uint32_t>(checkpoints_.size());
	std::uint32_t index = 0;

	for (const auto &version : decoded->changed) {
		if (version.page >= pages || version.bytes > page_bytes ||
		    (version.bytes > 0 &&
		     (version.at > text_at || version.bytes > text_at - version.at)))
			return damaged("a page is where none can be");
		changes_[version.page].push_back({number, index++});
	}
	changed_.push_back(std::move(decoded->changed));
	checkpoints_.push_back(std::move(decoded->checkpoint));
	at_ = text_at + head.text_bytes;
	return true;
}

std::optional<std::size_t> CheckpointFile::nearest(std::uint64_t exit) const
{
	const auto behind = std::ranges::upper_bound(
		checkpoints_, exit, {}, [](const auto &it) { return it.position.exits; });

	if (behind == checkpoints_.begin())
		return std::nullopt;
	return behind - checkpoints_.begin() - 1;
}

std::vector<std::uint64_t> CheckpointFile::changing_pages() const
{
	std::vector<std::uint64_t> pages;

	for (const auto &[page, changes] : changes_)
		pages.push_back(page);
	return pages;
}

const PageVersion *CheckpointFile::version(std::size_t number, std::uint64_t page) const
{
	const auto found = changes_.find(page);

	if (found == changes_.end())
		return nullptr;
	const auto &changes = found->second;
	const auto behind = std::ranges::upper_bound(changes, number, {}, &Change::checkpoint);

	if (behind == changes.begin())
		return nullptr;
	return &changed_[std::prev(behind)->checkpoint][std::prev(behind)->index];
}

Result<std::string> CheckpointFile::packed(const PageVersion &version) const
{
	return read_at(fd_, path_, version.at, version.bytes);
}

Result<void> CheckpointFile::load(const PageVersion &version, GuestMemory::Page page) const
{
	const auto bytes = CORBEL_EXPECT(packed(version));

	if (bytes.empty())
		std::ranges::fill(page, std::byte{0});
	else if (bytes.size() == page.size())
		std::ranges::copy(std::as_bytes(std::span(bytes)), page.begin());
	else if (ZSTD_decompress(page.data(), page.size(), bytes.data(), bytes.size()) !=
		 page.size())
		return failure(EBADMSG, fmt::format("The checkpoints {} are damaged: page {}, at "
						    "byte {}, does not unpack.",
						    path_, version.page, version.at));
	if (page_digest(page) != version.digest)
		return failure(EBADMSG, fmt::format("The checkpoints {} are damaged: the bytes of "
						    "page {}, at byte {}, are others.",
						    path_, version.page, version.at));
	return {};
}

} /* namespace corbel::vmm */
