// SPDX-License-Identifier: GPL-2.0-or-later
//
// recording-alter entry SEED IN OUT - a recording whose entries are those of IN but for one bit,
//                                    which is printed
// recording-alter cpu IN OUT       - one whose guest was shown another CPU
//
// Checksums are made anew: what finds the change has to be the replay.
#include <vmm/chunk.hh>
#include <vmm/header.hh>

#include <libcorbel/text_file.hh>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>

#include <fmt/format.h>

namespace {

using namespace corbel;
using namespace corbel::vmm;

int fail(std::string_view why)
{
	std::cerr << "recording-alter: " << why << '\n';
	return 1;
}

/* The last entry is the end, which nothing comes after to find a change of what is behind it. */
std::string alter_entry(Entries &entries, unsigned seed)
{
	std::mt19937 random(seed);
	const auto at = random() % entries.size();
	const auto bit = random() % 128;
	auto &word = bit < 64 ? entries[at].value : entries[at].tag;
	const auto kind = kind_of(entries[at]);

	word ^= __u64{1} << bit % 64;
	return fmt::format("entry {}, kind {:#x}, bit {}", at, static_cast<unsigned>(kind), bit);
}

} /* namespace */

int main(int argc, char **argv)
{
	const std::vector<std::string> arguments(argv + 1, argv + argc);
	const bool of_entry = arguments.size() == 4 && arguments[0] == "entry";

	if (!of_entry && (arguments.size() != 3 || arguments[0] != "cpu"))
		return fail("entry SEED IN OUT, or cpu IN OUT");
	const auto file = text_of_file(arguments[arguments.size() - 2]);
	auto reader = file ? ChunkReader::open(*file) : failure(ENOENT, "it cannot be read");

	if (!reader)
		return fail(reader.error().sentence);
	auto header = decode_header(reader->header());
	Entries entries;

	while (true) {
		const auto chunk = reader->next();

		if (!chunk)
			return fail(chunk.error().sentence);
		if (!*chunk)
			break;
		entries.insert(entries.end(), (*chunk)->begin(), (*chunk)->end());
	}
	if (!header || entries.empty() || header->cpuid.empty())
		return fail("it is not complete");
	if (of_entry)
		std::cout << alter_entry(entries,
					 static_cast<unsigned>(std::atoi(arguments[1].c_str())))
			  << '\n';
	else
		header->cpuid.front().ebx ^= 1;
	std::ofstream out(arguments.back(), std::ios::binary);

	out << encode_head(encode(*header));
	for (std::size_t at = 0, number = 0; at < entries.size(); at += most_in_chunk, number++)
		out << encode_chunk(std::span(entries).subspan(
					    at, std::min(most_in_chunk, entries.size() - at)),
				    number);
	return out.flush() ? 0 : fail("it cannot be written");
}
