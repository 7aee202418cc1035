// SPDX-License-Identifier: GPL-2.0-or-later
#include <agent/cpu_set.hh>

#include <bit>
#include <charconv>
#include <system_error>

namespace corbel::agent {

namespace {

std::optional<unsigned> take_number(std::string_view &text)
{
	unsigned number = 0;
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);

	if (error != std::errc())
		return std::nullopt;
	text.remove_prefix(static_cast<std::size_t>(end - text.data()));
	return number;
}

bool take(std::string_view &text, char wanted)
{
	if (!text.starts_with(wanted))
		return false;
	text.remove_prefix(1);
	return true;
}

} /* namespace */

void CpuSet::add(unsigned cpu)
{
	if (cpu >= max_cpus)
		return;
	if (words_.size() <= cpu / 64)
		words_.resize(cpu / 64 + 1);
	words_[cpu / 64] |= std::uint64_t{1} << cpu % 64;
}

bool CpuSet::has(unsigned cpu) const
{
	return cpu / 64 < words_.size() && (words_[cpu / 64] >> cpu % 64 & 1) != 0;
}

unsigned CpuSet::count() const
{
	unsigned sum = 0;

	for (auto word : words_)
		sum += static_cast<unsigned>(std::popcount(word));
	return sum;
}

bool CpuSet::within(const CpuSet &other) const
{
	for (std::size_t i = 0; i < words_.size(); i++)
		if (words_[i] & ~(i < other.words_.size() ? other.words_[i] : 0))
			return false;
	return true;
}

std::optional<unsigned> CpuSet::lowest() const
{
	for (std::size_t i = 0; i < words_.size(); i++)
		if (words_[i])
			return static_cast<unsigned>(i * 64) +
			       static_cast<unsigned>(std::countr_zero(words_[i]));
	return std::nullopt;
}

CpuSet CpuSet::of_words(std::vector<std::uint64_t> words)
{
	CpuSet set;

	words.resize(std::min<std::size_t>(words.size(), max_cpus / 64));
	while (!words.empty() && words.back() == 0)
		words.pop_back();
	set.words_ = std::move(words);
	return set;
}

std::optional<CpuSet> CpuSet::parse(std::string_view list)
{
	CpuSet set;

	while (!list.empty() && list != "\n") {
		const auto first = take_number(list);
		auto last = first;

		if (take(list, '-'))
			last = take_number(list);
		if (!first || !last || *last < *first || *last >= max_cpus)
			return std::nullopt;
		for (auto cpu = *first; cpu <= *last; cpu++)
			set.add(cpu);
		if (!take(list, ',') && !list.empty() && list != "\n")
			return std::nullopt;
	}
	return set;
}

std::string CpuSet::list() const
{
	std::string text;

	for (unsigned cpu = 0; cpu < words_.size() * 64; cpu++) {
		auto last = cpu;

		if (!has(cpu))
			continue;
		while (has(last + 1))
			last++;
		text += (text.empty() ? "" : ",") + std::to_string(cpu);
		if (last != cpu)
			text += "-" + std::to_string(last);
		cpu = last;
	}
	return text;
}

} /* namespace corbel::agent */
