/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rt/result.hh"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using corbel::rt::check_shim;
using corbel::rt::Error;
using corbel::rt::from_shim;
using corbel::rt::Result;
using corbel::rt::to_errno;

static_assert(std::is_trivially_destructible_v<Result<int>>);
static_assert(std::is_trivially_copyable_v<Result<int *>>);
static_assert(std::is_trivially_copyable_v<Result<void>>);
static_assert(!std::is_trivially_destructible_v<Result<std::string>>);
static_assert(!std::is_copy_constructible_v<Result<std::unique_ptr<int>>>);
static_assert(sizeof(Result<int>) == 8);

TEST(Result, errors_are_the_numbers_of_errno)
{
	const std::pair<Error, int> table[] = {
		{Error::permission, EPERM},
		{Error::not_found, ENOENT},
		{Error::no_process, ESRCH},
		{Error::interrupted, EINTR},
		{Error::io, EIO},
		{Error::no_such_device_address, ENXIO},
		{Error::too_big, E2BIG},
		{Error::bad_descriptor, EBADF},
		{Error::again, EAGAIN},
		{Error::no_memory, ENOMEM},
		{Error::access, EACCES},
		{Error::bad_address, EFAULT},
		{Error::busy, EBUSY},
		{Error::exists, EEXIST},
		{Error::no_device, ENODEV},
		{Error::invalid, EINVAL},
		{Error::too_many_files, EMFILE},
		{Error::no_such_ioctl, ENOTTY},
		{Error::no_space, ENOSPC},
		{Error::range, ERANGE},
		{Error::no_data, ENODATA},
		{Error::protocol, EPROTO},
		{Error::bad_message, EBADMSG},
		{Error::overflow, EOVERFLOW},
		{Error::not_unique, ENOTUNIQ},
		{Error::not_supported, EOPNOTSUPP},
		{Error::timed_out, ETIMEDOUT},
		{Error::already, EALREADY},
		{Error::stale, ESTALE},
		{Error::cancelled, ECANCELED},
	};

	for (auto [error, number] : table)
		EXPECT_EQ(to_errno(error), -number);
}

TEST(Result, holds_a_value_or_an_error)
{
	Result<int> value = 42;
	Result<int> error = Error::busy;

	ASSERT_TRUE(value.ok());
	EXPECT_EQ(value.value(), 42);
	EXPECT_EQ(value.to_errno(), 0);
	ASSERT_FALSE(error.ok());
	EXPECT_EQ(error.error(), Error::busy);
	EXPECT_EQ(error.to_errno(), -EBUSY);
	EXPECT_EQ(Result<long>(7).value_or_errno(), 7);
	EXPECT_EQ(Result<long>(Error::busy).value_or_errno(), -EBUSY);
	EXPECT_EQ(std::move(error).value_or(7), 7);
}

TEST(Result, shim_numbers_become_results)
{
	EXPECT_EQ(from_shim(5).value(), 5);
	EXPECT_EQ(from_shim(-ENOENT).error(), Error::not_found);
	EXPECT_TRUE(check_shim(0).ok());
	EXPECT_EQ(check_shim(-EINTR).error(), Error::interrupted);
	/* A number without a name passes through unchanged. */
	EXPECT_EQ(from_shim(-EXDEV).to_errno(), -EXDEV);
}

Result<std::unique_ptr<int>> make(int number)
{
	if (number < 0)
		return Error::invalid;
	return std::make_unique<int>(number);
}

Result<void> require(bool condition)
{
	if (!condition)
		return Error::permission;
	return {};
}

/* An error passes through functions that return another type than its source. */
Result<int> sum(int a, int b, std::vector<int> &reached)
{
	reached.push_back(1);
	CORBEL_TRY(require(a != 13));
	reached.push_back(2);
	auto first = CORBEL_TRY(make(a));
	reached.push_back(3);
	return *first + *CORBEL_TRY(make(*CORBEL_TRY(make(b))));
}

TEST(Result, try_yields_the_value_or_leaves)
{
	std::vector<int> reached;

	EXPECT_EQ(sum(2, 3, reached).value(), 5);
	EXPECT_EQ(reached, (std::vector{1, 2, 3}));
	reached.clear();
	EXPECT_EQ(sum(13, 3, reached).error(), Error::permission);
	EXPECT_EQ(reached, (std::vector{1}));
	reached.clear();
	EXPECT_EQ(sum(-1, 3, reached).error(), Error::invalid);
	EXPECT_EQ(reached, (std::vector{1, 2}));
	reached.clear();
	EXPECT_EQ(sum(1, -1, reached).error(), Error::invalid);
}

TEST(Result, try_takes_a_named_result_as_it_takes_a_temporary)
{
	auto take = [](Result<std::unique_ptr<int>> result) -> Result<int> {
		auto owned = CORBEL_TRY(std::move(result));

		return *owned;
	};

	EXPECT_EQ(take(make(9)).value(), 9);
	EXPECT_EQ(take(Error::stale).error(), Error::stale);
}

struct Counted {
	explicit Counted(int &alive) : alive(&alive) { ++*this->alive; }
	Counted(Counted &&other) : alive(other.alive) { ++*alive; }
	~Counted() { --*alive; }
	int *alive;
};

TEST(Result, destroys_its_value_exactly_once)
{
	int alive = 0;
	{
		Result<Counted> result{Counted(alive)};
		EXPECT_EQ(alive, 1);
		Result<Counted> moved(std::move(result));
		EXPECT_EQ(alive, 2); /* the one moved from is still an object */
		Result<Counted> error{Error::io};
		EXPECT_EQ(alive, 2);
	}
	EXPECT_EQ(alive, 0);
}

TEST(Result, makes_a_value_from_what_converts_to_it)
{
	struct Base {};
	struct Derived : Base {};
	Derived derived;
	auto find = [&]() -> Result<Base *> { return &derived; };

	EXPECT_EQ(find().value(), &derived);
}

TEST(ResultDeathTest, asking_for_what_is_not_there_stops)
{
	EXPECT_DEATH((void)Result<int>(Error::io).value(), "");
	EXPECT_DEATH((void)Result<int>(1).error(), "");
	EXPECT_DEATH(Result<void>(Error::io).value(), "");
}

} // namespace
