// SPDX-License-Identifier: GPL-2.0-or-later
#include "block_pool.hh"
#include "file.hh"
#include "module.hh"
#include "tap.hh"
#include "wait.hh"

#include "block/check.hh"
#include "block/label.hh"

#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <memory>
#include <random>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

namespace corbel::selftest {

namespace {

/* The metadata device, past the page cache, which the module does not go through. */
class metadata_file final : public block::BlockDevice {
public:
	explicit metadata_file(const std::string &path)
		: fd(open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC)),
		  buffer(static_cast<char *>(std::aligned_alloc(4096, block::meta_bytes)))
	{
		CHECK(fd, "{}: {}", path, std::strerror(errno));
		blocks = device_sectors(path) / 8;
	}
	~metadata_file() { std::free(buffer); }

	block::Result<void> read(block::Meta block, void *data) override
	{
		if (pread(fd.get(), buffer, block::meta_bytes, block.value * block::meta_bytes) !=
		    block::meta_bytes)
			return block::Error::io;
		std::memcpy(data, buffer, block::meta_bytes);
		return {};
	}
	block::Result<void> write(block::Meta block, const void *data) override
	{
		std::memcpy(buffer, data, block::meta_bytes);
		if (pwrite(fd.get(), buffer, block::meta_bytes, block.value * block::meta_bytes) !=
		    block::meta_bytes)
			return block::Error::io;
		return {};
	}
	block::Result<void> flush() override
	{
		return fsync(fd.get()) ? block::Result<void>(block::Error::io)
				       : block::Result<void>();
	}

	uint64_t blocks;

private:
	unique_fd fd;
	char *buffer;
};

block::Uuid random_uuid()
{
	std::random_device random;
	block::Uuid uuid;

	for (uint8_t &byte : uuid.bytes)
		byte = static_cast<uint8_t>(random());
	return uuid;
}

void write_label(const std::string &device, const uint8_t *pool, const std::string &tier)
{
	auto label = std::make_unique<block::DataLabelV1>();
	const block::Uuid uuid = random_uuid();

	std::memcpy(label->pool, pool, sizeof(label->pool));
	std::memcpy(label->device, uuid.bytes, sizeof(label->device));
	std::memcpy(label->tier, tier.data(), std::min(tier.size(), sizeof(label->tier)));
	label->version = block::label_version;
	label->data_start = block::default_data_start;
	block::seal(*label);
	metadata_file file(device);
	CHECK(file.write({0}, label.get()).ok(), "{}: the label cannot be written", device);
}

} // namespace

void ensure_block()
{
	ensure_corbel();
	for (const char *name : {"dm-mod", "brd"})
		if (try_shell(fmt::format("modprobe {}",
					  name == std::string("brd") ? "-n brd" : name)))
			skip("this kernel has no {}", name);
	if (module_loaded("dm_corbel"))
		return;
	const int result = load_module("dm-corbel");
	CHECK_EQ(result, 0, "loading dm-corbel.ko: {}", error_name(result));
}

