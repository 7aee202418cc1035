// SPDX-License-Identifier: GPL-2.0-or-later
#include "checkpoint_file.hh"

#include "checkpoint_format.hh"

#include <libcorbel/whole_io.hh>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>
#include <zstd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corbel::vmm {

namespace {

constexpr int level = 1;

std::string pack(std::string_view bytes)
{
	std::string packed(ZSTD_compressBound(bytes.size()), '\0');
	const auto size =
		ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), level);

	/* It has room for the worst case, and no other way to fail. */
	packed.resize(ZSTD_isError(size) ? 0 : size);
	return packed;
}

bool is_zero(GuestMemory::ConstPage page)
{
	return std::ranges::all_of(page, [](std::byte byte) { return byte == std::byte{0}; });
}

} /* namespace */

std::uint64_t checksum_of(const CheckpointsHead &head)
{
	return XXH3_64bits(&head, offsetof(CheckpointsHead, checksum));
}

std::uint64_t checksum_of(const CheckpointHead &head, std::string_view text)
{
	return XXH3_64bits_withSeed(text.data(), text.size(),
				    XXH3_64bits(&head, offsetof(CheckpointHead, checksum)));
}

Result<CheckpointWriter> CheckpointWriter::create(const std::string &path,
						  const CheckpointsOf &whose, std::uint64_t limit)
{
	CheckpointWriter writer(path, whose, limit);

	CORBEL_EXPECT(writer.begin(writer.temporary()));
	return writer;
}

CheckpointWriter::~CheckpointWriter()
{
	if (!fd_)
		return;
	::unlink(temporary().c_str());
	::unlink(thinner().c_str());
}

Result<void> CheckpointWriter::begin(const std::string &path)
{
	CheckpointsHead head{};

	fd_ = ScopedFd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	if (!fd_)
		return failure(errno, fmt::format("The checkpoints {} cannot be made: {}.", path,
						  describe_errno(errno)));
	bytes_ = count_ = 0;
	checkpoints_magic.copy(head.magic, sizeof(head.magic));
	head.version = checkpoints_version;
	head.page_bytes = page_bytes;
	head.recording = whose_.recording;
	head.memory = whose_.memory;
	head.every = whose_.every;
	head.disk = whose_.disk;
	head.checksum = checksum_of(head);
	return append({reinterpret_cast<const char *>(&head), sizeof(head)});
}

Result<void> CheckpointWriter::append(std::string_view bytes)
{
	if (const int error = write_whole(fd_.get(), bytes))
		return failure(error, fmt::format("The checkpoints {} cannot be written: {}.",
						  temporary(), describe_errno(error)));
	bytes_ += bytes.size();
	return {};
}

std::uint64_t CheckpointWriter::place_behind(const std::string &data) const
{
	return bytes_ + sizeof(CheckpointHead) + data.size();
}

Result<void> CheckpointWriter::append_one(const Checkpoint &checkpoint,
					  const std::vector<PageVersion> &changed,
					  const std::string &data)
{
	const auto text = encode(checkpoint, changed);
	const auto packed = pack(text);
	CheckpointHead head{};

	head.magic = checkpoint_magic;
	head.number = count_++;
	head.data_bytes = data.size();
	head.text_bytes = packed.size();
	head.unpacked_bytes = text.size();
	head.checksum = checksum_of(head, packed);
	CORBEL_EXPECT(append({reinterpret_cast<const char *>(&head), sizeof(head)}));
	CORBEL_EXPECT(append(data));
	return append(packed);
}

Result<void> CheckpointWriter::add(const Checkpoint &checkpoint, const BytesOf &bytes_of,
				   const std::vector<std::uint64_t> &changed)
{
	std::vector<PageVersion> versions;
	std::string data;

	for (const auto number : changed) {
		const auto page = bytes_of(number);
		const auto hash = XXH3_128bits(page.data(), page.size());
		const Hash key{hash.low64, hash.high64};
		const auto latest = latest_.find(number);

		if (latest != latest_.end() && latest->second == key)
			continue;
		latest_[number] = key;
		auto known = known_.find(key);

		if (known == known_.end()) {
			const std::string_view bytes(reinterpret_cast<const char *>(page.data()),
						     is_zero(page) ? 0 : page.size());
			auto packed = bytes.empty() ? std::string() : pack(bytes);

			if (packed.size() >= page.size())
				packed = bytes;
			known = known_.emplace(key, Place{static_cast<std::uint32_t>(packed.size()),
							  packed.empty() ? 0 : place_behind(data)})
					.first;
			data += packed;
		}
		versions.push_back({static_cast<std::uint32_t>(number), known->second.bytes,
				    known->second.at, page_digest(page)});
	}
	CORBEL_EXPECT(append_one(checkpoint, versions, data));
	while (bytes_ > limit_ && count_ > 1)
		CORBEL_EXPECT(thin());
	if (bytes_ > limit_)
		return failure(EFBIG, fmt::format("One checkpoint needs {} bytes, and the limit is "
						  "{}.",
						  bytes_, limit_));
	return {};
}

/* The last one stays: what changes next is told against it. */
Result<void> CheckpointWriter::thin()
{
	const auto before = CORBEL_EXPECT(CheckpointFile::open(temporary(), whose_));
	std::unordered_map<std::uint64_t, Hash> hashes;
	std::unordered_map<std::uint64_t, PageVersion> changed;
	std::unordered_map<std::uint64_t, Place> moved;

	for (const auto &[hash, place] : known_)
		hashes[place.at] = hash;
	whose_.every *= 2;
	known_.clear();
	CORBEL_EXPECT(begin(thinner()));
	for (std::size_t i = 0; i < before.count(); i++) {
		for (const auto &version : before.changed(i))
			changed[version.page] = version;
		if ((before.count() - 1 - i) % 2 != 0)
			continue;
		std::vector<PageVersion> versions;
		std::string data;

		for (auto [page, version] : changed) {
			const auto old = version.at;

			if (!moved.contains(old)) {
				moved[old] = {version.bytes,
					      version.bytes ? place_behind(data) : 0};
				data += CORBEL_EXPECT(before.packed(version));
				if (const auto hash = hashes.find(old); hash != hashes.end())
					known_[hash->second] = moved[old];
			}
			version.at = moved[old].at;
			versions.push_back(version);
		}
		changed.clear();
		CORBEL_EXPECT(append_one(before.at(i), versions, data));
	}
	if (::rename(thinner().c_str(), temporary().c_str()) != 0)
		return failure(errno, fmt::format("The checkpoints {} cannot be renamed: {}.",
						  thinner(), describe_errno(errno)));
	return {};
}

Result<void> CheckpointWriter::finish()
{
	if (::fdatasync(fd_.get()) != 0 && errno != EINVAL && errno != EROFS)
		return failure(errno, fmt::format("The checkpoints {} did not reach the disk: {}.",
						  temporary(), describe_errno(errno)));
	if (::rename(temporary().c_str(), path_.c_str()) != 0)
		return failure(errno, fmt::format("The checkpoints {} cannot be renamed to {}: {}.",
						  temporary(), path_, describe_errno(errno)));
	fd_ = ScopedFd();
	return {};
}

} /* namespace corbel::vmm */
