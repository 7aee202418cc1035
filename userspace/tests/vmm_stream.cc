// SPDX-License-Identifier: GPL-2.0-or-later
//
// Recordings: what is written is read, whatever happened to the file.
#include "result.hh"
#include "temporary_folder.hh"

#include <vmm/header.hh>
#include <vmm/journal.hh>

#include <libcorbel/text_file.hh>

#include <gtest/gtest.h>

#include <cerrno>
#include <random>

namespace {

using namespace corbel;
using namespace corbel::vmm;
using corbel::test::error_of;
using corbel::test::must;
using corbel::test::TemporaryFolder;

Entries some_entries(std::size_t count, unsigned seed)
{
	std::mt19937_64 random(seed);
	Entries entries;
	std::uint64_t clock = 0;

	while (entries.size() < count) {
		const auto rip = 0xffffffff81000000 + random() % 65536;

		switch (random() % 3) {
		case 0:
			entries.push_back(make_entry(Kind::exit, 2, rip, random()));
			break;
		case 1:
			entries.push_back(make_entry(Kind::tsc, 0, rip, clock += random() % 10000));
			break;
		default:
			entries.push_back({random(), random()});
		}
	}
	return entries;
}

bool same(const Entries &a, const Entries &b)
{
	return std::ranges::equal(a, b, [](const auto &x, const auto &y) {
		return x.value == y.value && x.tag == y.tag;
	});
}

/* The entries of all chunks, and how it ended. */
struct Read {
	Entries entries;
	int error = 0;
	bool cut = false;
};

Read read_all(std::string_view file)
{
	auto reader = ChunkReader::open(file);
	Read read;

	if (!reader) {
		read.error = reader.error().number;
		return read;
	}
	for (;;) {
		auto chunk = reader->next();

		if (!chunk) {
			read.error = chunk.error().number;
			return read;
		}
		read.cut = reader->was_cut();
		if (!*chunk)
			return read;
		read.entries.insert(read.entries.end(), (*chunk)->begin(), (*chunk)->end());
	}
}

TEST(vmm_chunk, holds_what_was_put_in)
{
	std::string file = encode_head("{}");
	Entries all;

	for (unsigned i = 0; i < 5; i++) {
		const auto entries = some_entries(1 + i * 997, i);

		file += encode_chunk(entries, i);
		all.insert(all.end(), entries.begin(), entries.end());
	}
	const auto read = read_all(file);
	EXPECT_EQ(read.error, 0);
	EXPECT_FALSE(read.cut);
	EXPECT_TRUE(same(read.entries, all));
}

TEST(vmm_chunk, of_clocks_alone_are_small)
{
	Entries entries;

	for (std::uint64_t i = 0; i < 10000; i++)
		entries.push_back(make_entry(Kind::tsc, 0, 0xffffffff81000000 + i % 5, 1000 * i));
	EXPECT_LT(encode_chunk(entries, 0).size(), 1000U);
}

TEST(vmm_chunk, that_are_cut_anywhere_lose_only_themselves)
{
	const auto entries = some_entries(300, 1);
	const std::string head = encode_head("{}"), one = encode_chunk(entries, 0);
	const auto file = head + one + encode_chunk(entries, 1);

	for (std::size_t size = 0; size < file.size(); size++) {
		const auto read = read_all(std::string_view(file).substr(0, size));

		if (size < head.size()) {
			ASSERT_EQ(read.error, EBADMSG) << size;
			continue;
		}
		const bool whole = size == head.size() || size == head.size() + one.size();

		ASSERT_EQ(read.error, 0) << size;
		ASSERT_EQ(read.cut, !whole) << size;
		ASSERT_EQ(read.entries.size(), size < head.size() + one.size() ? 0U : 300U) << size;
	}
}

TEST(vmm_chunk, have_no_bit_that_can_change_unseen)
{
	const auto entries = some_entries(40, 2);
	const std::string head = encode_head("{\"memory\": 1}");
	const auto good = head + encode_chunk(entries, 0) + encode_chunk(entries, 1);

	for (std::size_t bit = 0; bit < good.size() * 8; bit++) {
		auto file = good;

		file[bit / 8] = static_cast<char>(file[bit / 8] ^ 1 << bit % 8);
		const auto read = read_all(file);
		ASSERT_TRUE(read.error == EBADMSG || read.error == EPROTO || read.cut) << bit;
	}
}

TEST(vmm_chunk, have_to_be_in_order)
{
	const auto entries = some_entries(3, 3);

	EXPECT_EQ(read_all(encode_head("{}") + encode_chunk(entries, 1)).error, EBADMSG);
}

TEST(vmm_header, comes_back)
{
	Header header;

	header.memory = 123;
	header.began = 1700000000;
	header.shift = 3;
	header.command_line = "quiet \"x\"";
	header.kernel = {"/boot/vmlinuz", 77, "ab"};
	header.initrd = {"/boot/initrd", 78, "cd"};
	header.disk = {"/var/disk", 512, "ef"};
	header.mac = {2, 4, 6, 8, 10, 12};
	header.cid = 7;
	header.cpuid = {{1, 2, 3, 4, 5, 6, 7, {}}};
	header.msrs = {0x174};
	const auto back = must(decode_header(encode(header)));
	EXPECT_EQ(encode(back), encode(header));
	EXPECT_EQ(back.kernel.sha256, "ab");
	EXPECT_EQ(back.disk->sha256, "ef");
	EXPECT_EQ(back.mac, header.mac);
	EXPECT_EQ(back.cid, header.cid);
	EXPECT_EQ(back.cpuid.at(0).edx, 7U);
}

TEST(vmm_header, that_is_none_is_refused)
{
	for (const char *text : {"", "[]", "{}", "{\"memory\": \"x\"}", "null", "\"memory\""})
		EXPECT_EQ(error_of(decode_header(text)), EBADMSG) << text;
	Header header;
	header.shift = 32;
	EXPECT_EQ(error_of(decode_header(encode(header))), EBADMSG);
}

TEST(vmm_header, names_the_image_that_is_another)
{
	const Image recorded{"/a", 3, "aaaa"}, here{"/b", 3, "bbbb"};
	const auto same = same_image(recorded, here, "initrd");

	ASSERT_FALSE(same);
	for (const char *word : {"initrd", "/b", "aaaa", "bbbb", "/a"})
		EXPECT_NE(same.error().sentence.find(word), std::string::npos) << word;
	EXPECT_TRUE(same_image(recorded, recorded, "initrd"));
}

/* ---- the stream -------------------------------------------------------------------- */

std::unique_ptr<Journal> recording(const std::string &path)
{
	auto journal = must(Journal::create({Mode::record, 0, -1}));

	journal->record_to(must(RecordingWriter::create(path, "{}")));
	return journal;
}

std::unique_ptr<Journal> replaying(std::string_view file)
{
	return must(Journal::create({Mode::replay, 0, -1}, must(ChunkReader::open(file))));
}

/* A guest that gets 20 bytes with each exit. Of replays it returns the error of the first step. */
int some_run(Journal &journal, unsigned exits)
{
	for (unsigned i = 0; i < exits; i++) {
		if (const auto done = journal.exit({2, 0xffffffff80000000 + i, i * 7}); !done)
			return done.error().number;
		if (const auto time = journal.time(); !time)
			return time.error().number;
		if (journal.mode() == Mode::record) {
			must(journal.give(Kind::data, 0, 0, std::string(20, static_cast<char>(i))));
		} else {
			const auto data = journal.take(Kind::data, 20);

			if (!data)
				return data.error().number;
		}
		if (const auto done = journal.agree(Kind::interrupt, 0x30, i, "x"); !done)
			return done.error().number;
		if (const auto done = journal.write_out(false); !done)
			return done.error().number;
		if (const auto done = journal.prepare(); !done)
			return done.error().number;
	}
	return 0;
}

struct Recorded {
	explicit Recorded(unsigned exits)
	{
		const auto path = folder.path() / "recording";
		auto journal = recording(path);

		EXPECT_EQ(some_run(*journal, exits), 0);
		must(journal->end(1, 0));
		must(journal->finish());
		last = journal->area().last;
		journal.reset();
		file = text_of_file(path).value();
	}