int try_shell(const std::string &command, std::string *output)
{
	FILE *pipe = popen(("export DM_DISABLE_UDEV=1; exec 2>&1; " + command).c_str(), "re");
	std::string text;
	char buffer[4096];

	CHECK(pipe != nullptr, "popen: {}", std::strerror(errno));
	for (size_t size; (size = fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
		text.append(buffer, size);
	const int status = pclose(pipe);
	if (output)
		*output = text;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

std::string shell(const std::string &command)
{
	std::string output;
	const int status = try_shell(command, &output);

	CHECK_EQ(status, 0, "{}: {}", command, output);
	while (output.ends_with('\n'))
		output.pop_back();
	return output;
}

ram_disks::ram_disks(unsigned count, uint64_t bytes)
{
	shell(fmt::format("modprobe -r brd; modprobe brd rd_nr={} rd_size={}", count,
			  bytes / 1024));
	wait_until("the RAM disks are there", [&] { return file_exists(path(count - 1)); });
}

ram_disks::~ram_disks()
{
	try_shell("modprobe -r brd");
}

std::string ram_disks::path(unsigned number)
{
	return fmt::format("/dev/ram{}", number);
}

dm_device::dm_device(std::string name, uint64_t sectors, const std::string &table)
	: name(std::move(name))
{
	shell(fmt::format("dmsetup create {} --table '0 {} {}'", this->name, sectors, table));
	shell("dmsetup mknodes " + this->name);
}

dm_device::~dm_device()
{
	if (!name.empty() && try_shell("dmsetup remove --retry " + name))
		comment("{} cannot be removed", name);
}

void dm_device::remove()
{
	shell("dmsetup remove --retry " + name);
	name.clear();
}

std::string dm_device::status() const
{
	return shell("dmsetup status --noflush " + name);
}

uint64_t dm_device::statistic(unsigned field) const
{
	struct stat found{};
	uint64_t value = 0;

	CHECK(stat(path().c_str(), &found) == 0, "{}: {}", path(), std::strerror(errno));
	std::ifstream file(fmt::format("/sys/dev/block/{}:{}/stat", major(found.st_rdev),
				       minor(found.st_rdev)));
	for (unsigned i = 0; i <= field; i++)
		file >> value;
	CHECK(file, "{} has no statistics", path());
	return value;
}

std::string dm_device::message(const std::string &text) const
{
	return shell(fmt::format("dmsetup message {} 0 {}", name, text));
}

void dm_device::send(const std::string &text) const
{
	unique_fd control(open("/dev/mapper/control", O_RDWR | O_CLOEXEC));
	std::vector<char> buffer(sizeof(dm_ioctl) + sizeof(dm_target_msg) + text.size() + 1);
	auto *request = reinterpret_cast<dm_ioctl *>(buffer.data());

	CHECK(control, "/dev/mapper/control: {}", std::strerror(errno));
	request->version[0] = DM_VERSION_MAJOR;
	request->data_size = static_cast<uint32_t>(buffer.size());
	request->data_start = sizeof(dm_ioctl);
	name.copy(request->name, sizeof(request->name) - 1);
	/* At sector 0. */
	std::memcpy(buffer.data() + sizeof(dm_ioctl) + sizeof(dm_target_msg), text.c_str(),
		    text.size());
	CHECK(ioctl(control.get(), DM_TARGET_MSG, request) == 0, "{}: {:.60}...: {}", name, text,
	      std::strerror(errno));
}

bool dm_device::refuses(const std::string &text) const
{
	return try_shell(fmt::format("dmsetup message {} 0 {}", name, text)) != 0;
}

void dm_device::reload(uint64_t sectors, const std::string &table) const
{
	shell(fmt::format("dmsetup reload {0} --table '0 {1} {2}' && dmsetup resume {0}", name,
			  sectors, table));
}

uint64_t device_sectors(const std::string &path)
{
	unique_fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	uint64_t bytes = 0;

	CHECK(fd && ioctl(fd.get(), BLKGETSIZE64, &bytes) == 0, "{}: {}", path,
	      std::strerror(errno));
	return bytes / 512;
}

void format_data(const std::string &meta, const std::string &device, const std::string &tier)
{
	metadata_file file(meta);
	auto pool = std::make_unique<block::Pool>(file);

	CHECK(pool->open(file.blocks, 256, block::Access::read_only).ok(), "{}: no pool", meta);
	write_label(device, pool->super().uuid, tier);
}

void format_pool(const pool_devices &devices)
{
	const block::Uuid uuid = random_uuid();
	metadata_file file(devices.meta);

	CHECK(block::Store::format(file, file.blocks, devices.block_bytes, uuid).ok(),
	      "{} cannot be formatted", devices.meta);
	for (size_t i = 0; i < devices.data.size(); i++)
		write_label(devices.data[i], uuid.bytes, i ? "slow" : "fast");
}

std::string pool_table(const pool_devices &devices, const std::string &options)
{
	std::string table = fmt::format("corbel-pool {} {}", devices.meta, devices.data.size());

	for (const std::string &device : devices.data)
		table += " " + device;
	return options.empty() ? table : table + " " + options;
}

uint64_t pool_sectors(const pool_devices &devices)
{
	uint64_t sum = 0;

	for (const std::string &device : devices.data)
		sum += device_sectors(device);
	return sum;
}

void map_blocks(const std::string &meta, uint64_t volume, uint64_t count)
{
	metadata_file file(meta);
	auto pool = std::make_unique<block::Pool>(file);
	const auto commit = [&] {
		CHECK(pool->commit().ok(), "{}: no commit", meta);
		if (pool->begin_drain())
			pool->end_drain();
	};

	CHECK(pool->open(file.blocks, 16384, block::Access::read_write).ok(), "{}: no pool", meta);
	for (uint64_t lba = 0; lba < count; lba++) {
		const auto plan = pool->prepare_write({volume}, {lba}, {});

		CHECK(plan.ok(), "{}: block {} gets no place: error {}", meta, lba,
		      static_cast<int>(plan.error()));
		if (lba % 16384 == 16383)
			commit();
	}
	commit();
}

int64_t violations_of(const std::string &meta)
{
	metadata_file file(meta);
	auto pool = std::make_unique<block::Pool>(file);
	unsigned told = 0;

	if (!pool->open(file.blocks, 4096, block::Access::read_only).ok())
		return -1;
	const auto found = check(*pool, [&](const block::Violation &violation) {
		const auto name = name_of(violation.what);

		if (told++ < 10)
			comment("{}: {} at node {}, key {}: {}, should be {}", meta,
				std::string_view(name.data(), name.size()), violation.node.value,
				violation.key, violation.found, violation.expected);
	});
	return found.ok() ? static_cast<int64_t>(found.value()) : -1;
}

void check_pool(const std::string &meta)
{
	CHECK_EQ(violations_of(meta), 0, "what is on {} does not fit together", meta);
}

} // namespace corbel::selftest
