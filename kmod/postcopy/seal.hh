/* SPDX-License-Identifier: GPL-2.0 */
/*
 * seal.hh - whether a memory object may be written to, and who insists that it may not.
 *
 * One word, so that it cannot be taken off between looking and holding.
 */
#pragma once

#include "../rt/atomic.hh"

#include <cstdint>

namespace corbel::postcopy {

template <typename Atomics>
class SealOf {
public:
	enum class Off { done, was_off, held };

	/* False: it is sealed. */
	[[nodiscard]] bool set()
	{
		std::uint32_t none = 0;

		return word_.compare_exchange(none, sealed, rt::Order::seq_cst);
	}
	[[nodiscard]] Off clear()
	{
		std::uint32_t seen = sealed;

		if (word_.compare_exchange(seen, 0, rt::Order::seq_cst))
			return Off::done;
		return seen ? Off::held : Off::was_off;
	}
	/* False: it is not sealed. */
	[[nodiscard]] bool hold()
	{
		std::uint32_t seen = word_.load(rt::Order::relaxed);

		while (seen) {
			if (word_.compare_exchange(seen, seen + 1, rt::Order::seq_cst))
				return true;
		}
		return false;
	}
	/* What hold() did. */
	void release() { word_.fetch_sub(1, rt::Order::seq_cst); }

	[[nodiscard]] bool is_set() const { return word_.load(rt::Order::acquire) != 0; }

private:
	static constexpr std::uint32_t sealed = 1; /* and one more for each that holds it */

	typename Atomics::template Atomic<std::uint32_t> word_{};
};

using Seal = SealOf<rt::HardwareAtomics>;

} /* namespace corbel::postcopy */
