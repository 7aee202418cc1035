// SPDX-License-Identifier: GPL-2.0-or-later
/* objects.cc - objects come and go. */
#include "objects.hh"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace corbel::workloads {

namespace {

constexpr std::uint64_t most_objects = 1'000'000, most_budgets = 65536; /* of the target */

template <typename Used>
Result<std::uint64_t> lowest_free(std::uint64_t from, std::uint64_t most, Used &&used,
				  const char *what)
{
	for (auto number = from; number < most; number++)
		if (!used(number))
			return number;
	return failure(ENOSPC, fmt::format("A device under QoS has at most {} {}.", most, what));
}

bool is_same_disk(const ObjectRecord &a, const ObjectRecord &b)
{
	return a.path == b.path && a.format == b.format && a.ranges == b.ranges &&
	       a.partition == b.partition && a.part == b.part;
}

std::string called(const ObjectRecord &object)
{
	return object.path.empty() ? fmt::format("'{}'", object.name)
				   : fmt::format("'{}' ({})", object.name, object.path);
}

Result<std::uint64_t> budget_for(const ObjectRecord &wish, const std::vector<ObjectRecord> &others)
{
	const auto joint = std::ranges::find_if(others, [&](const ObjectRecord &other) {
		return other.shared && other.policy == wish.policy && !other.leaving;
	});

	if (wish.shared && joint != others.end())
		return joint->budget;
	return lowest_free(
		0, most_budgets,
		[&](std::uint64_t number) {
			return std::ranges::find(others, number, &ObjectRecord::budget) !=
			       others.end();
		},
		"budgets");
}

Json change_of(const ObjectRecord &object, bool dry_run, bool changed)
{
	return {{"lun", object.lun},	    {"object", object.name}, {"policy", object.policy},
		{"kind", nullptr},	    {"ranges", nullptr},     {"enforced_bytes", nullptr},
		{"remarks", Json::array()}, {"dry_run", dry_run},    {"changed", changed}};
}

void put_found(Json &answer, const Known &found)
{
	answer["kind"] = found.kind;
	answer["ranges"] = found.spans.size();
	answer["enforced_bytes"] = bytes_of(found.spans);
	for (const auto &remark : found.remarks)
		answer["remarks"].push_back(remark);
}

/* What a policy says that does nothing there. */
void put_remarks(Json &answer, const LunRecord &lun, const PolicyRecord &policy)
{
	if (!lun.depth && policy.needs_depth())
		answer["remarks"].push_back(fmt::format(
			"Floor, weight, class and latency of policy '{}' do nothing on '{}', which "
			"was added without --depth.",
			policy.name, lun.name));
}

} /* namespace */

/* Nobody else has any of it. */
Result<void> Objects::check_free(const ObjectRecord &wish, const Known &found)
{
	for (const auto &other : CORBEL_EXPECT(luns_.records().objects(wish.lun))) {
		const auto common = both(found.spans, luns_.known(wish.lun)[other.name].spans);

		if (!common.empty() && other.name != wish.name)
			return failure(EBUSY,
				       fmt::format("{} of '{}' from byte {} on are object {}, and "
						   "cannot be {} as well.",
						   bytes_of(common), wish.lun,
						   common.front().first * sector_bytes,
						   called(other), called(wish)));
	}
	return {};
}

Result<Json> Objects::change_policy(LunRecord &lun, ObjectRecord object, const ObjectRecord &wish,
				    bool dry_run)
{
	auto others = CORBEL_EXPECT(luns_.records().objects(lun.name));

	if (!is_same_disk(object, wish) || object.histograms != wish.histograms)
		return failure(EEXIST,
			       fmt::format("There is an object {} on '{}' already: detach it "
					   "first.",
					   called(object), lun.name));
	const bool changed = object.policy != wish.policy || object.shared != wish.shared;
	auto answer = change_of(wish, dry_run, changed);
	put_found(answer, luns_.known(lun.name)[object.name]);
	if (!changed || dry_run)
		return answer;
	std::erase_if(others, [&](const ObjectRecord &other) { return other.name == object.name; });
	object.policy = wish.policy;
	object.shared = wish.shared;
	object.budget = CORBEL_EXPECT(budget_for(object, others));
	lun.settled = false;
	CORBEL_EXPECT(luns_.records().put(lun, object));
	CORBEL_EXPECT(luns_.tell(lun, object));
	lun.settled = true;
	CORBEL_EXPECT(luns_.records().put(lun));
	return answer;
}

