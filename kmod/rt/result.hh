/* SPDX-License-Identifier: GPL-2.0 */
/*
 * result.hh - a value or the reason why there is none.
 *
 * A function that can fail returns Result<T> and its caller cannot overlook it:
 * the type is [[nodiscard]]. Failure goes up with CORBEL_TRY:
 *
 *	Result<Vm *> attach(int fd)
 *	{
 *		auto kvm = CORBEL_TRY(KvmRef::from_fd(fd));
 *		CORBEL_TRY(register_vm(kvm));
 *		...
 *	}
 *
 * Errors have names here; the numbers of errno are seen only where a result
 * leaves for the C shim (to_errno) or comes from it (from_errno).
 */
#pragma once

#include <concepts>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace corbel::rt {

/* Negated errno values of Linux on x86, so that to_errno is a cast. */
enum class Error : std::int32_t {
	permission = -1, /* EPERM */
	not_found = -2, /* ENOENT */
	no_process = -3, /* ESRCH */
	interrupted = -4, /* EINTR */
	io = -5, /* EIO */
	no_such_device_address = -6, /* ENXIO */
	too_big = -7, /* E2BIG */
	bad_descriptor = -9, /* EBADF */
	again = -11, /* EAGAIN */
	no_memory = -12, /* ENOMEM */
	access = -13, /* EACCES */
	bad_address = -14, /* EFAULT */
	busy = -16, /* EBUSY */
	exists = -17, /* EEXIST */
	no_device = -19, /* ENODEV */
	invalid = -22, /* EINVAL */
	too_many_files = -24, /* EMFILE */
	no_such_ioctl = -25, /* ENOTTY */
	no_space = -28, /* ENOSPC */
	range = -34, /* ERANGE */
	no_data = -61, /* ENODATA */
	protocol = -71, /* EPROTO */
	bad_message = -74, /* EBADMSG */
	overflow = -75, /* EOVERFLOW */
	not_unique = -76, /* ENOTUNIQ */
	not_supported = -95, /* EOPNOTSUPP */
	timed_out = -110, /* ETIMEDOUT */
	already = -114, /* EALREADY */
	stale = -116, /* ESTALE */
	cancelled = -125, /* ECANCELED */
};

/* Also right for a number that from_errno brought in and that has no name. */
[[nodiscard]] constexpr int to_errno(Error error)
{
	return static_cast<int>(error);
}

/* @negative: what a shim function returned, known to be below zero. */
[[nodiscard]] constexpr Error from_errno(int negative)
{
	return static_cast<Error>(negative);
}

template <typename T>
class [[nodiscard]] Result {
	static_assert(!std::is_reference_v<T>, "return a pointer, or a Result of one");
	static_assert(!std::same_as<std::remove_cv_t<T>, Error>,
		      "a value and an error must differ");

public:
	using value_type = T;

	constexpr Result(T value) : value_(std::move(value)) {}
	constexpr Result(Error error) : nothing_(), error_(error) {}

	/* `return object;` where T is made from the object, e.g. a pointer to a base. */
	template <typename U>
		requires(std::constructible_from<T, U &&> && std::convertible_to<U &&, T> &&
			 !std::same_as<std::remove_cvref_t<U>, T> &&
			 !std::same_as<std::remove_cvref_t<U>, Result> &&
			 !std::same_as<std::remove_cvref_t<U>, Error>)
	constexpr Result(U &&value) : value_(std::forward<U>(value))
	{}

	constexpr Result(const Result &)
		requires std::is_trivially_copyable_v<T>
	= default;
	constexpr Result &operator=(const Result &)
		requires std::is_trivially_copyable_v<T>
	= default;

	constexpr Result(Result &&)
		requires std::is_trivially_copyable_v<T>
	= default;
	Result(Result &&other) noexcept : nothing_(), error_(other.error_)
	{
		if (other.ok())
			::new (static_cast<void *>(&value_)) T(std::move(other.value_));
	}
	Result &operator=(Result &&) = delete;

	constexpr ~Result()
		requires std::is_trivially_destructible_v<T>
	= default;
	~Result()
	{
		if (ok())
			value_.~T();
	}

	[[nodiscard]] constexpr bool ok() const { return error_ == no_error; }
	[[nodiscard]] constexpr explicit operator bool() const { return ok(); }

	/* Of a success this is 0, as for a C function. */
	[[nodiscard]] constexpr int to_errno() const { return static_cast<int>(error_); }
	/* What C is answered: the value, or the number of the error. */
	[[nodiscard]] constexpr T value_or_errno() const
		requires std::signed_integral<T>
	{
		return ok() ? value_ : T{to_errno()};
	}

	[[nodiscard]] constexpr Error error() const
	{
		if (ok())
			__builtin_trap();
		return error_;
	}

	/* Say beside each call why it cannot be an error. */
	[[nodiscard]] constexpr T &value() &
	{
		check();
		return value_;
	}
	[[nodiscard]] constexpr const T &value() const &
	{
		check();
		return value_;
	}
	/* By value: a reference would outlive the temporary that CORBEL_TRY makes. */
	[[nodiscard]] constexpr T value() &&
	{
		check();
		return std::move(value_);
	}

	[[nodiscard]] constexpr T value_or(T other) &&
	{
		return ok() ? T(std::move(value_)) : std::move(other);
	}

private:
	static constexpr Error no_error{};

	constexpr void check() const
	{
		if (!ok())
			__builtin_trap();
	}

	union {
		T value_;
		char nothing_;
	};
	Error error_ = no_error;
};

template <>
class [[nodiscard]] Result<void> {
public:
	using value_type = void;

	constexpr Result() = default;
	constexpr Result(Error error) : error_(error) {}

	[[nodiscard]] constexpr bool ok() const { return error_ == Error{}; }
	[[nodiscard]] constexpr explicit operator bool() const { return ok(); }
	[[nodiscard]] constexpr int to_errno() const { return static_cast<int>(error_); }

	[[nodiscard]] constexpr Error error() const
	{
		if (ok())
			__builtin_trap();
		return error_;
	}

	constexpr void value() const
	{
		if (!ok())
			__builtin_trap();
	}

private:
	Error error_{};
};

/* A shim function's `int`: below zero an error, otherwise the value. */
[[nodiscard]] constexpr Result<int> from_shim(int ret)
{
	if (ret < 0)
		return from_errno(ret);
	return ret;
}

/* The same where success has nothing to tell. */
[[nodiscard]] constexpr Result<void> check_shim(int ret)
{
	if (ret < 0)
		return from_errno(ret);
	return {};
}

} /* namespace corbel::rt */

/*
 * The value of @expr, a Result; or out of the enclosing function with its error.
 * The enclosing function returns a Result of any type. A line may hold several,
 * also nested ones.
 */
#define CORBEL_TRY(expr)                                                                           \
	({                                                                                         \
		auto &&corbel_try_result = (expr);                                                 \
		if (!corbel_try_result.ok())                                                       \
			return corbel_try_result.error();                                          \
		std::move(corbel_try_result).value();                                              \
	})
