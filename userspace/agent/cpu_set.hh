/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cpu_set.hh - CPUs of a guest, as /proc/irq writes them and as messages carry them. */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corbel::agent {

inline constexpr unsigned max_cpus = 1024;

class CpuSet {
public:
	CpuSet() = default;
	[[nodiscard]] static CpuSet of(unsigned cpu)
	{
		CpuSet set;

		set.add(cpu);
		return set;
	}

	/* Beyond max_cpus is left out. */
	void add(unsigned cpu);
	[[nodiscard]] bool has(unsigned cpu) const;
	[[nodiscard]] bool empty() const { return words_.empty(); }
	[[nodiscard]] unsigned count() const;
	[[nodiscard]] bool within(const CpuSet &other) const;
	[[nodiscard]] std::optional<unsigned> lowest() const;

	/* 64 CPUs each; the last one is not 0. */
	[[nodiscard]] const std::vector<std::uint64_t> &words() const { return words_; }
	[[nodiscard]] static CpuSet of_words(std::vector<std::uint64_t> words);

	/* "3", "0-3,8"; nothing if it is none of these. An empty set is "". */
	[[nodiscard]] static std::optional<CpuSet> parse(std::string_view list);
	[[nodiscard]] std::string list() const;

	bool operator==(const CpuSet &) const = default;

private:
	std::vector<std::uint64_t> words_;
};

} /* namespace corbel::agent */
