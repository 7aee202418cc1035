/* SPDX-License-Identifier: GPL-2.0 */
/* request_list.hh - requests in the order in which they came. */
#pragma once

#include "../target.h"

namespace corbel::block {

class RequestList {
public:
	constexpr RequestList() = default;

	[[nodiscard]] bool empty() const { return !first_; }
	void push(corbel_request *request)
	{
		request->next = nullptr;
		(last_ ? last_->next : first_) = request;
		last_ = request;
	}
	corbel_request *pop()
	{
		corbel_request *request = first_;

		if (request) {
			first_ = request->next;
			if (!first_)
				last_ = nullptr;
		}
		return request;
	}
	/* All of @other, behind what is here. */
	void take(RequestList &other)
	{
		if (other.empty())
			return;
		(last_ ? last_->next : first_) = other.first_;
		last_ = other.last_;
		other.first_ = other.last_ = nullptr;
	}

private:
	corbel_request *first_ = nullptr, *last_ = nullptr;
};

} /* namespace corbel::block */