	TemporaryFolder folder;
	std::string file;
	GuestTime last;
};

TEST(vmm_journal, replays_what_it_recorded)
{
	/* More than the log has room for at once. */
	const unsigned exits = 100000;
	const Recorded recorded(exits);
	const auto journal = replaying(recorded.file);

	EXPECT_EQ(some_run(*journal, exits), 0);
	EXPECT_EQ(journal->area().last, recorded.last);
	must(journal->end(1, 0));
	EXPECT_EQ(error_of(journal->peek()), diverged) << "the end was the end";
}

TEST(vmm_journal, does_not_write_over_a_file)
{
	const TemporaryFolder folder;

	folder.write("recording", "precious");
	EXPECT_EQ(error_of(RecordingWriter::create(folder.path() / "recording", "{}")), EEXIST);
	EXPECT_EQ(text_of_file(folder.path() / "recording"), "precious");
}

TEST(vmm_journal, finds_a_change_of_any_bit_at_the_next_exit)
{
	const unsigned exits = 40;
	const Recorded recorded(exits);
	const auto entries = read_all(recorded.file).entries;
	std::mt19937 random(1);

	for (unsigned round = 0; round < 2000; round++) {
		auto altered = entries;
		const auto at = random() % entries.size();
		const auto bit = random() % 128;
		auto &word = bit < 64 ? altered[at].value : altered[at].tag;

		word ^= __u64{1} << bit % 64;
		const auto file = encode_head("{}") + encode_chunk(altered, 0);
		const auto journal = replaying(file);
		auto error = some_run(*journal, exits);

		if (error == 0)
			error = error_of(journal->end(1, 0));
		/* A recording without its end is taken for one that was cut. */
		ASSERT_TRUE(error == diverged || (error == at_end && at == entries.size() - 1))
			<< at << ' ' << bit;
	}
}

TEST(vmm_journal, ends_where_its_recorder_was_killed)
{
	const Recorded recorded(100000);

	for (const double part : {0.1, 0.5, 0.9}) {
		const auto size =
			static_cast<std::size_t>(static_cast<double>(recorded.file.size()) * part);
		const auto journal = replaying(std::string_view(recorded.file).substr(0, size));

		EXPECT_EQ(some_run(*journal, 100000), at_end);
		EXPECT_TRUE(journal->was_cut());
		EXPECT_GT(journal->exits(), 1000U);
	}
}

TEST(vmm_chunk, are_found_by_an_entry)
{
	std::string file = encode_head("{}");

	for (unsigned i = 0; i < 5; i++)
		file += encode_chunk(some_entries(100, i), i);
	auto reader = must(ChunkReader::open(file));
	EXPECT_EQ(must(reader.seek(250)), 200U);
	EXPECT_TRUE(same(must(reader.next()).value(), some_entries(100, 2)));
	EXPECT_EQ(must(reader.seek(0)), 0U);
	EXPECT_TRUE(same(must(reader.next()).value(), some_entries(100, 0)));
	EXPECT_EQ(must(reader.seek(500)), 500U) << "the end";
	EXPECT_FALSE(must(reader.next()));
	EXPECT_EQ(error_of(reader.seek(501)), EBADMSG);
	EXPECT_EQ(must(reader.seek(400)), 400U) << "and back";
	const auto whole = reader.identity();
	EXPECT_NE(must(ChunkReader::open(std::string_view(file).substr(0, file.size() - 1)))
			  .identity(),
		  whole);
	EXPECT_EQ(must(ChunkReader::open(file)).identity(), whole);
}

/* One that goes as some_run() does; its places are those behind what an exit brought. */
TEST(vmm_journal, goes_on_from_any_place)
{
	const unsigned exits = 30000;
	const Recorded recorded(exits);
	const auto journal = replaying(recorded.file);
	std::vector<Journal::Position> places;

	for (unsigned i = 0; i < exits; i++) {
		if (i % 997 == 0)
			places.push_back(journal->position());
		must(journal->exit({2, 0xffffffff80000000 + i, i * 7}));
		must(journal->time());
		must(journal->take(Kind::data, 20));
		must(journal->agree(Kind::interrupt, 0x30, i, "x"));
		must(journal->prepare());
	}
	must(journal->end(1, 0));
	std::mt19937 random(3);

	for (unsigned round = 0; round < 60; round++) {
		const auto &place = places[random() % places.size()];

		must(journal->seek(place));
		EXPECT_EQ(journal->position(), place);
		for (auto i = static_cast<unsigned>(place.exits); i < place.exits + 40 && i < exits;
		     i++) {
			must(journal->exit({2, 0xffffffff80000000 + i, i * 7}));
			must(journal->time());
			must(journal->take(Kind::data, 20));
			must(journal->agree(Kind::interrupt, 0x30, i, "x"));
		}
	}
}

TEST(vmm_journal, has_a_clock_that_only_grows)
{
	const TemporaryFolder folder;
	const auto journal = recording(folder.path() / "recording");
	GuestTime before = 0;

	for (int i = 0; i < 1000; i++) {
		const auto now = must(journal->time());

		ASSERT_GT(now, before);
		before = now;
	}
	journal->warp(5 * second);
	EXPECT_GT(must(journal->time()), before + 5 * second);
}

} /* namespace */
