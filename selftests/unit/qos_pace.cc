// SPDX-License-Identifier: GPL-2.0-or-later
/* Tags and buckets beside arithmetic in 128 bits. */
#include "qos_broken.hh"
#include "random_stream.hh"

#include "block/qos/pace.hh"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace corbel::qos;
using namespace corbel::unit;
using Wide = unsigned __int128;

std::uint64_t any_rate(RandomStream &random)
{
	return std::max<std::uint64_t>(1, random.word() >> random.below(64));
}

/* However many steps, the tag is what the sum would have come to. */
std::string run_tags()
{
	RandomStream random(2000);

	while (random.more()) {
		const auto rate = any_rate(random);
		/* So that all of it takes less than a century. */
		const auto most = rate > far / ns_per_s ? far / ns_per_s : rate;
		Tag tag;
		Wide sum = 0;

		for (unsigned i = 0; i < 100; i++) {
			const auto cost = random.below(most) >> random.below(40);

			tag.advance(cost, rate);
			sum += cost;
			if (tag.ns != static_cast<std::uint64_t>(sum * ns_per_s / rate) ||
			    tag.part != static_cast<std::uint64_t>(sum * ns_per_s % rate))
				return std::to_string(rate);
		}
	}
	return "";
}

TEST(QosPace, nothing_is_lost)
{
	EXPECT_EQ(run_tags(), "");
	const QosBroken broken(Sabotage::remainder_lost);
	EXPECT_NE(run_tags(), "");
}

TEST(QosPace, hostile_numbers)
{
	constexpr auto most = ~0ULL;

	for (const std::uint64_t rate : {1ULL, 2ULL, most / 2, most - 1, most})
		for (const std::uint64_t cost : {0ULL, 1ULL, most / 2, most}) {
			Tag tag;

			for (unsigned i = 0; i < 10; i++) {
				const auto before = tag.ns;

				tag.advance(cost, rate);
				EXPECT_GE(tag.ns, before);
				EXPECT_LE(tag.ns, far);
				EXPECT_LT(tag.part, rate);
			}
		}
	for (const std::uint64_t burst : {0ULL, 1ULL, most}) {
		Bucket bucket;

		bucket.set(most, burst, 5);
		EXPECT_EQ(bucket.ready_at(), burst == most ? 0U : 5U) << burst;
		bucket.charge(1, 5);
		EXPECT_LE(bucket.ready_at(), 6U);
		bucket.set(1, burst, 7);
		bucket.charge(most, 20'000'000);
		EXPECT_GE(bucket.ready_at(), burst == most ? 0U : far - 2 * ns_per_s);
		/* Even that is over a moment after the next change. */
		bucket.set(1000, 0, 30'000'000);
		EXPECT_LE(bucket.ready_at(), 30'000'000 + Bucket::change_within);
		bucket.set(0, 0, 8);
		bucket.charge(most, 9);
		EXPECT_EQ(bucket.ready_at(), 0U);
	}
}

/*
 * Takes whatever it may, at once or a while later, and compares with the definition: a bucket
 * of `burst` that fills at the rate, and lets go while it is not below zero.
 */
std::string run_bucket()
{
	RandomStream random(3000);

	while (random.more()) {
		/* Such that the burst is whole ns as well as whole units. */
		const auto rate = 1'000'000 * (1 + random.below(1000));
		const auto burst_ns = random.below(2) * 1000 * random.below(10'000'000);
		Bucket bucket;
		Time now = random.below(ns_per_s);
		/* In 1 / 10^9 units: what is left, at `at`. */
		const auto full = static_cast<__int128>(burst_ns) * rate;
		__int128 left = full;
		Time at = now;
		const auto has_credit = [&](Time when) {
			left = std::min(left + static_cast<__int128>(when - at) * rate, full);
			at = when;
			return left >= 0;
		};

		bucket.set(rate, static_cast<std::uint64_t>(full / ns_per_s), now);
		for (unsigned i = 0; i < 50; i++) {
			now += random.below(3) ? random.below(1000) : random.below(ns_per_s);
			if ((bucket.ready_at() <= now) != has_credit(now))
				return "ready or not";
			if (bucket.ready_at() > now) {
				now = bucket.ready_at();
				if (has_credit(now - 1) || !has_credit(now))
					return "ready when";
			}
			const auto cost = random.below(rate) >> random.below(30);
			bucket.charge(cost, now);
			left -= static_cast<__int128>(cost) * ns_per_s;
		}
	}
	return "";
}

TEST(QosPace, a_bucket_is_a_bucket)
{
	EXPECT_EQ(run_bucket(), "");
	const QosBroken broken(Sabotage::remainder_lost);
	EXPECT_NE(run_bucket(), "");
}

/* A limit that changes holds soon, whatever was owed or saved. */
std::string run_changes()
{
	RandomStream random(2000);

	while (random.more()) {
		const auto rate = 1 + random.below(100'000), next = 1 + random.below(100'000);
		Bucket bucket;
		Time now = ns_per_s;

		bucket.set(rate, random.below(2) * random.below(rate), now);
		for (unsigned i = 0; i < 20; i++) {
			now = std::max(now + random.below(1000), bucket.ready_at());
			bucket.charge(random.below(100), now);
		}
		now += random.below(2) * random.below(10 * ns_per_s);
		const auto burst = random.below(2) * random.below(next);
		bucket.set(next, burst, now);
		if (bucket.ready_at() > now + Bucket::change_within)
			return "late";
		/* From then on no more than the new limit lets through. */
		std::uint64_t gone = 0;
		for (Time t = std::max(now, bucket.ready_at()); t < now + ns_per_s;
		     t = std::max(t, bucket.ready_at())) {
			bucket.charge(1, t);
			gone++;
		}
		if (gone > next + burst + 1 || gone < next - next / 100 - 1)
			return "rate";
	}
	return "";
}

TEST(QosPace, changes_hold_soon)
{
	EXPECT_EQ(run_changes(), "");
	const QosBroken broken(Sabotage::change_keeps_debt);
	EXPECT_NE(run_changes(), "");
}

} // namespace
