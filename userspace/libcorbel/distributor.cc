// SPDX-License-Identifier: GPL-2.0-or-later
#include <libcorbel/distributor.hh>

#include <libcorbel/ioctl_table.hh>

#include <unistd.h>

#include <fmt/format.h>

namespace corbel {

namespace {

std::unexpected<Error> refusal(const char *what, int number)
{
	if (number == ESTALE)
		return failure(ESTALE, fmt::format("The virtual machine has ended, so nothing can "
						   "be {} any more.",
						   what));
	return failure(number, fmt::format("This cannot be {}: {}.", what, describe_errno(number)));
}

} /* namespace */

Result<Distributor> Distributor::over(ScopedFd fd, std::uint32_t ids, std::uint32_t vcpus)
{
	auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
	auto status = CORBEL_EXPECT(Mapping::read_only(fd.get(), CORBEL_DIST_STATUS_OFFSET, page));

	return Distributor(std::move(fd), std::move(status), ids, vcpus);
}

Result<corbel_dist_info> Distributor::info() const
{
	corbel_dist_info info{};

	if (int ret = call(fd_.get(), request::dist_info, info); ret < 0)
		return refusal("read", -ret);
	return info;
}

Result<void> Distributor::map(std::span<const corbel_dist_entry> entries, bool restore) const
{
	corbel_dist_map map{};

	map.flags = restore ? CORBEL_DIST_RESTORE : 0;
	map.count = static_cast<__u32>(entries.size());
	map.entries = reinterpret_cast<std::uintptr_t>(entries.data());
	int ret = call(fd_.get(), request::dist_map, map);
	if (ret == -ENOENT)
		return failure(ENOENT, "The virtual machine has no such vCPU.");
	if (ret == -EINVAL)
		return failure(EINVAL, fmt::format("There is no such id, vCPU or vector: this "
						   "device has {} ids and serves {} vCPUs, "
						   "vectors are {} to 255.",
						   ids_, vcpus_, CORBEL_DIST_MIN_VECTOR));
	if (ret < 0)
		return refusal("mapped", -ret);
	return {};
}

Result<std::vector<corbel_dist_entry>> Distributor::read(std::uint32_t first,
							 std::uint32_t count) const
{
	std::vector<corbel_dist_entry> entries(count);
	corbel_dist_read read{};

	read.first = first;
	read.count = count;
	read.entries = reinterpret_cast<std::uintptr_t>(entries.data());
	if (int ret = call(fd_.get(), request::dist_read, read); ret < 0)
		return refusal("read", -ret);
	return entries;
}

Result<unsigned> Distributor::raise(std::uint32_t id) const
{
	corbel_dist_raise raise{};

	raise.id = id;
	int ret = call(fd_.get(), request::dist_raise, raise);
	if (ret < 0)
		return refusal("raised", -ret);
	return static_cast<unsigned>(ret);
}

Result<unsigned> Distributor::set_masked(std::uint32_t first, std::uint32_t count,
					 bool masked) const
{
	corbel_dist_mask mask{};

	mask.flags = masked ? CORBEL_DIST_MASK_SET : 0;
	mask.first = first;
	mask.count = count;
	int ret = call(fd_.get(), request::dist_mask, mask);
	if (ret < 0)
		return refusal(masked ? "masked" : "unmasked", -ret);
	return static_cast<unsigned>(ret);
}

Result<std::vector<corbel_dist_counts>> Distributor::ledger(std::uint32_t first,
							    std::uint32_t count) const
{
	std::vector<corbel_dist_counts> counts(count);
	corbel_dist_ledger ledger{};

	ledger.first = first;
	ledger.count = count;
	ledger.counts = reinterpret_cast<std::uintptr_t>(counts.data());
	if (int ret = call(fd_.get(), request::dist_ledger, ledger); ret < 0)
		return refusal("read", -ret);
	return counts;
}

Result<void> Distributor::reset() const
{
	corbel_dist_reset reset{};

	if (int ret = call(fd_.get(), request::dist_reset, reset); ret < 0)
		return refusal("reset", -ret);
	return {};
}

Result<void> Distributor::set_doorbell(int eventfd) const
{
	corbel_dist_doorbell doorbell{};

	doorbell.vcpu = CORBEL_DIST_ALL_VCPUS;
	doorbell.fd = eventfd;
	if (int ret = call(fd_.get(), request::dist_doorbell, doorbell); ret < 0)
		return refusal("listened to", -ret);
	return {};
}

Result<Stats> Distributor::stats() const
{
	corbel_dist_stats stats{};
	int ret = call(fd_.get(), request::dist_stats, stats);

	if (ret < 0)
		return refusal("counted", -ret);
	return Stats::open(ScopedFd(ret));
}

std::vector<std::uint32_t> Distributor::waiting() const
{
	const auto *lines = static_cast<const corbel_dist_line *>(status_.data());
	std::vector<std::uint32_t> indices;

	for (std::uint32_t i = 0; i < vcpus_; i++)
		if (__atomic_load_n(&lines[i / 64].pending, __ATOMIC_ACQUIRE) >> i % 64 & 1)
			indices.push_back(i);
	return indices;
}

} /* namespace corbel */
