/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: recordings, and what a guest is booted from, against anything. The first
 * byte says which. A recording is read as it is, and its entries once more in chunks whose
 * checksums are right, by a replay that takes whatever comes next.
 */
#include <vmm/boot.hh>
#include <vmm/header.hh>
#include <vmm/journal.hh>

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace corbel;
using namespace corbel::vmm;

namespace {

void require(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "the reader of recordings broke its word: %s\n", what);
	std::abort();
}

void read_file(std::string_view file)
{
	auto reader = ChunkReader::open(file);

	if (!reader)
		return;
	if (const auto header = decode_header(reader->header())) {
		const auto again = decode_header(encode(*header));

		require(again && encode(*again) == encode(*header), "a header comes back");
	}
	for (;;) {
		const auto chunk = reader->next();

		if (!chunk || !*chunk)
			return;
		require(!(*chunk)->empty() && (*chunk)->size() <= most_in_chunk,
			"a chunk has entries, and not too many");
	}
}

/* One step of a replay, by what is next; whether it goes on. */
bool step(Journal &journal)
{
	const auto entry = journal.peek();

	if (!entry)
		return false;
	const auto before = journal.area().last;

	switch (kind_of(*entry)) {
	case Kind::time: {
		const auto time = journal.time();

		require(!time || *time > before, "time only grows");
		return time.has_value();
	}
	case Kind::exit:
		return journal
			.exit({info_of(*entry), rip_of(*entry),
			       static_cast<std::uint32_t>(entry->value >> 32)})
			.has_value();
	case Kind::data:
	case Kind::landmark: {
		const auto bytes = journal.take(kind_of(*entry), 1 << 16);

		require(!bytes || bytes->size() == entry->value, "data is as long as it says");
		return bytes.has_value();
	}
	case Kind::end:
		return journal.end(info_of(*entry), static_cast<std::uint32_t>(entry->value >> 32))
			.has_value();
	default:
		return journal.skip().has_value();
	}
}

void replay(std::string_view bytes)
{
	Entries entries(bytes.size() / sizeof(corbel_replay_entry));
	std::string file = encode_head("{}");

	if (!entries.empty())
		std::memcpy(entries.data(), bytes.data(), entries.size() * sizeof(entries[0]));
	for (std::size_t at = 0, number = 0; at < entries.size(); at += 7, number++)
		file += encode_chunk(std::span(entries).subspan(
					     at, std::min<std::size_t>(7, entries.size() - at)),
				     number);
	auto reader = ChunkReader::open(file);

	require(reader.has_value(), "what was written is a recording");
	auto journal = Journal::create({Mode::replay, 0, -1}, *reader);
	std::size_t steps = 0;

	require(journal.has_value(), "a replay needs nothing else");
	while (step(**journal))
		require(++steps <= entries.size(), "each step takes an entry");
}

void boot(std::string_view image)
{
	static auto memory = GuestMemory::create(std::uint64_t{32} << 20);

	require(memory.has_value(), "there is memory");
	(void)load_guest(*memory, image, image.substr(0, image.size() / 2), "quiet");
}

} /* namespace */

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	if (size == 0)
		return 0;
	const std::string_view input(reinterpret_cast<const char *>(data) + 1, size - 1);

	switch (data[0] % 3) {
	case 0:
		read_file(input);
		break;
	case 1:
		replay(input);
		break;
	default:
		boot(input);
	}
	return 0;
}
