// SPDX-License-Identifier: GPL-2.0-or-later
#include "boost_text.hh"

#include "policy_text.hh"
#include "quantity.hh"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

namespace corbel::cli {

namespace {

constexpr std::array<std::pair<std::string_view, std::uint32_t>, 4> words{{
	{"device", 1U << CORBEL_IRQ_PATH_DEVICE},
	{"ipi", 1U << CORBEL_IRQ_PATH_IPI},
	{"local", 1U << CORBEL_IRQ_PATH_LOCAL},
	{"dist", CORBEL_IRQ_BOOST_DIST},
}};

/* @each(item) for the parts between commas. */
template <typename Each>
Result<void> for_items(std::string_view text, const Each &each)
{
	for (;;) {
		const auto end = text.find(',');

		CORBEL_EXPECT(each(text.substr(0, end)));
		if (end == std::string_view::npos)
			return {};
		text.remove_prefix(end + 1);
	}
}

bool contains(const VectorSet &vectors, unsigned vector)
{
	return vectors[vector / 64] >> vector % 64 & 1;
}

} /* namespace */

std::string show_sources(std::uint32_t sources)
{
	std::string text;

	for (const auto &[word, bit] : words)
		if (sources & bit)
			text += fmt::format("{}{}", text.empty() ? "" : ",", word);
	return text.empty() ? "off" : text;
}

Result<std::uint32_t> sources_of(std::string_view text)
{
	std::uint32_t sources = 0;

	if (text == "off")
		return 0U;
	CORBEL_EXPECT(for_items(text, [&](std::string_view item) -> Result<void> {
		for (const auto &[word, bit] : words) {
			if (word == item) {
				sources |= bit;
				return {};
			}
		}
		return failure(EINVAL, fmt::format("There is no source '{}': device, ipi, local "
						   "and dist, or off alone.",
						   item));
	}));
	return sources;
}

std::string show_vectors(const VectorSet &vectors)
{
	std::string text;

	for (unsigned first = 0; first < CORBEL_IRQ_VECTORS; first++) {
		if (!contains(vectors, first))
			continue;
		unsigned last = first;

		while (last + 1 < CORBEL_IRQ_VECTORS && contains(vectors, last + 1))
			last++;
		if (!first && last == CORBEL_IRQ_VECTORS - 1)
			return "all";
		text += fmt::format("{}{}", text.empty() ? "" : ",", show_vector(first));
		if (last > first)
			text += fmt::format("-{}", show_vector(last));
		first = last;
	}
	return text.empty() ? "none" : text;
}

Result<VectorSet> vectors_of(std::string_view text)
{
	VectorSet vectors{};

	if (text == "all") {
		vectors.fill(~std::uint64_t{0});
		return vectors;
	}
	CORBEL_EXPECT(for_items(text, [&](std::string_view item) -> Result<void> {
		const auto dash = item.find('-');
		const auto first = CORBEL_EXPECT(vector_of(std::string(item.substr(0, dash))));
		const auto last =
			dash == std::string_view::npos
				? first
				: CORBEL_EXPECT(vector_of(std::string(item.substr(dash + 1))));

		if (last < first)
			return failure(EINVAL, fmt::format("'{}' ends before it begins.", item));
		for (unsigned vector = first; vector <= last; vector++)
			vectors[vector / 64] |= std::uint64_t{1} << vector % 64;
		return {};
	}));
	return vectors;
}

} /* namespace corbel::cli */
