// SPDX-License-Identifier: GPL-2.0-or-later
/* What QoS says to the kernel and hears from it, and what pictures it makes of that. */
#include "result.hh"

#include "../corbel/heat_picture.hh"
#include "../corbel/qos_rates.hh"
#include "../qos/guest_disk.hh"
#include "../qos/heat.hh"
#include "../qos/messages.hh"
#include "../qos/policy.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <bitset>
#include <cerrno>
#include <random>

#include <nlohmann/json.hpp>

namespace {

using namespace corbel;
using namespace corbel::test;
using namespace corbel::workloads;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::size_t sectors = 200;
using Sectors = std::bitset<sectors>;

Sectors bits_of(const Spans &spans)
{
	Sectors bits;

	for (std::size_t i = 0; i < spans.size(); i++) {
		EXPECT_LT(spans[i].first, spans[i].end);
		EXPECT_TRUE(i == 0 || spans[i - 1].end < spans[i].first) << "they touch";
		for (auto at = spans[i].first; at < spans[i].end; at++)
			bits.set(at);
	}
	return bits;
}

TEST(qos_ranges, are_what_single_sectors_are)
{
	std::mt19937 random(7);

	for (int round = 0; round < 2000; round++) {
		Spans sets[2];
		Sectors bits[2];

		for (int i = 0; i < 2; i++) {
			std::vector<Span> spans;
			for (auto n = random() % 12; n > 0; n--) {
				const std::uint64_t first = random() % sectors;
				const auto end = first + random() % (sectors - first + 1);
				spans.push_back({first, end});
				for (auto at = first; at < end; at++)
					bits[i].set(at);
			}
			sets[i] = sorted(std::move(spans));
			EXPECT_EQ(bits_of(sets[i]), bits[i]);
			EXPECT_EQ(bytes_of(sets[i]), bits[i].count() * 512);
		}
		EXPECT_EQ(bits_of(both(sets[0], sets[1])), bits[0] & bits[1]);
		EXPECT_EQ(bits_of(without(sets[0], sets[1])), bits[0] & ~bits[1]);
	}
}

TEST(qos_messages, reads_what_the_target_says)
{
	const auto status = must(parse_target_status("3 12 2 4096 1"));
	const auto table = must(parse_table("7 0:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18"
					    " 6:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1"));
	const auto cells = must(parse_cells("7 100 50 3:1:2:3:4 49:5:6:7:8"));

	EXPECT_EQ(status.objects, 3);
	EXPECT_EQ(status.in_flight, 1);
	EXPECT_EQ(table.next, 7);
	EXPECT_EQ(table.objects.at(0).by_op[1].bytes, 6);
	EXPECT_EQ(table.objects.at(0).throttled, 17);
	EXPECT_EQ(table.objects.at(6).throttled_ns, 1);
	EXPECT_EQ(cells.shift, 7);
	EXPECT_EQ(cells.cells.at(1).written_bytes, 8);
	EXPECT_THAT(must(parse_table("0")).objects, IsEmpty());
	EXPECT_THAT(must(parse_histogram("")), IsEmpty());
	EXPECT_EQ(must(parse_histogram("0:3 185:1")).at(185), 1);
	EXPECT_EQ(must(parse_owner("4 1000")).end, 1000);
}

TEST(qos_messages, refuses_what_it_does_not_know)
{
	for (const char *text : {"", "0 1 2 3 4", "1 2 3 4", "1 2 3 4 5 6", "1 2 3 4 -5",
				 "1 2 3 4 99999999999999999999", "1  2 3 4 5", "1 2 3 4 5 "})
		EXPECT_EQ(error_of(parse_target_status(text)), EPROTO) << text;
	const std::string line = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18";
	for (const auto &text : std::vector<std::string>{
		     "", "9 1:" + line + " 1:" + line, "9 2:" + line + " 1:" + line, "1 1:" + line,
		     "9 1:" + line + ",19", "9 1:1,2", "9 1", "9 :" + line})
		EXPECT_EQ(error_of(parse_table(text)), EPROTO) << text;
	for (const char *text : {"", "7 10", "60 10 10", "7 10 11", "7 10 10 10:1:1:1:1",
				 "7 10 10 3:1:1:1:1 3:1:1:1:1", "7 10 10 3:1:1:1"})
		EXPECT_EQ(error_of(parse_cells(text)), EPROTO) << text;
	for (const char *text : {"186:1", "3:0", "3:1 3:1", "3:1 2:1", "3", ":1", "3:1 "})
		EXPECT_EQ(error_of(parse_histogram(text)), EPROTO) << text;
	for (const char *text : {"", "1", "1 2 3", "a b"})
		EXPECT_EQ(error_of(parse_owner(text)), EPROTO) << text;
}

TEST(qos_messages, tells_quantiles_as_ends_of_buckets)
{
	EXPECT_EQ(quantile({}, 500), 0);
	EXPECT_EQ(quantile({{0, 1}}, 990), 4095);
	EXPECT_EQ(quantile({{0, 99}, {9, 1}}, 990), 4095);
	EXPECT_EQ(quantile({{0, 98}, {9, 2}}, 990), 9215);
	EXPECT_EQ(quantile({{185, 1}}, 500), std::uint64_t{1} << 35);
}

TEST(qos_policy, is_told_as_a_whole)
{
	PolicyRecord policy;

	policy.name = "gold";
	EXPECT_EQ(settings_of(policy), "weight=100 class=1");
	policy.limits[2] = {1000, 500};
	policy.limits[3] = {1 << 20, 0};
	policy.floor = 10;
	policy.priority = "background";
	policy.latency_us = 2000;
	EXPECT_EQ(settings_of(policy), "ios=1000 ios_burst=500 read_bytes=1048576 floor=10 "
				       "latency_us=2000 weight=100 class=2");
	EXPECT_TRUE(policy_of("gold", json_of(policy)) == policy);
	EXPECT_TRUE(policy.needs_depth());
	EXPECT_EQ(error_of(check(policy)), 0);
	policy.floor = 1001;
	EXPECT_EQ(error_of(check(policy)), EINVAL);
	policy.floor = 0;
	policy.limits[0].burst = 1;
	EXPECT_THAT(check(policy).error().sentence, HasSubstr("--read-iops-burst"));
	policy.limits[0].burst = 0;
	policy.weight = 1001;
	EXPECT_EQ(error_of(check(policy)), EINVAL);
}

TEST(qos_words, are_read)
{
	EXPECT_EQ(must(parse_latency("500us")), 500);
	EXPECT_EQ(must(parse_latency("2ms")), 2000);
	EXPECT_EQ(must(parse_latency("1s")), 1000000);
	for (const char *text :
	     {"", "5", "0ms", "-1ms", "1.5ms", "1min", "4000s", "ms", "99999999999999999999us"})
		EXPECT_EQ(error_of(parse_latency(text)), EINVAL) << text;
	EXPECT_EQ(must(parse_range("0+4K")), ByteRange(0, 4096));
	EXPECT_EQ(must(parse_range("1M+512")), ByteRange(1 << 20, 512));
	for (const char *text : {"", "0", "0+", "+1", "0+0", "1-2", "a+b", "0+1+2"})
		EXPECT_EQ(error_of(parse_range(text)), EINVAL) << text;
}

TEST(qos_guest_disk, is_found_by_name)
{
	auto guest = std::make_shared<qemu::GuestFacts>();
	qemu::Snapshot snapshot;

	guest->pid = 412;
	guest->name = "web:1";
	guest->arguments.facts.disks = {
		{.id = "d0", .file = "/srv/d0.img", .format = "raw", .device = {}},
		{.id = "d1", .file = "/srv/d1.qcow2", .format = "qcow2", .device = {}},
		{.id = "net", .file = "nbd://x", .format = "raw", .device = {}},
		{.id = "old", .file = "/srv/old.vmdk", .format = "vmdk", .device = {}},
		{.id = "dev", .file = "/dev/sdb", .format = "host_device", .device = {}}};
	snapshot.guests.push_back(guest);
	EXPECT_EQ(must(find_guest_disk(snapshot, "web:1:d1")).path, "/srv/d1.qcow2");
	EXPECT_EQ(must(find_guest_disk(snapshot, "412:d0")).format, "raw");
	EXPECT_EQ(must(find_guest_disk(snapshot, "412:dev")).format, "raw");
	EXPECT_THAT(find_guest_disk(snapshot, "web:1").error().sentence, HasSubstr("d0, d1, net"));
	EXPECT_EQ(error_of(find_guest_disk(snapshot, "web:2")), ENOENT);
	EXPECT_EQ(error_of(find_guest_disk(snapshot, "412:d7")), ENOENT);
	EXPECT_EQ(error_of(find_guest_disk(snapshot, "412:net")), ENOTSUP);
	EXPECT_EQ(error_of(find_guest_disk(snapshot, "412:old")), ENOTSUP);
	auto other = std::make_shared<qemu::GuestFacts>(*guest);
	other->pid = 413;
	snapshot.guests.push_back(other);
	EXPECT_EQ(error_of(find_guest_disk(snapshot, "web:1:d0")), EINVAL);
}

/* ---- heat maps ------------------------------------------------------------------------ */

constexpr std::uint64_t cell = 65536;

TEST(qos_heat, is_in_the_order_of_the_disk)
{
	/* The second half of the disk lies in front of the first one. */
	const std::vector<extents::Extent> extents{{0, 4 * cell, 2 * cell},
						   {2 * cell, 0, 2 * cell}};
	const auto map = fold({{0, 10, 0, 40960, 0}, {5, 0, 7, 0, 7000}}, 7, extents, 4 * cell);
	const auto of = [&](std::uint64_t first, std::uint64_t HeatBin::*what) {
		std::uint64_t sum = 0;
		for (auto at = first / map.bin_bytes; at < (first + cell) / map.bin_bytes; at++)
			sum += map.bins[at].*what;
		return sum;
	};

	EXPECT_EQ(map.bins.size() * map.bin_bytes, 4 * cell);
	EXPECT_EQ(of(0, &HeatBin::read_bytes), 0);
	EXPECT_EQ(of(2 * cell, &HeatBin::read_bytes), 40960);
	EXPECT_NEAR(of(cell, &HeatBin::written_bytes), 7000, 70);
	EXPECT_EQ(of(3 * cell, &HeatBin::written_bytes), 0);
	EXPECT_FALSE(map.estimated);
}

TEST(qos_heat, says_what_it_guesses)
{
	const std::vector<extents::Extent> half{{0, cell / 2, cell / 2}};
	const auto map = fold({{0, 0, 0, 8192 * 128, 0}}, 7, half, cell / 2);
	std::uint64_t sum = 0;

	for (const auto &bin : map.bins)
		sum += bin.read_bytes;
	EXPECT_TRUE(map.estimated);
	EXPECT_EQ(sum, 4096 * 128);
	EXPECT_FALSE(fold({{3, 1, 1, 1, 1}}, 7, half, cell / 2).estimated);
}

TEST(qos_heat, has_no_more_bins_than_it_may)
{
	const std::uint64_t bytes = (std::uint64_t{5} << 40) + 512;
	const auto map = fold({}, 30, {{0, 0, bytes}}, bytes);

	EXPECT_LE(map.bins.size(), most_bins);
	EXPECT_GE(map.bins.size() * map.bin_bytes, bytes);
	EXPECT_THAT(fold({}, 7, {}, 0).bins, IsEmpty());
}

cli::HeatPicture picture()
{
	cli::HeatPicture picture{"a <disk>", 4096 * cell, cell, {}};

	picture.bins.resize(4096);
	picture.bins[0] = {1000, 0};
	picture.bins[100] = {0, 1};
	return picture;
}

TEST(heat_picture, is_drawn_in_letters)
{
	const auto plain = cli::heat_text(picture(), 73, false);
	const auto blocks = cli::heat_text(picture(), 73, true);

	ASSERT_EQ(plain.size(), 16);
	EXPECT_THAT(plain[0], testing::StartsWith("       0 @"));
	/* Bin 100 is in the 26th of the cells of four. */
	EXPECT_EQ(plain[0][9 + 25], '.');
	EXPECT_THAT(plain[1], testing::StartsWith("     16M "));
	for (const auto &line : plain)
		EXPECT_EQ(line.size(), 73);
	EXPECT_THAT(blocks[0], HasSubstr("█"));
	EXPECT_THAT(blocks[0], HasSubstr("▁"));
	EXPECT_THAT(cli::heat_text({}, 80, true), IsEmpty());
	EXPECT_LE(cli::heat_text(picture(), 1, true).size(), 17);
}

TEST(heat_picture, is_drawn_as_svg)
{
	const auto svg = cli::heat_svg(picture());

	EXPECT_THAT(svg, HasSubstr("a &lt;disk&gt;"));
	EXPECT_THAT(svg, HasSubstr("<title>0: 1000 reads, 0 writes</title>"));
	EXPECT_THAT(svg, HasSubstr("fill=\"#0000ff\""));
	EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
}

TEST(heat_picture, is_drawn_as_png)
{
	const auto png = must(cli::heat_png(picture()));
	png_image image{};

	image.version = PNG_IMAGE_VERSION;
	ASSERT_TRUE(::png_image_begin_read_from_memory(&image, png.data(), png.size()));
	image.format = PNG_FORMAT_RGB;
	std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(image));
	ASSERT_TRUE(::png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr));
	EXPECT_EQ(image.width, 512U);
	EXPECT_EQ(image.height, 512U);
	EXPECT_THAT(std::vector(pixels.begin(), pixels.begin() + 3), ElementsAre(0, 0, 255));
	/* Bin 1 is white. */
	EXPECT_THAT(std::vector(pixels.begin() + 24, pixels.begin() + 27),
		    ElementsAre(255, 255, 255));
}

