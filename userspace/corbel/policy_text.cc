// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy_text.hh"

#include <array>
#include <cerrno>
#include <cstdlib>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

constexpr std::array words{"inherit", "off", "resident-first", "least-pending"};
static_assert(words.size() == CORBEL_IRQ_POLICY_MAX + 1);

} /* namespace */

Result<std::uint8_t> vector_of(const std::string &text)
{
	char *end = nullptr;
	const unsigned long number = std::strtoul(text.c_str(), &end, 0);

	if (text.empty() || *end != '\0' || text[0] == '-' || number >= CORBEL_IRQ_VECTORS)
		return failure(EINVAL, fmt::format("'{}' is no interrupt vector: 0 to 255, or 0x0 "
						   "to 0xff.",
						   text));
	return static_cast<std::uint8_t>(number);
}

const char *name_of_policy(std::uint32_t policy)
{
	return policy < words.size() ? words[policy] : "unknown";
}

Result<std::uint8_t> policy_of(std::string_view word)
{
	for (std::size_t i = 0; i < words.size(); i++)
		if (words[i] == word)
			return static_cast<std::uint8_t>(i);
	return failure(EINVAL, fmt::format("There is no policy '{}': off, resident-first, "
					   "least-pending, and inherit for a vector.",
					   word));
}

Result<VectorPolicies> vector_policies_of(std::string_view text)
{
	VectorPolicies all;

	while (!text.empty()) {
		const auto end = text.find(',');
		const auto item = text.substr(0, end);
		const auto equals = item.find('=');

		if (equals == std::string_view::npos)
			return failure(EINVAL, fmt::format("'{}' is not VECTOR=POLICY, such as "
							   "0x50=off.",
							   item));
		const auto vector = CORBEL_EXPECT(vector_of(std::string(item.substr(0, equals))));
		const auto policy = CORBEL_EXPECT(policy_of(item.substr(equals + 1)));

		all.emplace_back(vector, policy);
		text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
	}
	return all;
}

} /* namespace corbel::cli */
