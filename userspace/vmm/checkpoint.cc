// SPDX-License-Identifier: GPL-2.0-or-later
#include "checkpoint.hh"

#include <algorithm>

#include <fmt/format.h>

namespace corbel::vmm {

namespace {

constexpr std::uint32_t most_devices = 256, most_device_bytes = 1 << 24, most_msrs = 4096;

template <typename T>
void put(std::string &bytes, const T &value)
{
	static_assert(std::is_trivially_copyable_v<T>);
	bytes.append(reinterpret_cast<const char *>(&value), sizeof(value));
}

void put_text(std::string &bytes, std::string_view text)
{
	put(bytes, static_cast<std::uint32_t>(text.size()));
	bytes += text;
}

/* What does not fit is as if it were zeros, and good() tells. */
class Cursor {
public:
	explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

	template <typename T>
	T take()
	{
		T value{};

		if (has(sizeof(value))) {
			bytes_.copy(reinterpret_cast<char *>(&value), sizeof(value));
			bytes_.remove_prefix(sizeof(value));
		}
		return value;
	}
	/* Of so many elements that follow; 0 if there are not so many. */
	std::uint32_t take_count(std::uint32_t most, std::size_t element)
	{
		const auto count = take<std::uint32_t>();

		return count <= most && has(count * element) ? count : 0;
	}
	std::string take_text(std::uint32_t most)
	{
		const auto size = take_count(most, 1);
		const std::string text(bytes_.substr(0, size));

		bytes_.remove_prefix(size);
		return text;
	}
	[[nodiscard]] bool at_end() const { return good_ && bytes_.empty(); }

private:
	bool has(std::size_t size)
	{
		good_ = good_ && size <= bytes_.size();
		return good_;
	}

	std::string_view bytes_;
	bool good_ = true;
};

std::string difference_of(const std::vector<kvm_msr_entry> &there,
			  const std::vector<kvm_msr_entry> &here)
{
	const auto [a, b] = std::ranges::mismatch(there, here, [](const auto &x, const auto &y) {
		return x.index == y.index && x.data == y.data;
	});

	if (a == there.end() && b == here.end())
		return {};
	if (a == there.end() || b == here.end())
		return "which MSRs there are";
	return fmt::format("MSR {:#x}, {:#x} instead of {:#x}", b->index, b->data, a->data);
}

} /* namespace */

std::string difference_of(const Checkpoint &there, const Checkpoint &here)
{
	if (here.position != there.position)
		return fmt::format("the place, exit {} and entry {} instead of {} and {}",
				   here.position.exits, here.position.entry, there.position.exits,
				   there.position.entry);
	if (here.monitor != there.monitor)
		return "what was counted, or the time";
	for (const auto part : all_parts)
		if (here.vcpu.digest(part) != there.vcpu.digest(part))
			return std::string(name_of(part));
	if (auto msrs = difference_of(there.msrs, here.msrs); !msrs.empty())
		return msrs;
	return here.devices == there.devices ? std::string() : std::string(name_of(Part::devices));
}

std::string encode(const Checkpoint &checkpoint, const std::vector<PageVersion> &changed)
{
	std::string bytes;

	put(bytes, checkpoint.position);
	put(bytes, checkpoint.monitor);
	put(bytes, checkpoint.vcpu);
	put(bytes, static_cast<std::uint32_t>(checkpoint.msrs.size()));
	for (const auto &msr : checkpoint.msrs)
		put(bytes, msr);
	put(bytes, static_cast<std::uint32_t>(checkpoint.devices.size()));
	for (const auto &device : checkpoint.devices) {
		put_text(bytes, device.name);
		put_text(bytes, device.bytes);
	}
	put(bytes, static_cast<std::uint32_t>(changed.size()));
	for (const auto &version : changed)
		put(bytes, version);
	return bytes;
}

std::optional<DecodedCheckpoint> decode_checkpoint(std::string_view text)
{
	DecodedCheckpoint decoded;
	auto &checkpoint = decoded.checkpoint;
	Cursor cursor(text);

	checkpoint.position = cursor.take<Journal::Position>();
	checkpoint.monitor = cursor.take<MonitorState>();
	checkpoint.vcpu = cursor.take<VcpuState>();
	for (auto left = cursor.take_count(most_msrs, sizeof(kvm_msr_entry)); left > 0; left--)
		checkpoint.msrs.push_back(cursor.take<kvm_msr_entry>());
	for (auto left = cursor.take_count(most_devices, 2 * sizeof(std::uint32_t)); left > 0;
	     left--) {
		auto name = cursor.take_text(most_device_bytes);

		checkpoint.devices.push_back(
			{std::move(name), cursor.take_text(most_device_bytes)});
	}
	const auto versions = cursor.take_count(~std::uint32_t{0}, sizeof(PageVersion));

	decoded.changed.reserve(versions);
	for (auto left = versions; left > 0; left--)
		decoded.changed.push_back(cursor.take<PageVersion>());
	if (!cursor.at_end() || checkpoint.vcpu.nr_msrs > VcpuState::most_msrs)
		return std::nullopt;
	return decoded;
}

} /* namespace corbel::vmm */