/* ---- rates ---------------------------------------------------------------------------- */

cli::Json object(std::uint64_t reads, std::uint64_t ns)
{
	const cli::Json none{{"ios", 0}, {"bytes", 0}, {"errors", 0}, {"device_ns", 0}};

	return {{"name", "web"},
		{"number", 3},
		{"policy", "gold"},
		{"counters",
		 {{"read",
		   {{"ios", reads}, {"bytes", reads * 4096}, {"errors", 0}, {"device_ns", ns}}},
		  {"write", none},
		  {"discard", none},
		  {"flush", none},
		  {"throttled", reads / 2},
		  {"throttled_ns", 5}}},
		{"histograms",
		 {{"read", {{{"bucket", 9}, {"count", reads}}}},
		  {"write", cli::Json::array()},
		  {"other", cli::Json::array()},
		  {"queue", cli::Json::array()}}}};
}

/* A list of one. */
cli::Json objects(std::uint64_t reads, std::uint64_t ns)
{
	return cli::Json::array({object(reads, ns)});
}

TEST(qos_rates, are_what_happened_between)
{
	const auto rates = cli::rates_between(objects(100, 1000), objects(300, 401000), 2).at(0);

	EXPECT_EQ(rates.at("read").at("ios_per_s"), 100);
	EXPECT_EQ(rates.at("read").at("bytes_per_s"), 409600);
	EXPECT_EQ(rates.at("throttled_per_s"), 50);
	EXPECT_EQ(rates.at("device_ns"), 2000);
	EXPECT_EQ(rates.at("p99_ns"), 9215);
	/* A table was made anew: it counts from nothing. */
	EXPECT_EQ(cli::rates_between(objects(100, 0), objects(10, 0), 1)
			  .at(0)
			  .at("read")
			  .at("ios_per_s"),
		  10);
	EXPECT_EQ(cli::rates_between(cli::Json::array(), objects(0, 0), 1).at(0).at("p50_ns"),
		  nullptr);
}

TEST(qos_rates, fit_where_they_are_shown)
{
	auto rates = cli::Json::array();
	const auto one = cli::rates_between(cli::Json::array(), objects(10, 10), 1).at(0);

	for (int i = 0; i < 30; i++)
		rates.push_back(one);
	const auto lines = cli::show_rates(rates, "lun0", {80, 10});
	EXPECT_EQ(lines.size(), 10);
	EXPECT_EQ(lines.back().text, "... and 24 objects, less busy");
	EXPECT_THAT(lines[3].text, HasSubstr("web"));
	EXPECT_EQ(cli::show_rates(rates, "lun0").size(), 33);
}

} /* namespace */
