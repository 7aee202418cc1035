/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_suite.hh - what every kind of store must do. A kind instantiates the suite with
 * how one of it is made.
 */
#pragma once

#include "../state/store.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>

namespace corbel::test {

/* A place where a store is kept, and its time. */
class StorePlace {
public:
	StorePlace() = default;
	StorePlace(const StorePlace &) = delete;
	virtual ~StorePlace() = default;

	/* Each time another client of the same one. */
	[[nodiscard]] virtual std::unique_ptr<state::Store> open() = 0;
	virtual void pass(std::chrono::milliseconds time) = 0;
};

struct StoreKind {
	const char *name;
	std::function<std::unique_ptr<StorePlace>()> make;
};

class StoreSuite : public testing::TestWithParam<StoreKind> {
protected:
	std::unique_ptr<StorePlace> place = GetParam().make();
	std::unique_ptr<state::Store> store = place->open();
};

} /* namespace corbel::test */
