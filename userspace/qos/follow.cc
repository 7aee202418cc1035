// SPDX-License-Identifier: GPL-2.0-or-later
/* follow.cc - where objects lie now, and that the target has it so. */
#include "objects.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

/* After so many looks in vain it is said aloud: a file system may be late when a host starts. */
constexpr unsigned patience = 12;

Known known_of(extents::Layout layout)
{
	Known known;

	known.kind = std::move(layout.kind);
	known.bytes = layout.bytes;
	known.spans = spans_of(layout.extents);
	known.extents = std::move(layout.extents);
	known.remarks = std::move(layout.remarks);
	if (known.spans.empty())
		known.remarks.emplace_back("Nothing of it has a place yet: it is limited from when "
					   "it has.");
	known.looked = std::chrono::system_clock::now();
	known.again = false;
	return known;
}

Result<extents::Layout> layout_of(const LunRecord &lun, const std::vector<ByteRange> &ranges)
{
	extents::Layout layout{"ranges", 0, {}, {}};

	for (const auto &[first, bytes] : ranges) {
		if (first % sector_bytes || bytes % sector_bytes || !bytes ||
		    first > lun.sectors * sector_bytes ||
		    bytes > lun.sectors * sector_bytes - first)
			return failure(
				EINVAL,
				fmt::format("{}+{} is no range of '{}': both are multiples of "
					    "{}, and it has {} bytes.",
					    first, bytes, lun.name, sector_bytes,
					    lun.sectors * sector_bytes));
		layout.extents.push_back({layout.bytes, first, bytes});
		layout.bytes += bytes;
	}
	if (workloads::bytes_of(spans_of(layout.extents)) != layout.bytes)
		return failure(EINVAL, "Ranges overlap.");
	return layout;
}

} /* namespace */

Result<Known> Objects::look_at(const LunRecord &lun, const ObjectRecord &object)
{
	if (object.path.empty())
		return known_of(CORBEL_EXPECT(layout_of(lun, object.ranges)));
	return known_of(CORBEL_EXPECT(layouts_.find(object, path_of(lun))));
}

/* Objects that are not @looked at and that have, as far as is known, some of the same. */
Objects::Names Objects::holders(const std::string &lun, const Look &looked)
{
	std::vector<Span> wanted;
	Names names;

	for (const auto &[name, found] : looked)
		wanted.insert(wanted.end(), found.spans.begin(), found.spans.end());
	const auto all = sorted(std::move(wanted));
	for (const auto &[name, known] : luns_.known(lun))
		if (!looked.contains(name) && !both(all, known.spans).empty())
			names.insert(name);
	return names;
}

/* Who has it keeps it; of those that are looked at it is the first one's by name. */
void Objects::part_with(const std::string &lun, Look &looked)
{
	std::vector<Span> spans;
	std::uint64_t bytes = 0;
	const auto take = [&](const Spans &some) {
		spans.insert(spans.end(), some.begin(), some.end());
		bytes += workloads::bytes_of(some);
	};

	for (const auto &[name, known] : luns_.known(lun))
		if (!looked.contains(name))
			take(known.spans);
	auto taken = sorted(spans);
	for (const auto &[name, found] : looked)
		take(found.spans);
	if (workloads::bytes_of(sorted(std::move(spans))) == bytes)
		return;
	for (auto &[name, found] : looked) {
		const auto common = both(found.spans, taken);

		if (!common.empty()) {
			found.spans = without(found.spans, common);
			found.remarks.push_back(
				fmt::format("{} bytes of it are another object's as well.",
					    workloads::bytes_of(common)));
			found.again = true;
		}
		std::vector<Span> more = taken;
		more.insert(more.end(), found.spans.begin(), found.spans.end());
		taken = sorted(std::move(more));
	}
}

Result<void> Objects::send(const LunRecord &lun, const Look &looked,
			   const std::vector<ObjectRecord> &objects)
{
	std::vector<RangeChange> changes;

	for (const auto &object : objects)
		if (const auto found = looked.find(object.name); found != looked.end()) {
			const auto &known = luns_.known(lun.name)[object.name];

			if (!known.sure || known.spans != found->second.spans)
				changes.push_back({object.number, &found->second.spans});
		}
	if (!changes.empty())
		(void)CORBEL_EXPECT(
			luns_.message(lun, CORBEL_EXPECT(set_message(std::move(changes)))));
	return {};
}

