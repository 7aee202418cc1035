/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pace.hh - so much a second, exactly.
 *
 * A cost of c at a rate of r takes c / r seconds. They are added up as nanoseconds and a
 * remainder that counts in 1 / r ns, so that nothing is lost however long it goes on, and with
 * any rate from 1 to 2^64 - 1.
 */
#pragma once

#include "sabotage.hh"
#include "types.hh"

namespace corbel::qos {

struct Quotient {
	u64 quotient, remainder;
};

/* @a * @b / @divisor where a < divisor, which bounds the quotient by b. */
[[nodiscard]] inline Quotient multiply_divide(u64 a, u64 b, u64 divisor)
{
#if defined(__x86_64__)
	/* The compiler would call a function for it, which the kernel does not have. */
	u64 low, high;

	asm("mulq %3" : "=a"(low), "=d"(high) : "0"(a), "r"(b) : "cc");
	asm("divq %2" : "+a"(low), "+d"(high) : "r"(divisor) : "cc");
	return {low, high};
#else
	const auto product = static_cast<unsigned __int128>(a) * b;

	return {static_cast<u64>(product / divisor), static_cast<u64>(product % divisor)};
#endif
}

/* Beyond the life of any machine; sums of two are still in 64 bits. */
inline constexpr Time far = Time{1} << 62;

/* A time as a fraction: ns + part / rate, of a rate that is known elsewhere. */
struct Tag {
	Time ns = 0;
	u64 part = 0; /* below the rate */

	/* By the time that @cost takes at @rate, which is not 0. It stops at `far`. */
	void advance(u64 cost, u64 rate)
	{
		const u64 seconds = cost / rate;

		if (ns >= far || seconds >= far / ns_per_s) {
			*this = {far, 0};
			return;
		}
		const auto more = multiply_divide(cost % rate, ns_per_s, rate);
		ns += seconds * ns_per_s + more.quotient;
		if (sabotaged(Sabotage::remainder_lost))
			return;
		/* part + remainder may need 65 bits. */
		const bool carry = part >= rate - more.remainder;
		part = carry ? part - (rate - more.remainder) : part + more.remainder;
		ns += carry;
		if (ns >= far)
			*this = {far, 0};
	}
	/* The first whole ns that is not before it. */
	[[nodiscard]] Time rounded_up() const { return ns + (part != 0); }
};

/*
 * A limit as GCRA, which is a token bucket without tokens: the tag is when all that was let
 * through would have gone at an even pace. Something may go as soon as the tag is no more than
 * the burst ahead of now, whatever its size, and its whole cost is charged. In any stretch of
 * time t thus no more goes than
 *
 *	rate * t + burst + one I/O
 */
class Bucket {
public:
	/*
	 * @rate 0: no limit. What was owed beyond the burst is kept for no longer than
	 * `change_within`, what was saved for no more than the new burst.
	 */
	void set(u64 rate, u64 burst, Time now)
	{
		const Time old_ready = ready_at();
		const bool is_new = rate_ == 0;

		rate_ = rate;
		burst_ns_ = 0;
		if (!rate)
			return;
		Tag credit;
		credit.advance(burst, rate);
		burst_ns_ = credit.ns;
		if (is_new) {
			tag_ = {now, 0};
			return;
		}
		if (sabotaged(Sabotage::change_keeps_debt)) {
			tag_.part = 0;
			return;
		}
		const Time latest = now + change_within;
		const Time ready = old_ready < latest ? old_ready : latest;
		tag_ = {ready + burst_ns_, 0};
		if (tag_.ns < now)
			tag_.ns = now;
	}

	static constexpr Time change_within = 5'000'000;

	[[nodiscard]] bool is_limited() const { return rate_ != 0; }

	/* When the next one may go; 0 if nothing holds it. */
	[[nodiscard]] Time ready_at() const
	{
		const Time ahead = tag_.rounded_up();

		return rate_ && ahead > burst_ns_ ? ahead - burst_ns_ : 0;
	}

	/* Something goes at @when, which is not before ready_at(). */
	void charge(u64 cost, Time when)
	{
		if (!rate_)
			return;
		if (tag_.ns < when)
			tag_ = {when, 0};
		tag_.advance(cost, rate_);
	}

private:
	u64 rate_ = 0;
	Time burst_ns_ = 0;
	Tag tag_;
};

} /* namespace corbel::qos */
