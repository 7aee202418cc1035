// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake_meter.hh"

#include "../../kmod/block/qos/range_set.hh"

#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include <fmt/format.h>

namespace corbel::test {

namespace {

std::unexpected<Error> refuse(int number)
{
	return failure(number, fmt::format("fake: {}", describe_errno(number)));
}

/* Aligned as the module has it. */
std::vector<std::uint64_t> bytes_of(const std::string &base64, std::size_t &bytes)
{
	std::vector<std::uint64_t> data(base64.size() / 8 + 4);
	const int length = ::EVP_DecodeBlock(reinterpret_cast<unsigned char *>(data.data()),
					     reinterpret_cast<const unsigned char *>(base64.data()),
					     static_cast<int>(base64.size()));

	/* Padding counts. */
	bytes = static_cast<std::size_t>(std::max(length, 0)) -
		static_cast<std::size_t>(std::ranges::count(base64, '='));
	return data;
}

} /* namespace */

Result<std::vector<volumes::Mapped>> FakeMeter::list()
{
	std::vector<volumes::Mapped> all;

	for (const auto &[name, device] : devices_)
		all.push_back(device.mapped);
	return all;
}

Result<void> FakeMeter::create(const std::string &name, const std::string &uuid,
			       const volumes::Table &table)
{
	if (devices_.contains(name))
		return refuse(EBUSY);
	auto &device = devices_[name];
	device.mapped = {name, uuid, "254:1"};
	device.table = table;
	return device.map->init().ok() ? Result<void>() : refuse(ENOMEM);
}

/* What messages have made goes with the table. */
Result<void> FakeMeter::reload(const std::string &name, const volumes::Table &table)
{
	/* @table may be the one that goes. */
	const auto next = table;
	const auto mapped = devices_.at(name).mapped;

	devices_.erase(name);
	return create(name, mapped.uuid, next);
}

Result<void> FakeMeter::remove(const std::string &name)
{
	if (!devices_.contains(name))
		return refuse(ENXIO);
	if (devices_.at(name).mapped.open)
		return refuse(EBUSY);
	devices_.erase(name);
	return {};
}

Result<std::string> FakeMeter::status(const std::string &name)
{
	if (!devices_.contains(name))
		return refuse(ENXIO);
	const auto &device = devices_.at(name);
	return fmt::format("{} {} {} {} 0", device.objects.size(), device.map->current().ranges(),
			   device.budgets.size(), device.map->current().bytes());
}

Result<std::string> FakeMeter::message(const std::string &name, const std::string &text)
{
	if (!devices_.contains(name))
		return refuse(ENXIO);
	messages.push_back(text);
	if (!fails.empty() && text.starts_with(fails)) {
		fails.clear();
		return refuse(EIO);
	}
	return tell(devices_.at(name), text);
}

Result<std::string> FakeMeter::tell(Device &device, const std::string &text)
{
	std::istringstream in(text);
	std::string what, word;
	std::uint64_t number = 0;

	in >> what;
	if (what == "set") {
		std::size_t bytes = 0;
		in >> word;
		const auto data = bytes_of(word, bytes);
		auto change = qos::read_range_set(data.data(), bytes);
		if (!change.ok())
			return refuse(EBADMSG);
		for (std::uint32_t i = 0; i < change.value().object_count; i++)
			if (!device.objects.contains(change.value().objects[i].value))
				return refuse(ENOENT);
		qos::Refusal refusal{};
		auto replaced = device.map->replace(change.value(), refusal);
		return replaced.ok() ? Result<std::string>("") : refuse(-replaced.to_errno());
	}
	if (what == "heat") {
		in >> word;
		device.shift =
			word == "off" ? std::nullopt : std::optional<unsigned>(std::stoul(word));
		return "";
	}
	in >> number;
	if (what == "cells") {
		if (!device.shift)
			return refuse(ENODATA);
		const auto count = (device.table.sectors - 1) / (1ULL << *device.shift) + 1;
		return fmt::format("{} {} {}{}", *device.shift, count, count, cells);
	}
	if (what == "table") {
		std::string reply = "0";
		for (const auto &[id, object] : device.objects)
			if (id >= number)
				reply += fmt::format(" {}:{}", id, object.counters);
		return reply;
	}
	if (what == "budget") {
		std::getline(in >> std::ws, device.budgets[number]);
		return "";
	}
	if (what == "object") {
		if (!device.objects.try_emplace(number).second)
			return refuse(EEXIST);
		device.objects[number].histograms = text.ends_with("histograms");
		return "";
	}
	if (what == "show") {
		const auto segment = device.map->current().look_up({number});
		return fmt::format("{} {}", segment.object.value, segment.end.value);
	}
	if (!device.objects.contains(number))
		return refuse(ENOENT);
	auto &object = device.objects[number];
	if (what == "attach") {
		in >> number;
		if (!device.budgets.contains(number))
			return refuse(ENOENT);
		object.budget = number;
		return "";
	}
	if (what == "detach") {
		object.budget.reset();
		return "";
	}
	if (what == "histogram")
		return object.histograms ? Result<std::string>("") : refuse(ENODATA);
	return refuse(EINVAL);
}

workloads::Spans FakeMeter::spans(const std::string &name, std::uint64_t object)
{
	const auto &snapshot = at(name).map->current();
	std::vector<workloads::Span> spans;

	for (std::uint32_t i = 0; i < snapshot.segments(); i++)
		if (const auto segment = snapshot.segment(i); segment.object.value == object)
			spans.push_back({segment.first.value, segment.end()});
	return workloads::sorted(std::move(spans));
}

std::size_t FakeMeter::told(std::string_view prefix) const
{
	return static_cast<std::size_t>(std::ranges::count_if(
		messages, [&](const std::string &text) { return text.starts_with(prefix); }));
}

} /* namespace corbel::test */
