// SPDX-License-Identifier: GPL-2.0-or-later
#include "wish.hh"

#include "data_socket.hh"
#include "storage.hh"

#include <libcorbel/text_file.hh>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace corbel::migrate {

namespace {

using qemu::Json;

constexpr std::size_t most_named = 8; /* of missing features */

} /* namespace */

std::string_view name_of(Mode mode)
{
	switch (mode) {
	case Mode::postcopy:
		return "postcopy";
	case Mode::hybrid:
		return "hybrid";
	case Mode::precopy:
		return "precopy";
	}
	return "unknown";
}

std::optional<Mode> mode_of(std::string_view name)
{
	for (const auto mode : {Mode::postcopy, Mode::hybrid, Mode::precopy})
		if (name_of(mode) == name)
			return mode;
	return std::nullopt;
}

Result<DiskIdentity> identity_of(const std::string &path)
{
	const ScopedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	struct stat facts{};
	std::uint64_t size = 0;

	if (!file || ::fstat(file.get(), &facts) != 0)
		return failure(errno, fmt::format("{}: {}", path, describe_errno(errno)));
	if (!S_ISBLK(facts.st_mode))
		return DiskIdentity{path, static_cast<std::uint64_t>(facts.st_size),
				    fmt::format("file {}", facts.st_ino)};
	if (::ioctl(file.get(), BLKGETSIZE64, &size) != 0)
		return failure(errno, fmt::format("{}: {}", path, describe_errno(errno)));
	const auto folder =
		fmt::format("/sys/dev/block/{}:{}", major(facts.st_rdev), minor(facts.st_rdev));
	for (const char *name : {"wwid", "device/wwid", "dm/uuid", "serial"})
		if (auto line = first_line_of(fmt::format("{}/{}", folder, name));
		    line && !line->empty())
			return DiskIdentity{path, size, *std::move(line)};
	return DiskIdentity{path, size, "device"};
}

Json json_of(const Wish &wish)
{
	Json disks = Json::array();

	for (const auto &disk : wish.disks)
		disks.push_back(
			{{"path", disk.path}, {"size", disk.size}, {"identity", disk.identity}});
	return {{"vm", json_of(wish.vm)},
		{"mode", name_of(wish.mode)},
		{"rollback", wish.terms.rollback},
		{"spill", wish.terms.spill},
		{"plain", wish.plain},
		{"storage", wish.storage},
		{"disks", std::move(disks)},
		{"cpu", wish.cpu},
		{"source", wish.source}};
}

Result<Wish> wish_of(const std::string &text)
{
	const auto json = CORBEL_EXPECT(qemu::parse_bounded_json(text));
	const auto vm = json.find("vm");
	Wish wish;

	if (vm == json.end() || !vm->is_object())
		return failure(EINVAL, "No VM is described.");
	wish.vm = CORBEL_EXPECT(
		qemu::description_of(vm->dump(), "The VM that is to come", qemu::FileCheck::no));
	const auto mode = mode_of(qemu::string_in(json, "mode"));
	if (!mode)
		return failure(EINVAL, "The source wants a mode that is not known here.");
	wish.mode = *mode;
	wish.terms = {.rollback = qemu::flag_in(json, "rollback"),
		      .spill = qemu::flag_in(json, "spill")};
	wish.plain = qemu::flag_in(json, "plain");
	wish.storage = qemu::flag_in(json, "storage");
	wish.source = qemu::string_in(json, "source");
	if (const auto disks = json.find("disks"); disks != json.end() && disks->is_array())
		for (const auto &disk : *disks)
			wish.disks.push_back({qemu::string_in(disk, "path"),
					      qemu::number_in(disk, "size"),
					      qemu::string_in(disk, "identity")});
	if (const auto cpu = json.find("cpu"); cpu != json.end() && cpu->is_array())
		for (const auto &feature : *cpu)
			if (feature.is_string())
				wish.cpu.insert(feature.get<std::string>());
	return wish;
}

Result<Wish> wish_here(const qemu::Description &vm, Mode mode, const Terms &terms)
{
	Wish wish{.vm = vm, .mode = mode, .terms = terms};

	for (const auto &disk : vm.disks)
		wish.disks.push_back(CORBEL_EXPECT(identity_of(disk.path)));
	/* Emulated CPUs are the same everywhere. */
	if (vm.accelerator == "kvm")
		wish.cpu = cpu_features();
	return wish;
}

std::set<std::string> cpu_features()
{
	const auto text = text_of_file("/proc/cpuinfo", std::size_t{4} << 20).value_or("");
	const auto at = text.find("\nflags");
	const auto colon = text.find(':', at);

	if (at == text.npos || colon == text.npos)
		return {};
	std::istringstream words(text.substr(colon + 1, text.find('\n', colon) - colon - 1));
	return {std::istream_iterator<std::string>(words), {}};
}

std::vector<std::string> obstacles(const Wish &wish, VolumeDisks *volumes)
{
	auto found = storage_obstacles(wish, volumes);
	std::vector<std::string> missing;

	const auto coming = disks_to_come(wish);
	for (std::size_t i = 0; i < wish.disks.size(); i++) {
		if (std::ranges::find(coming, i) != coming.end())
			continue;
		const auto &disk = wish.disks[i];
		const auto here = identity_of(disk.path);

		if (!here)
			found.push_back(fmt::format("The disk {} is not there ({}): it must be on "
						    "storage that both hosts share, at the same "
						    "path, or be moved along (--storage).",
						    disk.path, here.error().sentence));
		else if (*here != disk)
			found.push_back(fmt::format("{} is another disk there: {} bytes, {}; at "
						    "the source {} bytes, {}.",
						    disk.path, here->size, here->identity,
						    disk.size, disk.identity));
	}
	std::ranges::set_difference(wish.cpu, wish.cpu.empty() ? wish.cpu : cpu_features(),
				    std::back_inserter(missing));
	if (!missing.empty()) {
		const auto count = missing.size();

		missing.resize(std::min(count, most_named));
		found.push_back(fmt::format("Its CPU lacks {} of the features that the guest was "
					    "given: {}{}.",
					    count, fmt::join(missing, ", "),
					    count > most_named ? ", ..." : ""));
	}
	for (const auto &file : {wish.vm.kernel, wish.vm.initrd, wish.vm.firmware})
		if (!file.empty() && ::access(file.c_str(), R_OK) != 0)
			found.push_back(fmt::format("{} cannot be read there.", file));
	if (!wish.plain && !kernel_has_tls())
		found.push_back(no_kernel_tls().error().sentence);
	return found;
}

} /* namespace corbel::migrate */
