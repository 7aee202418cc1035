// SPDX-License-Identifier: GPL-2.0-or-later
#include "store.hh"

#include <cerrno>
#include <iterator>
#include <set>

#include <fmt/format.h>

namespace corbel::state {

namespace {

Result<void> check_key(std::string_view key)
{
	if (!key.empty() && key.size() <= longest_key)
		return {};
	return failure(EINVAL, fmt::format("A key has 1 to {} bytes, and this one has {}.",
					   longest_key, key.size()));
}

} /* namespace */

Result<void> check(const Transaction &transaction)
{
	std::set<std::string_view> changed;

	if (transaction.conditions.size() + transaction.changes.size() > most_operations)
		return failure(EINVAL, fmt::format("A transaction has at most {} conditions and "
						   "changes.",
						   most_operations));
	for (const auto &condition : transaction.conditions)
		CORBEL_EXPECT(check_key(condition.key));
	for (const auto &change : transaction.changes) {
		const auto &key = std::visit(
			[](const auto &it) -> const std::string & { return it.key; }, change);

		CORBEL_EXPECT(check_key(key));
		if (!changed.insert(key).second)
			return failure(EINVAL,
				       fmt::format("A transaction changes '{}' twice.", key));
		const auto *put = std::get_if<Put>(&change);
		if (put && put->value.size() > longest_value)
			return failure(EINVAL,
				       fmt::format("A value has at most {} bytes, and that of "
						   "'{}' has {}.",
						   longest_value, key, put->value.size()));
	}
	return {};
}

Result<std::vector<Entry>> list_all(Store &store, std::string_view prefix)
{
	std::vector<Entry> all;

	for (std::string after;;) {
		auto page = CORBEL_EXPECT(store.list(prefix, after));

		if (page.empty())
			return all;
		after = page.back().key;
		all.insert(all.end(), std::make_move_iterator(page.begin()),
			   std::make_move_iterator(page.end()));
	}
}

std::string end_of(std::string_view prefix)
{
	std::string end(prefix);

	while (!end.empty() && end.back() == '\xff')
		end.pop_back();
	if (!end.empty())
		end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
	return end;
}

} /* namespace corbel::state */
