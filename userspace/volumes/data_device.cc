// SPDX-License-Identifier: GPL-2.0-or-later
#include "data_device.hh"

#include "../../kmod/block/superblock.hh"

#include <libcorbel/uuid.hh>

#include <blkid/blkid.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

namespace corbel::volumes {

namespace {

using block::DataLabelV1;
using pool::MetaDevice;
using pool::told;

struct End {
	void operator()(blkid_probe probe) const { ::blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, End>;

std::unexpected<Error> failed(const std::string &path)
{
	return failure(errno, fmt::format("{}: {}.", path, describe_errno(errno)));
}

Result<Probe> probe_of(const std::string &path, int fd)
{
	Probe probe(::blkid_new_probe());

	if (!probe || ::blkid_probe_set_device(probe.get(), fd, 0, 0) != 0)
		return failure(EIO, fmt::format("{}: libblkid cannot look at it.", path));
	(void)::blkid_probe_enable_superblocks(probe.get(), 1);
	(void)::blkid_probe_set_superblocks_flags(
		probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM);
	(void)::blkid_probe_enable_partitions(probe.get(), 1);
	(void)::blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_MAGIC);
	return probe;
}

/* "ext4", or nothing. */
Result<std::string> signature_of(const std::string &path)
{
	const ScopedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));

	if (!fd)
		return failed(path);
	const auto probe = CORBEL_EXPECT(probe_of(path, fd.get()));
	const int found = ::blkid_do_safeprobe(probe.get());
	const char *type = nullptr;
	if (found == 1)
		return std::string();
	if (found == -2)
		return std::string("more than one kind of thing");
	if (found != 0)
		return failed(path);
	for (const char *key : {"TYPE", "PTTYPE"})
		if (::blkid_probe_lookup_value(probe.get(), key, &type, nullptr) == 0)
			return std::string(type);
	return std::string("something");
}

/* What libblkid does not know: our own. */
Result<std::string> ours_on(MetaDevice &device)
{
	for (const std::uint64_t place : {0, 1}) {
		block::SuperblockV1 super;
		DataLabelV1 label;

		CORBEL_EXPECT(told(device.read({place}, &super), device.path()));
		if (block::is_whole(super, {place}))
			return fmt::format("the metadata of pool {}", uuid_text(super.uuid));
		std::memcpy(&label, &super, sizeof(label));
		if (place == 0 && block::check_label(label).ok())
			return fmt::format("data of pool {}", uuid_text(label.pool));
	}
	return std::string();
}

/* Of any device: nobody need have it for himself. */
Result<std::optional<DataLabelV1>> label_on(const std::string &path)
{
	const ScopedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
	DataLabelV1 label;

	if (!fd)
		return failed(path);
	if (::pread(fd.get(), &label, sizeof(label), 0) != sizeof(label) ||
	    !block::check_label(label).ok())
		return std::nullopt;
	return label;
}

Label told_of(const DataLabelV1 &label)
{
	return {uuid_text(label.pool), uuid_text(label.device),
		std::string(label.tier, ::strnlen(label.tier, sizeof(label.tier))),
		label.data_start};
}

} /* namespace */

Result<std::string> contents_of(MetaDevice &device)
{
	auto there = CORBEL_EXPECT(ours_on(device));

	return there.empty() ? signature_of(device.path()) : there;
}

Result<std::unique_ptr<MetaDevice>> take_device(const std::string &path, bool force)
{
	auto device = CORBEL_EXPECT(MetaDevice::open(path, MetaDevice::Use::write));

	if (force)
		return device;
	const auto there = CORBEL_EXPECT(contents_of(*device));
	if (!there.empty())
		return failure(EEXIST,
			       fmt::format("{} holds {}: name another device, or say --force "
					   "if that may be lost.",
					   path, there));
	return device;
}

Result<void> clear_device(MetaDevice &device)
{
	const ScopedFd fd(::open(device.path().c_str(), O_RDWR | O_CLOEXEC));
	const DataLabelV1 nothing{};

	if (!fd)
		return failed(device.path());
	const auto probe = CORBEL_EXPECT(probe_of(device.path(), fd.get()));
	while (::blkid_do_probe(probe.get()) == 0)
		if (::blkid_do_wipe(probe.get(), 0) != 0)
			return failed(device.path());
	if (::fsync(fd.get()) != 0)
		return failed(device.path());
	for (const std::uint64_t block : {0, 1})
		CORBEL_EXPECT(told(device.write({block}, &nothing), device.path()));
	return told(device.flush(), device.path());
}

