// SPDX-License-Identifier: GPL-2.0-or-later
//
// recording-alter entry SEED IN OUT - a recording whose entries are those of IN but for one bit,
//                                    which is printed
// recording-alter cpu IN OUT       - one whose guest was shown another CPU
// recording-alter adopt IN CHECKPOINTS OUT
//                                  - checkpoints of another recording, as if they were of IN
//
// Checksums are made anew: what finds the change has to be the replay.
#include <vmm/checkpoint_format.hh>
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

int adopt(const ChunkReader &reader, const std::string &from, const std::string &to)
{
	auto file = text_of_file(from, std::size_t{1} << 32).value_or("");
	CheckpointsHead head;

	if (file.size() < sizeof(head))
		return fail("there are no checkpoints");
	file.copy(reinterpret_cast<char *>(&head), sizeof(head));
	head.recording = reader.identity();
	head.checksum = checksum_of(head);
	file.replace(0, sizeof(head), reinterpret_cast<const char *>(&head), sizeof(head));
	std::ofstream out(to, std::ios::binary);

	return (out << file).flush() ? 0 : fail("it cannot be written");
}

} /* namespace */

int main(int argc, char **argv)
{
	const std::vector<std::string> arguments(argv + 1, argv + argc);
	const bool of_entry = arguments.size() == 4 && arguments[0] == "entry";
	const bool adopts = arguments.size() == 4 && arguments[0] == "adopt";

	if (!of_entry && !adopts && (arguments.size() != 3 || arguments[0] != "cpu"))
		return fail("entry SEED IN OUT, cpu IN OUT, or adopt IN CHECKPOINTS OUT");
	const auto file = text_of_file(arguments[of_entry ? 2 : 1]);
	auto reader = file ? ChunkReader::open(*file) : failure(ENOENT, "it cannot be read");

	if (!reader)
		return fail(reader.error().sentence);
	if (adopts)
		return adopt(*reader, arguments[2], arguments[3]);
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