/* What the target has of objects about which that is not known; what nobody knows is dropped. */
Result<void> Objects::read_back(const LunRecord &lun)
{
	std::map<std::uint64_t, std::vector<Span>> there;
	const auto objects = CORBEL_EXPECT(luns_.records().objects(lun.name));
	const Spans none;
	std::vector<RangeChange> unknown;

	for (std::uint64_t sector = 0; sector < lun.sectors;) {
		const auto owner = CORBEL_EXPECT(parse_owner(
			CORBEL_EXPECT(luns_.message(lun, fmt::format("show {}", sector)))));

		if (owner.end <= sector)
			return failure(EPROTO,
				       "The kernel tells of ranges in no order: dm-corbel.ko "
				       "is of another version.");
		if (owner.object)
			there[owner.object].push_back({sector, owner.end});
		sector = owner.end;
	}
	for (auto &[number, spans] : there) {
		const auto object = std::ranges::find(objects, number, &ObjectRecord::number);

		if (object == objects.end()) {
			unknown.push_back({number, &none});
			continue;
		}
		auto &known = luns_.known(lun.name)[object->name];
		if (!known.sure)
			known.spans = sorted(std::move(spans));
		known.sure = true;
	}
	if (!unknown.empty())
		(void)CORBEL_EXPECT(luns_.message(lun, CORBEL_EXPECT(set_message(unknown))));
	return {};
}

Result<void> Objects::apply(const LunRecord &lun, Look looked)
{
	const auto objects = CORBEL_EXPECT(luns_.records().objects(lun.name));

	part_with(lun.name, looked);
	auto sent = send(lun, looked, objects);
	if (!sent && sent.error().number == EEXIST) {
		CORBEL_EXPECT(read_back(lun));
		part_with(lun.name, looked);
		sent = send(lun, looked, objects);
	}
	if (!sent)
		return sent;
	for (auto &[name, found] : looked) {
		found.sure = true;
		luns_.known(lun.name)[name] = std::move(found);
	}
	return {};
}

/* Disks are looked at without the lock: whoever asks for something does not wait for storage. */
void Objects::look(const std::string &lun_name, Names names, const Warn &warn)
{
	Names tried;
	Look looked;
	const auto failed = [&](const std::string &name, const Error &error) {
		auto &known = luns_.known(lun_name)[name];

		known.error = error.sentence;
		known.again = true;
		if (++known.failures == patience && warn)
			warn(fmt::format("Where object '{}' lies on '{}' is not known any more: {}",
					 name, lun_name, error.sentence));
	};
	const auto is_there = [](const std::vector<ObjectRecord> &objects,
				 const ObjectRecord &wanted) {
		return std::ranges::any_of(objects, [&](const ObjectRecord &object) {
			return object.name == wanted.name && object.number == wanted.number &&
			       !object.leaving;
		});
	};

	while (!names.empty()) {
		const auto lun = luns_.records().lun(lun_name);
		const auto objects = luns_.records().objects(lun_name);

		if (!lun || !objects)
			return;
		std::map<std::string, Result<Known>> found;
		for (const auto &object : *objects)
			if (names.contains(object.name) && !object.leaving)
				found.emplace(object.name, look_at(*lun, object));
		tried.merge(names);
		names.clear();

		const auto guard = luns_.changing();
		const auto now = luns_.records().objects(lun_name);
		if (!now)
			return;
		std::erase_if(looked, [&](const auto &each) {
			return std::ranges::find(*now, each.first, &ObjectRecord::name) ==
			       now->end();
		});
		for (const auto &object : *objects) {
			const auto it = found.find(object.name);

			if (it == found.end() || !is_there(*now, object))
				continue;
			if (it->second)
				looked[object.name] = std::move(*it->second);
			else
				failed(object.name, it->second.error());
		}
		for (const auto &name : holders(lun_name, looked))
			if (!tried.contains(name))
				names.insert(name);
		if (!names.empty() || looked.empty())
			continue;
		if (const auto done = apply(*lun, looked); !done)
			for (const auto &[name, each] : looked)
				failed(name, done.error());
	}
}

std::map<std::string, extents::Format> Objects::paths()
{
	std::map<std::string, extents::Format> paths;

	if (const auto objects = luns_.records().objects())
		for (const auto &object : *objects)
			if (!object.path.empty())
				paths.emplace(object.path, format_of(object));
	return paths;
}

void Objects::look(const std::string &path, const Warn &warn)
{
	std::map<std::string, Names> names;

	if (const auto objects = luns_.records().objects())
		for (const auto &object : *objects)
			if (object.path == path)
				names[object.lun].insert(object.name);
	for (auto &[lun, some] : names)
		look(lun, std::move(some), warn);
}

void Objects::look_again(const Warn &warn)
{
	std::map<std::string, Names> names;

	if (const auto objects = luns_.records().objects()) {
		const auto guard = luns_.changing();

		for (const auto &object : *objects)
			if (luns_.known(object.lun)[object.name].again)
				names[object.lun].insert(object.name);
	}
	for (auto &[lun, some] : names)
		look(lun, std::move(some), warn);
}

} /* namespace corbel::workloads */