Result<block::Uuid> make_uuid()
{
	const auto bytes = CORBEL_EXPECT(random_uuid());
	block::Uuid uuid;

	std::ranges::copy(bytes, uuid.bytes);
	return uuid;
}

Result<block::Uuid> uuid_of(const std::string &text)
{
	block::Uuid uuid{};
	std::size_t digits = 0;

	for (const char c : text) {
		if (c == '-')
			continue;
		const auto value = std::string_view("0123456789abcdef").find(c);
		if (value == std::string_view::npos || digits == 32)
			return failure(EINVAL, fmt::format("'{}' is no UUID.", text));
		auto &byte = uuid.bytes[digits++ / 2];
		byte = static_cast<std::uint8_t>(byte << 4 | value);
	}
	if (digits != 32)
		return failure(EINVAL, fmt::format("'{}' is no UUID.", text));
	return uuid;
}

Result<void> write_label(MetaDevice &device, const block::Uuid &pool, const block::Uuid &uuid,
			 const std::string &tier)
{
	DataLabelV1 label{};

	label.version = block::label_version;
	std::memcpy(label.pool, pool.bytes, sizeof(label.pool));
	std::memcpy(label.device, uuid.bytes, sizeof(label.device));
	std::memcpy(label.tier, tier.data(), std::min(tier.size(), sizeof(label.tier)));
	label.data_start = block::default_data_start;
	block::seal(label);
	CORBEL_EXPECT(told(device.write({0}, &label), device.path()));
	return told(device.flush(), device.path());
}

Result<Label> read_label(const std::string &path)
{
	const auto label = CORBEL_EXPECT(label_on(path));

	if (!label)
		return failure(ENOENT,
			       fmt::format("{} has no label of a pool in its first 4 KiB.", path));
	return told_of(*label);
}

Result<void> erase_label(const std::string &path, const std::string &device)
{
	const DataLabelV1 nothing{};
	auto taken = CORBEL_EXPECT(MetaDevice::open(path, MetaDevice::Use::write));
	const auto label = CORBEL_EXPECT(label_on(path));

	/* Whatever has come to be there since is not ours. */
	if (!label || told_of(*label).device != device)
		return {};
	CORBEL_EXPECT(told(taken->write({0}, &nothing), path));
	return told(taken->flush(), path);
}

std::vector<std::string> block_devices()
{
	std::vector<std::string> paths;
	std::error_code error;

	for (const auto &entry : std::filesystem::directory_iterator("/sys/class/block", error))
		paths.push_back("/dev/" + entry.path().filename().string());
	return paths;
}

Result<std::string> find_device(const std::string &path, const std::string &pool,
				const std::string &device, const std::vector<std::string> &others)
{
	const auto is_it = [&](const std::string &candidate) {
		const auto label = read_label(candidate);

		return label && label->pool == pool && label->device == device;
	};

	if (is_it(path))
		return path;
	if (const auto other = std::ranges::find_if(others, is_it); other != others.end())
		return *other;
	return failure(ENOENT,
		       fmt::format("Data device {} of pool {} is not there: {}.", device, pool,
				   path.empty() ? "no block device has its label"
						: fmt::format("{} has not its label, and no other "
							      "block device has",
							      path)));
}

std::optional<block::SuperblockV1> super_on(const std::string &path)
{
	const ScopedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));

	for (const std::uint64_t place : {0, 1}) {
		block::SuperblockV1 super;

		if (fd &&
		    ::pread(fd.get(), &super, sizeof(super),
			    static_cast<off_t>(place * block::meta_bytes)) == sizeof(super) &&
		    block::is_whole(super, {place}))
			return super;
	}
	return std::nullopt;
}

Result<std::string> number_of(const std::string &path)
{
	struct stat status{};

	if (::stat(path.c_str(), &status) != 0)
		return failed(path);
	if (!S_ISBLK(status.st_mode))
		return path;
	return fmt::format("{}:{}", major(status.st_rdev), minor(status.st_rdev));
}

Result<std::uint64_t> bytes_of(const std::string &path)
{
	const ScopedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
	const auto end = fd ? ::lseek(fd.get(), 0, SEEK_END) : -1;

	if (end < 0)
		return failed(path);
	return static_cast<std::uint64_t>(end);
}

std::uint64_t data_blocks(std::uint64_t bytes, std::uint64_t block_bytes)
{
	return bytes > block::default_data_start ? (bytes - block::default_data_start) / block_bytes
						 : 0;
}

} /* namespace corbel::volumes */