/* It has its budget before it has a range. */
Result<void> Objects::begin(LunRecord &lun, ObjectRecord object, Known found)
{
	auto &records = luns_.records();
	const auto others = CORBEL_EXPECT(records.objects(lun.name));
	const auto has_number = [&](std::uint64_t number) {
		return std::ranges::find(others, number, &ObjectRecord::number) != others.end();
	};

	object.budget = CORBEL_EXPECT(budget_for(object, others));
	/* Counters of one that has gone are not another's, for as long as there are numbers. */
	object.number = CORBEL_EXPECT(lowest_free(lun.next < most_objects ? lun.next : 1,
						  most_objects, has_number, "objects"));
	lun.next = object.number + 1;
	lun.settled = false;
	CORBEL_EXPECT(records.put(lun, object));
	auto told = luns_.tell(lun, object);
	if (told)
		told = apply(lun, {{object.name, std::move(found)}});
	if (!told)
		(void)luns_.untell(lun, object);
	lun.settled = true;
	if (told)
		return records.put(lun);
	luns_.known(lun.name).erase(object.name);
	CORBEL_EXPECT(records.erase(lun, object));
	return told;
}

Result<Json> Objects::attach(ObjectRecord wish, bool dry_run)
{
	auto &records = luns_.records();
	auto lun = CORBEL_EXPECT(records.lun(wish.lun));

	(void)CORBEL_EXPECT(luns_.started(lun));
	auto found = CORBEL_EXPECT(look_at(lun, wish));
	/* Who has lost what this one has got would be in its way. */
	Names in_the_way;
	{
		const auto guard = luns_.changing();
		in_the_way = holders(lun.name, {{wish.name, found}});
	}
	if (!in_the_way.empty())
		look(lun.name, std::move(in_the_way), nullptr);

	const auto guard = luns_.changing();
	/* What was there before may be otherwise by now. */
	lun = CORBEL_EXPECT(records.lun(wish.lun));
	const auto policy = CORBEL_EXPECT(records.policy(wish.policy));
	for (const auto &object : CORBEL_EXPECT(records.objects(lun.name)))
		if (object.name == wish.name && !object.leaving) {
			auto answer = CORBEL_EXPECT(change_policy(lun, object, wish, dry_run));
			put_remarks(answer, lun, policy);
			return answer;
		}
	CORBEL_EXPECT(check_free(wish, found));
	auto answer = change_of(wish, dry_run, true);
	put_found(answer, found);
	put_remarks(answer, lun, policy);
	if (!dry_run)
		CORBEL_EXPECT(begin(lun, wish, std::move(found)));
	return answer;
}

Result<Json> Objects::detach(const std::string &name, const std::string &object_name, bool dry_run)
{
	const auto guard = luns_.changing();
	auto &records = luns_.records();
	auto lun = CORBEL_EXPECT(records.lun(name));
	const auto objects = CORBEL_EXPECT(records.objects(name));
	const auto found = std::ranges::find(objects, object_name, &ObjectRecord::name);

	if (found == objects.end())
		return failure(ENOENT, fmt::format("There is no object '{0}' on '{1}': `corbel qos "
						   "show {1}` shows those there are.",
						   object_name, name));
	auto object = *found;
	if (!dry_run) {
		if (CORBEL_EXPECT(luns_.find(lun))) {
			object.leaving = true;
			lun.settled = false;
			CORBEL_EXPECT(records.put(lun, object));
			CORBEL_EXPECT(luns_.untell(lun, object));
		}
		lun.settled = true;
		CORBEL_EXPECT(records.erase(lun, object));
		luns_.known(name).erase(object_name);
	}
	return Json{
		{"lun", name}, {"object", object_name}, {"dry_run", dry_run}, {"changed", true}};
}

} /* namespace corbel::workloads */
