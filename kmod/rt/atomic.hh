/* SPDX-License-Identifier: GPL-2.0 */
/*
 * atomic.hh - atomic words, and the few x86 instructions logic needs.
 *
 * A thin layer over the compiler's __atomic built-ins: every access names its
 * memory order, nothing is seq_cst by default, and nothing wider than 8 bytes
 * compiles (that would call into libatomic, which the kernel does not have).
 *
 * Read-modify-write on x86 is a full barrier whatever the order says, so the
 * orders below document intent, restrain the compiler and feed ThreadSanitizer.
 *
 * Classes that are model-checked take the atomics as a template argument; see
 * HardwareAtomics for what such a policy holds.
 */
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace corbel::rt {

enum class Order : int {
	relaxed = __ATOMIC_RELAXED,
	acquire = __ATOMIC_ACQUIRE,
	release = __ATOMIC_RELEASE,
	acq_rel = __ATOMIC_ACQ_REL,
	seq_cst = __ATOMIC_SEQ_CST,
};

/* Forced, so that @order is a constant wherever the built-ins see it. */
#define CORBEL_ATOMIC_INLINE [[gnu::always_inline]] inline

/*
 * The same operations on memory that is declared plain: a page shared with user
 * space, or a word of an array that is copied as a whole at other times.
 */
template <typename T>
CORBEL_ATOMIC_INLINE T atomic_load(const T *from, Order order)
{
	static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
	return __atomic_load_n(from, static_cast<int>(order));
}

template <typename T>
CORBEL_ATOMIC_INLINE void atomic_store(T *to, std::type_identity_t<T> value, Order order)
{
	static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
	__atomic_store_n(to, value, static_cast<int>(order));
}

template <typename T>
CORBEL_ATOMIC_INLINE T atomic_fetch_add(T *to, std::type_identity_t<T> value, Order order)
{
	static_assert(std::is_integral_v<T> && sizeof(T) <= 8);
	return __atomic_fetch_add(to, value, static_cast<int>(order));
}

template <typename T>
class Atomic {
	static_assert(std::is_integral_v<T> || std::is_pointer_v<T> || std::is_enum_v<T>);
	static_assert(sizeof(T) <= 8, "16-byte atomics need libatomic");

public:
	constexpr Atomic() = default;
	constexpr explicit Atomic(T value) : value_(value) {}
	Atomic(const Atomic &) = delete;
	Atomic &operator=(const Atomic &) = delete;

	[[nodiscard]] CORBEL_ATOMIC_INLINE T load(Order order) const
	{
		return __atomic_load_n(&value_, static_cast<int>(order));
	}

	CORBEL_ATOMIC_INLINE void store(T value, Order order)
	{
		__atomic_store_n(&value_, value, static_cast<int>(order));
	}

	CORBEL_ATOMIC_INLINE T exchange(T value, Order order)
	{
		return __atomic_exchange_n(&value_, value, static_cast<int>(order));
	}

	/* On failure @expected becomes the value found, and the order is relaxed. */
	[[nodiscard]] CORBEL_ATOMIC_INLINE bool compare_exchange(T &expected, T desired,
								 Order order)
	{
		return __atomic_compare_exchange_n(&value_, &expected, desired, false,
						   static_cast<int>(order), __ATOMIC_RELAXED);
	}

	CORBEL_ATOMIC_INLINE T fetch_add(T value, Order order)
		requires std::is_integral_v<T>
	{
		return __atomic_fetch_add(&value_, value, static_cast<int>(order));
	}

	CORBEL_ATOMIC_INLINE T fetch_sub(T value, Order order)
		requires std::is_integral_v<T>
	{
		return __atomic_fetch_sub(&value_, value, static_cast<int>(order));
	}

	CORBEL_ATOMIC_INLINE T fetch_or(T value, Order order)
		requires std::is_integral_v<T>
	{
		return __atomic_fetch_or(&value_, value, static_cast<int>(order));
	}

	CORBEL_ATOMIC_INLINE T fetch_and(T value, Order order)
		requires std::is_integral_v<T>
	{
		return __atomic_fetch_and(&value_, value, static_cast<int>(order));
	}

private:
	T value_{};
};

CORBEL_ATOMIC_INLINE void fence(Order order)
{
	__atomic_thread_fence(static_cast<int>(order));
}

/*
 * Between two accesses of one CPU where the other side is an interrupt on it:
 * restrains the compiler alone.
 */
CORBEL_ATOMIC_INLINE void compiler_fence()
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#if defined(__SANITIZE_THREAD__)
#define CORBEL_BITS_BY_BUILTIN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CORBEL_BITS_BY_BUILTIN 1
#endif
#endif
#if !defined(__x86_64__)
#define CORBEL_BITS_BY_BUILTIN 1
#endif

/* Both std::uint64_t and the __u64 of the uapi headers, which differ in C++. */
template <typename W>
concept Word64 = std::unsigned_integral<W> && sizeof(W) == 8;

/*
 * Bit @bit (0 .. 63) of @word, by one locked instruction and therefore with a
 * full barrier on both sides. Both return whether the bit was set before.
 * ThreadSanitizer cannot see into assembly and gets the built-ins instead.
 */
CORBEL_ATOMIC_INLINE bool test_and_set_bit(Word64 auto *word, unsigned bit)
{
#ifdef CORBEL_BITS_BY_BUILTIN
	const auto mask = std::uint64_t{1} << (bit % 64);

	return __atomic_fetch_or(word, mask, __ATOMIC_SEQ_CST) & mask;
#else
	bool was_set;

	/* With a register operand bts would address past the word: hence % 64. */
	asm volatile("lock btsq %2, %1"
		     : "=@ccc"(was_set), "+m"(*word)
		     : "Jr"(static_cast<std::uint64_t>(bit % 64))
		     : "memory");
	return was_set;
#endif
}

CORBEL_ATOMIC_INLINE bool test_and_clear_bit(Word64 auto *word, unsigned bit)
{
#ifdef CORBEL_BITS_BY_BUILTIN
	const auto mask = std::uint64_t{1} << (bit % 64);

	return __atomic_fetch_and(word, ~mask, __ATOMIC_SEQ_CST) & mask;
#else
	bool was_set;

	asm volatile("lock btrq %2, %1"
		     : "=@ccc"(was_set), "+m"(*word)
		     : "Jr"(static_cast<std::uint64_t>(bit % 64))
		     : "memory");
	return was_set;
#endif
}

/* As above for callers that do not ask what was there. */
CORBEL_ATOMIC_INLINE void set_bit(Word64 auto *word, unsigned bit)
{
	(void)test_and_set_bit(word, bit);
}

CORBEL_ATOMIC_INLINE void clear_bit(Word64 auto *word, unsigned bit)
{
	(void)test_and_clear_bit(word, bit);
}

CORBEL_ATOMIC_INLINE bool test_bit(const Word64 auto *word, unsigned bit, Order order)
{
	return atomic_load(word, order) >> (bit % 64) & 1;
}

/* In a loop that waits for another CPU: lets the sibling hyperthread run. */
CORBEL_ATOMIC_INLINE void cpu_relax()
{
#if defined(__x86_64__)
	asm volatile("pause" ::: "memory");
#else
	asm volatile("" ::: "memory");
#endif
}

/*
 * @index, which has been found to be below @size; or 0 where the CPU only guesses that
 * it is. For indices that user space gave, whose element leads on to others.
 */
[[nodiscard]] CORBEL_ATOMIC_INLINE std::uint32_t bounded_index(std::uint32_t index,
							       std::uint32_t size)
{
#if defined(__x86_64__)
	std::uint32_t mask;

	asm volatile("cmpl %2, %1; sbbl %0, %0" : "=r"(mask) : "r"(index), "r"(size) : "cc");
	return index & mask;
#else
	return index < size ? index : 0;
#endif
}

/*
 * The time stamp counter, not ordered against what stands around it: a reading
 * may be some tens of ticks early, which its uses (latencies, event times) bear
 * and an lfence in an interrupt path would not repay.
 */
[[nodiscard]] CORBEL_ATOMIC_INLINE std::uint64_t read_tsc()
{
	std::uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return static_cast<std::uint64_t>(high) << 32 | low;
}

/* The policy that production code instantiates model-checked classes with. */
struct HardwareAtomics {
	template <typename T>
	using Atomic = rt::Atomic<T>;

	CORBEL_ATOMIC_INLINE static bool test_and_set_bit(Word64 auto *word, unsigned bit)
	{
		return rt::test_and_set_bit(word, bit);
	}
	CORBEL_ATOMIC_INLINE static bool test_and_clear_bit(Word64 auto *word, unsigned bit)
	{
		return rt::test_and_clear_bit(word, bit);
	}
	CORBEL_ATOMIC_INLINE static void cpu_relax() { rt::cpu_relax(); }
};

} /* namespace corbel::rt */
