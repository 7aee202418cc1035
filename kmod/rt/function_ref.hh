/* SPDX-License-Identifier: GPL-2.0 */
/*
 * function_ref.hh - a callable passed down, without allocation or ownership.
 *
 * For a parameter of a function that is no template. The callable must outlive
 * the call, which a lambda written in the argument list does; never store one.
 */
#pragma once

#include <type_traits>
#include <utility>

namespace corbel::rt {

template <typename Signature>
class FunctionRef;

template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
public:
	template <typename Callable>
		requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef> &&
			 !std::is_function_v<std::remove_reference_t<Callable>> &&
			 std::is_invocable_r_v<R, Callable &, Args...>)
	constexpr FunctionRef(Callable &&callable)
		: object_(const_cast<void *>(
			  static_cast<const void *>(__builtin_addressof(callable)))),
		  call_([](void *object, Args... args) -> R {
			  auto *target = static_cast<std::remove_reference_t<Callable> *>(object);

			  return static_cast<R>((*target)(std::forward<Args>(args)...));
		  })
	{}

	constexpr R operator()(Args... args) const
	{
		return call_(object_, std::forward<Args>(args)...);
	}

private:
	void *object_;
	R (*call_)(void *, Args...);
};

} /* namespace corbel::rt */
