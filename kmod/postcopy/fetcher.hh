/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fetcher.hh - the end of a transfer that misses pages.
 *
 * Requests are sent by whoever is told of them first, usually the one that touches the page:
 * of several at once one sends for all. What does not fit into the socket at once is sent by
 * a work item. Pages come from a link straight into their place, and only then become present.
 */
#pragma once

#include "pager.hh"

namespace corbel::postcopy {

class Fetcher final : public Pager {
public:
	[[nodiscard]] static Result<Fetcher *> make(Region &region,
						    const corbel_pager_new &request);
	/* Task. */
	static void destroy(Fetcher *fetcher);

	/* Sends the requests that there are. Task. */
	void send_requests() { send_requests(false); }

private:
	/* What comes on one stream. */
	class Inlet {
	public:
		explicit Inlet(Fetcher &owner, wire::Stream stream) : owner_(owner), stream_(stream)
		{}

		Result<void *> begin(const wire::Head &head);
		Result<void> end(const wire::Head &head);
		static u32 hash(const void *at, size_t bytes) { return postcopy::hash(at, bytes); }

		bool init()
		{
			scratch_ = static_cast<u8 *>(corbel_alloc_pages(wire::page_bytes));
			return scratch_;
		}
		~Inlet() { corbel_free_pages(scratch_); }
		/* A page that came in part is as missing as before. */
		void give_up();

	private:
		Result<void> end_page(const wire::Head &head);
		void end_zeros(const wire::Head &head);
		[[nodiscard]] Result<void> check_stage(const wire::Head &head) const;

		Fetcher &owner_;
		const wire::Stream stream_;
		u8 *scratch_ = nullptr;
		wire::Hello hello_{};
		s64 claimed_ = -1; /* the page that is ours to fill */
	};
	friend class Inlet;

	Fetcher(Region &region, u32 window)
		: Pager(region, wire::Role::fetch),
		  window_(window),
		  demand_inlet_(*this, wire::Stream::demand),
		  push_inlet_(*this, wire::Stream::push),
		  demand_receiver_(demand_inlet_, wire::Role::serve, wire::Stream::demand, pages)
	{}
	~Fetcher();

	[[nodiscard]] Result<void> start(const corbel_pager_new &request);
	void tell_what_is_present();
	int take(const u8 *from, u32 bytes);

	void accept(u32 page, bool staged, wire::Stream stream);
	void adopt(const wire::Head &head, const u64 *missing);
	Result<void> take_credit();
	Result<void> return_credit(bool marked);
	Result<void> finish();
	[[nodiscard]] bool is_complete() const { return region.states.count_present() == pages; }

	void send_requests(bool wait);
	[[nodiscard]] bool send_batch(bool wait);
	[[nodiscard]] bool fill_batch();
	[[nodiscard]] bool has_requests() const;
	Result<void> ask_again(u32 page);
	[[nodiscard]] bool take_damaged(u32 &page);

	static constexpr u32 batch = 16, damaged_most = 16;

	const u32 window_;
	Inlet demand_inlet_, push_inlet_;
	Receiver<Inlet> demand_receiver_; /* of a demand stream without a thread */
	bool attended_ = false; /* there is none */
	corbel_thread *demand_thread_ = nullptr, *push_thread_ = nullptr;
	corbel_work *sender_ = nullptr;
	rt::Atomic<bool> all_sent_{}; /* by the other end */

	/* Of the push thread's. */
	u64 *staged_ = nullptr; /* bits */
	u32 taken_ = 0; /* frames for which no credit has been given */

	/* Of whoever has set sending_. */
	rt::Atomic<bool> sending_{};
	wire::Head out_[batch];
	u32 out_bytes_ = 0, out_sent_ = 0;

	/* Pages to be asked for once more. */
	rt::SpinLock damaged_lock_;
	u32 damaged_[damaged_most]{};
	u32 nr_damaged_ = 0;
};

} /* namespace corbel::postcopy */
