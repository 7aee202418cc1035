// SPDX-License-Identifier: GPL-2.0-or-later
#include "qcow2.hh"

#include <libcorbel/whole_io.hh>

#include <endian.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>

namespace corbel::extents {

namespace {

struct Head {
	std::uint32_t magic, version;
	std::uint64_t backing_offset;
	std::uint32_t backing_bytes, cluster_bits;
	std::uint64_t size;
	std::uint32_t encryption, top_entries;
	std::uint64_t top_at, counts_at;
	std::uint32_t counts_clusters, snapshots;
	std::uint64_t snapshots_at;
	/* From version 3 on. */
	std::uint64_t incompatible, compatible, autoclear;
	std::uint32_t count_order, bytes;
};
static_assert(sizeof(Head) == 104);
constexpr std::size_t bytes_of_version_2 = offsetof(Head, incompatible);
constexpr std::size_t compression_type_at = sizeof(Head);

constexpr std::uint32_t magic = 0x514649fb; /* "QFI\xfb" */
constexpr std::uint64_t is_dirty = 1, is_corrupt = 2, has_data_file = 4, has_compression_type = 8,
			has_subclusters = 16;

/* Bits 9 to 55 of an entry. */
constexpr std::uint64_t place_mask = 0x00fffffffffffe00;
constexpr std::uint64_t is_own = std::uint64_t{1} << 63; /* nobody else, no snapshot, has it */
constexpr std::uint64_t is_compressed = std::uint64_t{1} << 62;

/* QEMU's own limit. */
constexpr std::uint64_t most_top_entries = (32 << 20) / sizeof(std::uint64_t);
/* Of tables that lead somewhere: 128 TiB in clusters of 64 KiB. */
constexpr std::uint64_t most_table_bytes = std::uint64_t{16} << 30;

} /* namespace */

Bytes bytes_of_file(int fd, const std::string &path, std::uint64_t size)
{
	return {size, [fd, path](std::uint64_t at, std::span<std::byte> into) -> Result<void> {
			const int error = read_whole(fd, at, into);
			const bool ended = error == ENODATA;

			if (error)
				return failure(ended ? EIO : error,
					       fmt::format("{} cannot be read at {}: {}.", path, at,
							   ended ? "it ends before"
								 : describe_errno(error)));
			return {};
		}};
}

std::unexpected<Error> Qcow2::damaged(const std::string &what) const
{
	return failure(EBADMSG,
		       fmt::format("{} is a damaged qcow2 image: {}. `qemu-img check` tells "
				   "more.",
				   path_, what));
}

std::unexpected<Error> Qcow2::unsupported(const std::string &what) const
{
	return failure(EOPNOTSUPP, fmt::format("{} {}. `qemu-img convert -O qcow2` makes an image "
					       "without.",
					       path_, what));
}

bool Qcow2::is_one(const Bytes &file)
{
	std::uint32_t first = 0;

	return file.size >= bytes_of_version_2 &&
	       file.read(0, std::as_writable_bytes(std::span(&first, 1))) &&
	       be32toh(first) == magic;
}

Result<Qcow2> Qcow2::open(Bytes file, std::string path)
{
	Qcow2 image(std::move(file), std::move(path));

	CORBEL_EXPECT(image.read_head());
	CORBEL_EXPECT(image.read_top());
	return image;
}

Result<void> Qcow2::read_head()
{
	Head head{};
	const auto raw = std::as_writable_bytes(std::span(&head, 1));

	if (!is_one(file_))
		return damaged("it does not begin as one");
	CORBEL_EXPECT(file_.read(0, raw.first(bytes_of_version_2)));
	version_ = be32toh(head.version);
	if (version_ != 2 && version_ != 3)
		return unsupported(
			fmt::format("is a qcow2 image of version {}; 2 and 3 are known", version_));
	if (version_ == 3) {
		if (file_.size < sizeof(head))
			return damaged("it ends within its head");
		CORBEL_EXPECT(file_.read(0, raw));
	}
	cluster_bits_ = be32toh(head.cluster_bits);
	size_ = be64toh(head.size);
	top_at_ = be64toh(head.top_at);
	top_entries_ = be32toh(head.top_entries);
	backing_ = head.backing_offset != 0;
	encrypted_ = head.encryption != 0;
	if (cluster_bits_ < 9 || cluster_bits_ > 21)
		return damaged(fmt::format("its clusters have 2^{} bytes", cluster_bits_));
	if (size_ > INT64_MAX)
		return damaged("the disk is larger than any");

	const auto features = be64toh(head.incompatible);
	if (features & is_corrupt)
		return damaged("QEMU has marked it as that");
	if (features & has_data_file)
		return unsupported("keeps its data in another file, which is not followed");
	if (features & has_subclusters)
		return unsupported("has subclusters (extended_l2), which are not followed");
	if (features & ~(is_dirty | has_compression_type))
		return unsupported(
			fmt::format("has features that are not known (0x{:x})", features));
	if (version_ == 3 && be32toh(head.bytes) < sizeof(head))
		return damaged("its head is too short");
	if (features & has_compression_type) {
		std::byte type{};

		if (be32toh(head.bytes) <= compression_type_at)
			return damaged("its head is too short");
		CORBEL_EXPECT(file_.read(compression_type_at, std::span(&type, 1)));
		zlib_ = type == std::byte{0};
	}
	return {};
}

Result<void> Qcow2::read_top()
{
	const auto reach = cluster() * table_entries();
	const auto needed = size_ / reach + (size_ % reach != 0);

	if (top_entries_ > most_top_entries)
		return damaged("its first table is larger than QEMU makes any");
	if (needed > top_entries_)
		return damaged("its first table is too short for the disk");
	if (top_at_ % cluster())
		return damaged("its first table is not where a cluster begins");
	top_ = CORBEL_EXPECT(table(top_at_, needed));
	for (auto &entry : top_) {
		entry &= place_mask;
		if (entry % cluster())
			return damaged("a table is not where a cluster begins");
	}
	return {};
}

Result<std::vector<std::uint64_t>> Qcow2::table(std::uint64_t at, std::uint64_t entries) const
{
	std::vector<std::uint64_t> read;

	if (at > file_.size || file_.size - at < entries * sizeof(std::uint64_t))
		return damaged(fmt::format("a table at {} is not within the file", at));
	read.resize(entries);
	CORBEL_EXPECT(file_.read(at, std::as_writable_bytes(std::span(read))));
	for (auto &entry : read)
		entry = be64toh(entry);
	return read;
}

Result<std::vector<Extent>> Qcow2::clusters(Tally &tally) const
{
	const auto reach = cluster() * table_entries();
	std::vector<std::uint64_t> used;
	std::vector<Extent> found;

	std::ranges::copy_if(top_, std::back_inserter(used), [](auto at) { return at != 0; });
	std::ranges::sort(used);
	if (std::ranges::adjacent_find(used) != used.end())
		return damaged("two parts of the disk have the same table");
	if (used.size() > most_table_bytes / cluster())
		return failure(E2BIG, fmt::format("{} has more than {} bytes of tables.", path_,
						  most_table_bytes));
	for (std::uint64_t i = 0; i < top_.size(); i++) {
		if (!top_[i])
			continue;
		const auto entries = CORBEL_EXPECT(table(top_[i], table_entries()));
		for (std::uint64_t j = 0; j < entries.size(); j++) {
			const auto entry = entries[j], offset = i * reach + j * cluster();

			if (offset >= size_)
				break;
			/* The end of a disk is within a sector at most, and that one is its. */
			const auto bytes = std::min(cluster(), (size_ - offset + 511) / 512 * 512);
			if (entry & is_compressed) {
				of(tally, Why::compressed) += bytes;
				continue;
			}
			const auto at = entry & place_mask;
			if (!at)
				continue;
			if (at % cluster())
				return damaged("a cluster is not where one begins");
			if (!(entry & is_own))
				of(tally, Why::in_snapshot) += bytes;
			if (!found.empty() && found.back().end() == offset &&
			    found.back().at + found.back().bytes == at) {
				found.back().bytes += bytes;
				continue;
			}
			if (found.size() == most_extents)
				return too_many_extents();
			found.push_back({offset, at, bytes});
		}
	}
	return found;
}

Result<std::uint64_t> Qcow2::entry_of(std::uint64_t index) const
{
	const auto table_at = top_[index / table_entries()];

	if (!table_at)
		return 0;
	return CORBEL_EXPECT(table(table_at + index % table_entries() * sizeof(index), 1)).front();
}

/* As QEMU does: a raw stream whose end may be missing if all is there. */
Result<std::vector<std::byte>> Qcow2::inflate(std::uint64_t entry) const
{
	const auto place_bits = 62 - (cluster_bits_ - 8);
	const auto at = entry & ((std::uint64_t{1} << place_bits) - 1);
	const auto sectors = ((entry & ~(is_own | is_compressed)) >> place_bits) + 1;
	auto bytes = sectors * 512 - at % 512;
	std::vector<std::byte> plain(cluster()), packed;
	z_stream stream{};

	if (!zlib_)
		return unsupported("is compressed there by zstd, which is not read");
	if (at >= file_.size)
		return damaged("a compressed cluster is not within the file");
	bytes = std::min(bytes, file_.size - at);
	packed.resize(bytes);
	CORBEL_EXPECT(file_.read(at, packed));
	if (::inflateInit2(&stream, -12) != Z_OK)
		return failure(ENOMEM, "There is not enough memory to decompress.");
	stream.next_in = reinterpret_cast<Bytef *>(packed.data());
	stream.avail_in = static_cast<uInt>(packed.size());
	stream.next_out = reinterpret_cast<Bytef *>(plain.data());
	stream.avail_out = static_cast<uInt>(plain.size());
	const int status = ::inflate(&stream, Z_FINISH);
	const auto left = stream.avail_out;
	(void)::inflateEnd(&stream);
	if (left || (status != Z_STREAM_END && status != Z_BUF_ERROR))
		return damaged("a compressed cluster cannot be decompressed");
	return plain;
}

Result<void> Qcow2::read(std::uint64_t offset, std::span<std::byte> into) const
{
	if (offset > size_ || into.size() > size_ - offset)
		return failure(EINVAL, fmt::format("{} has no {} bytes at {}.", path_, into.size(),
						   offset));
	if (encrypted_)
		return failure(
			EOPNOTSUPP,
			fmt::format("{} is encrypted: what is on the disk cannot be read here.",
				    path_));
	while (!into.empty()) {
		const auto within = offset % cluster();
		const auto piece =
			into.first(std::min<std::uint64_t>(into.size(), cluster() - within));
		const auto entry = CORBEL_EXPECT(entry_of(offset / cluster()));
		const bool zero = version_ >= 3 && !(entry & is_compressed) && (entry & 1);
		const auto at = entry & place_mask;

		if (entry & is_compressed) {
			const auto plain = CORBEL_EXPECT(inflate(entry));

			std::memcpy(piece.data(), plain.data() + within, piece.size());
		} else if (at && !zero) {
			/* The last cluster of a file need not be there in full. */
			const auto from = at + within;
			const auto there = std::min<std::uint64_t>(
				piece.size(), file_.size - std::min(from, file_.size));

			std::memset(piece.data(), 0, piece.size());
			CORBEL_EXPECT(file_.read(from, piece.first(there)));
		} else if (backing_ && !zero) {
			return failure(
				EOPNOTSUPP,
				fmt::format("{} has nothing of its own at {} of the disk: that "
					    "is read from its backing file, which is not "
					    "followed. Name a range of bytes instead.",
					    path_, offset));
		} else {
			std::memset(piece.data(), 0, piece.size());
		}
		offset += piece.size();
		into = into.subspan(piece.size());
	}
	return {};
}

} /* namespace corbel::extents */
