// SPDX-License-Identifier: GPL-2.0-or-later
#include <agent/guest_irqs.hh>

#include <libcorbel/number.hh>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

namespace corbel::agent {

namespace {

/* More than 1024 CPUs and 4096 interrupts need. */
constexpr std::size_t file_limit = std::size_t{1} << 26;

std::string_view take_line(std::string_view &text)
{
	const auto end = text.find('\n');
	const auto line = text.substr(0, end);

	text.remove_prefix(end == text.npos ? text.size() : end + 1);
	return line;
}

std::string_view take_word(std::string_view &line)
{
	const auto begin = std::min(line.find_first_not_of(" \t"), line.size());
	const auto end = std::min(line.find_first_of(" \t", begin), line.size());
	const auto word = line.substr(begin, end - begin);

	line.remove_prefix(end);
	return word;
}

/* "CPU0 CPU1 ...": the columns, of which one may be missing. */
std::vector<std::uint16_t> columns_of(std::string_view header)
{
	std::vector<std::uint16_t> columns;

	for (auto word = take_word(header); word.starts_with("CPU"); word = take_word(header))
		columns.push_back(number_of<std::uint16_t>(word.substr(3)).value_or(max_cpus));
	return columns;
}

/* The name without the runs of blanks that align it. */
std::string squeezed(std::string_view line)
{
	std::string name;

	for (auto word = take_word(line); !word.empty(); word = take_word(line))
		name += (name.empty() ? "" : " ") + std::string(word);
	return name;
}

std::string file_of(std::uint32_t irq, const char *file)
{
	return "irq/" + std::to_string(irq) + "/" + file;
}

} /* namespace */

std::vector<InterruptLine> parse_interrupts(std::string_view text)
{
	const auto columns = columns_of(take_line(text));
	std::vector<InterruptLine> lines;

	while (!text.empty() && lines.size() < max_irqs) {
		auto rest = take_line(text);
		auto label = take_word(rest);
		InterruptLine line;

		if (!label.ends_with(':'))
			continue;
		label.remove_suffix(1);
		const auto number = number_of<std::uint32_t>(label);
		if (!number)
			continue; /* NMI, LOC and their like */
		line.number = *number;
		for (auto cpu : columns) {
			const auto count = number_of<std::uint64_t>(take_word(rest)).value_or(0);

			if (count && cpu < max_cpus)
				line.counts.push_back({cpu, count});
		}
		line.name = squeezed(rest);
		/* Chip, pin and trigger come first; then those who handle it. */
		for (int i = 0; i < 2; i++)
			(void)take_word(rest);
		line.handled = !take_word(rest).empty();
		lines.push_back(std::move(line));
	}
	return lines;
}

std::vector<Cpu> parse_cpuinfo(std::string_view text)
{
	std::vector<Cpu> cpus;

	while (!text.empty()) {
		const auto line = take_line(text);
		const auto colon = line.find(": ");
		if (colon == line.npos)
			continue;
		const auto key = line.substr(0, line.find_last_not_of(" \t:", colon) + 1);
		const auto value = number_of<std::uint32_t>(line.substr(colon + 2));

		if (key == "processor" && value && *value < max_cpus && cpus.size() < max_cpus)
			cpus.push_back({static_cast<std::uint16_t>(*value), *value});
		else if (key == "apicid" && value && !cpus.empty())
			cpus.back().apic_id = *value;
	}
	return cpus;
}

Result<GuestIrqs> GuestIrqs::open(const char *proc)
{
	ScopedFd fd(::open(proc, O_PATH | O_DIRECTORY | O_CLOEXEC));

	if (!fd)
		return failure(errno, std::string(proc) +
					      " cannot be opened: " + describe_errno(errno) + ".");
	return GuestIrqs(std::move(fd));
}

Result<std::string> GuestIrqs::read(const std::string &path) const
{
	const ScopedFd fd(::openat(proc_.get(), path.c_str(), O_RDONLY | O_CLOEXEC));
	std::string text;

	while (fd && text.size() < file_limit) {
		char piece[8192];
		const auto got = ::read(fd.get(), piece, sizeof(piece));

		if (got == 0)
			return text;
		if (got < 0 && errno != EINTR)
			break;
		if (got > 0)
			text.append(piece, static_cast<std::size_t>(got));
	}
	return failure(errno, "/proc/" + path + " cannot be read: " + describe_errno(errno) + ".");
}

Result<std::vector<Cpu>> GuestIrqs::online() const
{
	auto cpus = parse_cpuinfo(CORBEL_EXPECT(read("cpuinfo")));

	if (cpus.empty())
		return failure(EPROTO, "/proc/cpuinfo shows no CPU.");
	return cpus;
}

Result<CpuSet> GuestIrqs::read_set(std::uint32_t irq, const char *file) const
{
	auto set = CpuSet::parse(CORBEL_EXPECT(read(file_of(irq, file))));

	if (!set)
		return failure(EPROTO, "/proc/" + file_of(irq, file) + " is no list of CPUs.");
	return *set;
}

Result<CpuSet> GuestIrqs::affinity(std::uint32_t irq) const
{
	return read_set(irq, "smp_affinity_list");
}

Result<CpuSet> GuestIrqs::effective(std::uint32_t irq) const
{
	return read_set(irq, "effective_affinity_list");
}

/* The kernel's newer releases take the right to write away from what cannot be moved. */
Result<std::vector<GuestIrq>> GuestIrqs::irqs() const
{
	std::vector<GuestIrq> irqs;

	for (auto &line : parse_interrupts(CORBEL_EXPECT(read("interrupts")))) {
		const auto mode = file_of(line.number, "smp_affinity_list");
		const auto affinity = this->affinity(line.number);

		/* It can go while we look. */
		if (!line.handled || !affinity)
			continue;
		irqs.push_back({.number = line.number,
				.movable = ::faccessat(proc_.get(), mode.c_str(), W_OK, 0) == 0,
				.affinity = *affinity,
				.effective = effective(line.number).value_or(*affinity),
				.name = std::move(line.name),
				.counts = std::move(line.counts)});
	}
	std::ranges::sort(irqs, {}, &GuestIrq::number);
	return irqs;
}

Result<void> GuestIrqs::set_affinity(std::uint32_t irq, const CpuSet &cpus) const
{
	const auto path = file_of(irq, "smp_affinity_list");
	const auto list = cpus.list();
	const ScopedFd fd(::openat(proc_.get(), path.c_str(), O_WRONLY | O_CLOEXEC));

	if (fd && ::write(fd.get(), list.data(), list.size()) == static_cast<ssize_t>(list.size()))
		return {};
	return failure(errno, "Interrupt " + std::to_string(irq) + " cannot be sent to CPU " +
				      list + ": " + describe_errno(errno) + ".");
}

} /* namespace corbel::agent */
